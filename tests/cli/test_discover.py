"""`deploygate discover` and `confirm` as people call them, without a database."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pytest_deploygate.cli import main

_COMPOSE = "name: shop\nservices:\n  web: {image: 'web:1'}\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("PGHOST", "PGSERVICE", "PGPASSWORD", "PGUSER", "PGDATABASE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "compose.yml").write_text(_COMPOSE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _run(*arguments: str, said: str = "") -> tuple[int, str]:
    done = CliRunner().invoke(main, list(arguments), input=said)
    assert done.exception is None or isinstance(done.exception, SystemExit | click.ClickException), (
        done.exception
    )
    return done.exit_code, done.output


def test_nothing_to_look_at_is_a_mistake(here: Path) -> None:
    code, output = _run("discover", "prod")
    assert code == 4
    assert "name something to look at, for example --dsn postgresql://user@host/database" in output
    assert not (here / "inventories").exists()


def test_a_database_that_does_not_answer_writes_nothing(here: Path) -> None:
    code, output = _run("discover", "prod", "--dsn", "postgresql://gate:canary-words-1@127.0.0.1:1/x")
    assert code == 1
    assert "nothing was written" in output
    assert "127.0.0.1:1" in output
    assert "refused" in output
    assert "canary-words" not in output
    assert not list((here / "inventories").glob("*"))


def test_a_source_that_fails_beside_another_is_said(here: Path) -> None:
    asked = ["discover", "prod", "--dsn", "postgresql://gate@127.0.0.1:1/x", "--compose", "compose.yml"]
    code, output = _run(*asked, "--json")
    assert code == 0, output
    said = json.loads(output)
    assert [each["what"] for each in said["unread"]] == ["the database"]
    assert said["unconfirmed"] == ["stack.components[web]"]
    assert said["snapshot"] is None
    assert [item["id"] for item in said["items"] if item["targets"]]
    text = (here / "inventories" / "prod.yml").read_text()
    assert "# compose.yml: service web" in text
    code, output = _run(*asked)
    assert code == 4
    assert "inventories/prod.yml exists already (--force overwrites)" in output
    assert _run(*asked, "--force")[0] == 0


def test_the_dsn_of_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    code, output = _run("discover", "prod", "--dsn", "env:NO_SUCH")
    assert (code, "the variable NO_SUCH is not set" in output) == (4, True)
    monkeypatch.setenv("THE_DSN", "postgresql://gate:canary-words-2@127.0.0.1:1/x")
    code, output = _run("discover", "prod", "--dsn", "env:THE_DSN")
    assert (code, "canary-words" in output) == (1, False)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["discover", "a b", "--compose", "compose.yml"], "'a b' is no name for an inventory"),
        (
            ["discover", "x", "--compose", "compose.yml", "--replica", "db:port"],
            "--replica db:port: write HOST or HOST:PORT",
        ),
        (["discover", "x", "--compose", "compose.yml", "--memory", "much"], "much"),
        (["discover", "x", "--compose", "gone.yml"], "gone.yml"),
        (["discover", "x", "--dsn", "host='"], "the DSN cannot be read"),
        (["confirm", "--inventory", "gone"], "no inventory has this name"),
    ],
)
def test_mistakes_end_with_4(arguments: list[str], says: str) -> None:
    code, output = _run(*arguments)
    assert (code, says in output) == (4, True), output


def test_questions_have_defaults(here: Path) -> None:
    """The name of the environment is asked for where it is not given."""
    code, output = _run("discover", "--compose", "compose.yml", "--ask", said="\n")
    assert code == 0, output
    assert "Name of the environment [staging]" in output
    assert (here / "inventories" / "staging.yml").is_file()


def test_the_database_is_asked_about_step_by_step() -> None:
    answers = "postgresql://gate@127.0.0.1:1/x\n127.0.0.1:2\n\n16GB\nprod\n"
    code, output = _run("discover", "--ask", said=answers)
    assert code == 1
    assert output.index("DSN of the database") < output.index("Replicas") < output.index("PgBouncers")
    assert "127.0.0.1:2" in output.partition("nothing was written")[2]


def test_confirming_step_by_step(here: Path) -> None:
    assert _run("discover", "prod", "--compose", "compose.yml")[0] == 0
    code, output = _run("confirm", "--inventory", "prod")
    assert code == 0
    assert "1 places of" in output
    assert '  stack.components[web]: {"name": "web"' in output
    code, output = _run("confirm", "--inventory", "prod", "stack.components[wev]")
    assert code == 4
    assert "did you mean 'stack.components[web]'?" in output
    code, output = _run("confirm", "--inventory", "prod", "stack")
    assert code == 0
    assert "confirmed stack.components[web]" in output
    code, output = _run("confirm", "--inventory", "prod")
    assert (code, output) == (0, "Nothing waits to be confirmed.\n")
    assert "discovered" not in (here / "inventories" / "prod.yml").read_text().replace(
        "deploygate discover", ""
    )
