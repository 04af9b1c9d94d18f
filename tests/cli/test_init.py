"""`deploygate init`: what it writes can be used at once, and no user file is overwritten without --force or consent."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from pytest_deploygate.cli import main
from pytest_deploygate.files import yaml


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def init(*words):
    return CliRunner().invoke(main, ["init", *words])


def contents(folder):
    return {
        file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()
    }


def test_what_is_written_can_be_planned(folder):
    done = init()
    assert done.exit_code == 0, done.output
    assert {
        "pytest.ini",
        "allowed_signers.example",
        ".github/workflows/deploygate.yml",
        "ci/deploygate.gitlab-ci.yml",
        "suites/checklist.md",
        "waivers/.gitkeep",
    } <= contents(folder).keys()
    assert (folder / ".gitignore").read_text() == "deploygate-out/\n"
    planned = CliRunner().invoke(main, ["plan", "-m", "phase2", "--inventory", "staging.example", "--json"])
    assert planned.exit_code == 0, planned.output
    plan = json.loads(planned.output)
    assert "phase2.migrations" in [item["id"] for phase in plan["phases"] for item in phase["items"]]
    assert any("STAGING_DB_PASSWORD" in words for words in plan["missing"])


def test_json_lists_every_file_that_was_written(folder):
    told = json.loads(init("release", "--json").output)
    assert told["folder"] == "release"
    assert sorted(told["files"]) == sorted(contents(folder / "release"))


def test_nothing_is_overwritten_unless_asked(folder):
    assert init().exit_code == 0
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -q\n")
    before = contents(folder)
    done = init()
    assert (done.exit_code, "pytest.ini" in done.output) == (4, True)
    assert contents(folder) == before
    assert init("--force").exit_code == 0
    assert "testpaths" in (folder / "pytest.ini").read_text()


OWN = {
    "pytest.ini": "[pytest]\naddopts = -q\n",
    "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '-q'\n",
    "tox.ini": "[pytest]\naddopts = -q\n",
    "setup.cfg": "[tool:pytest]\naddopts = -q\n",
    "conftest.py": "",
    "tests/test_shop.py": "def test_shop():\n    pass\n",
    "shop/tests.py": "",
    "test_shop.py": "",
}


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("words", [(), ("--force",)], ids=["plain", "force"])
def test_a_repository_with_tests_of_its_own_keeps_them(folder, name, words):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(OWN[name])
    done = init(*words)
    assert done.exit_code == 0, done.output
    assert "is yours, so the files are in deploygate: run pytest and deploygate there" in done.output
    written = contents(folder)
    assert written.pop(name).decode() == OWN[name]
    assert all(path.startswith(("deploygate/", ".github/")) for path in written)
    assert "testpaths = suites" in written["deploygate/pytest.ini"].decode()


def test_files_that_configure_something_else_are_no_reason_for_a_folder(folder):
    (folder / "pyproject.toml").write_text("[tool.ruff]\n")
    (folder / "setup.cfg").write_text("[metadata]\nname = shop\n")
    (folder / ".venv").mkdir()
    (folder / ".venv" / "test_of_somebody.py").write_text("")
    assert init().exit_code == 0
    assert (folder / "pytest.ini").exists()


def test_the_second_time_is_refused_in_the_same_place(folder):
    (folder / "pytest.ini").write_text(OWN["pytest.ini"])
    assert init().exit_code == 0
    done = init()
    assert (done.exit_code, "deploygate/pytest.ini" in done.output) == (4, True)


def test_the_workflow_is_at_the_top_of_the_git_repository(folder, monkeypatch):
    (folder / ".git").mkdir()
    (folder / "services").mkdir()
    monkeypatch.chdir(folder / "services")
    done = init("shop gate", "--json")
    assert "../../.github/workflows/deploygate.yml" in json.loads(done.output)["files"]
    assert not (folder / "services" / "shop gate" / ".github").exists()
    text = (folder / ".github" / "workflows" / "deploygate.yml").read_text()
    assert yaml.load(text)["jobs"]["gate"]["defaults"]["run"]["working-directory"] == "services/shop gate"
    steps = yaml.load(text)["jobs"]["gate"]["steps"]
    assert steps[-1]["with"]["path"] == "services/shop gate/deploygate-out/"
    gitlab = yaml.load((folder / "services" / "shop gate" / "ci" / "deploygate.gitlab-ci.yml").read_text())
    assert gitlab[".deploygate"]["script"][0] == 'cd "services/shop gate"'


def test_gitignore_is_completed_once(folder):
    (folder / ".gitignore").write_text("*.pyc")
    assert init().exit_code == 0
    assert init("--force").exit_code == 0
    assert (folder / ".gitignore").read_text() == "*.pyc\ndeploygate-out/\n"


def test_your_own_checklist_gets_ids_and_no_shipped_suites(folder):
    (folder / "ours.md").write_text("## Switch\n- [ ] Stop the old system\n")
    assert init("gate", "--from-checklist", "ours.md").exit_code == 0
    text = (folder / "gate" / "suites" / "checklist.md").read_text()
    assert text.startswith("## Switch")
    assert "- [ ] Stop the old system {#" in text
    assert [file.name for file in (folder / "gate" / "suites").glob("test_*.py")] == ["test_own.py"]


def test_what_a_checklist_may_have_lost_is_said(folder):
    """Rows of a table are no items, and a check below a sign-off is one: the reader has to look."""
    rows = "".join(f"| {n} | Backup {n} restored | ☐ |\n" for n in range(30))
    (folder / "ours.md").write_text(
        f"## Switch\n- [ ] Stop\n\n| # | Item | Done |\n|---|---|---|\n{rows}\n## QA sign-off\n- [ ] Suite passed\n"
    )
    done = init("gate", "--from-checklist", "ours.md")
    assert "Lines of gate/suites/checklist.md to look at (31):" in done.output
    assert "checklist.md:6: looks like an item but is not one" in done.output
    assert "`deploygate plan` lists them all" in done.output
    told = json.loads(init("gate", "--from-checklist", "ours.md", "--force", "--json").output)
    assert len(told["remarks"]) == 31
    assert "to look at" not in init("other").output


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"# No items\n", "ours.md"), (b"\xff\xfe- [ ] x\n", "is not UTF-8 text")],
    ids=["no items", "not text"],
)
def test_a_checklist_that_cannot_be_used_is_refused(folder, content, says):
    (folder / "ours.md").write_bytes(content)
    done = init("gate", "--from-checklist", "ours.md")
    assert (done.exit_code, says in done.output) == (4, True)
    assert not (folder / "gate").exists()


@pytest.mark.parametrize(
    ("there", "words", "place", "project"),
    [
        ((".git/HEAD",), (), "", ".."),
        ((".git/HEAD", "tests/test_shop.py"), (), "deploygate", "../.."),
        ((".git/HEAD",), ("ops/gate",), "ops/gate", "../../.."),
        ((), ("gate",), "gate", ".."),
    ],
)
def test_the_example_names_the_project_from_where_it_is(folder, there, words, place, project):
    """Paths of an inventory are relative to it: `../..` would be beside a repository whose files are at its top."""
    for name in there:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    assert init(*words).exit_code == 0
    text = (folder / place / "inventories" / "staging.example.yml").read_text()
    assert f"migrations: {{tool: django, scripts: {project}}} " in text
    assert "@" not in text
