"""The values behind `env:` when a later phase builds on a GO, and the modules that a test imports when a run resumes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from project import PRELUDE, Project

from pytest_deploygate.inventory.loader import load

CHECKLIST = """\
# Release

## One {#one}
- [ ] A {#one.a .automated}

## Two {#two}
- [ ] B {#two.b .automated}
"""
INVENTORY = """\
name: prod
database:
  name: x
  user: y
  password: env:DB_PASSWORD
  primary: {host: 127.0.0.1, port: "lab:db.port"}
"""


@pytest.fixture
def two(project: Project) -> Project:
    (project.path / "suites" / "checklist.md").write_text(CHECKLIST)
    project.inventory(INVENTORY)
    project.suite(
        """
        @pytest.mark.item("one.a")
        def test_a(gate):
            says(gate)

        @pytest.mark.item("two.b")
        def test_b(gate):
            says(gate)
        """
    )
    return project


def run(project: Project, phase: str, password: str, port: int = 5432, *more: str) -> tuple[int, str]:
    lab = project.path / "lab"
    lab.mkdir(exist_ok=True)
    (lab / "state.json").write_text(json.dumps({"values": {"db.port": port}}))
    ran = project.run_process(
        "-m", phase, "--change", "C1", *more, DB_PASSWORD=password, DEPLOYGATE_LAB=str(lab)
    )
    return ran.code, " ".join(ran.text.split())


def test_a_go_holds_for_the_values_that_it_was_given_for(two: Project) -> None:
    assert run(two, "one", "the-password")[0] == 0
    assert run(two, "two", "the-password")[0] == 0
    code, said = run(two, "two", "the-password", 5433)
    assert code == 21
    assert "values that the inventory refers to were changed since the GO of one (lab:db.port)" in said
    assert run(two, "one", "the-password", 5433)[0] == 0
    assert run(two, "two", "the-password", 5433)[0] == 0
    (two.path / "deploygate-out" / "C1" / ".key").unlink()
    assert run(two, "two", "the-password", 5433)[0] == 21, "what cannot be compared is unknown"


def test_a_token_that_is_new_in_each_job_holds_no_phase(two: Project) -> None:
    """A resumed run asks its tests again: a finding may rest on what could be opened then."""
    assert run(two, "one", "token-of-the-first-job")[0] == 0
    assert run(two, "two", "token-of-the-second-job")[0] == 0
    code, said = run(two, "two", "token-of-the-third-job", 5432, "--resume")
    assert (code, "keeping 1 test" in said, "(env:DB_PASSWORD)" in said) == (0, False, True), said
    assert "keeping 1 test" in run(two, "two", "token-of-the-third-job", 5432, "--resume")[1]
    journal = (two.path / "deploygate-out" / "C1" / "journal.jsonl").read_text()
    assert "token-of-the" not in journal


def test_a_secret_that_is_also_a_value_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source may give both; what is a value anywhere is one."""
    (tmp_path / "lab").mkdir()
    monkeypatch.setenv("DEPLOYGATE_LAB", str(tmp_path / "lab"))
    (tmp_path / "5432").write_text("the-password")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lab" / "state.json").write_text(
        json.dumps({"values": {"db.port": 5432, "password": "5432"}})
    )
    for password, secrets in (("lab:password", {"lab:password"}), ("lab:db.port", set())):
        file = tmp_path / "prod.yml"
        file.write_text(INVENTORY.replace("env:DB_PASSWORD", password))
        assert load(str(file), tmp_path).secrets == secrets


IMPORTS = {
    "beside the test": ("from helper import LIMIT", "suites/helper.py"),
    "import": ("import helper\nLIMIT = helper.LIMIT", "suites/helper.py"),
    "through another": ("from first import LIMIT", "suites/second.py"),
    "of a package": ("from shop.limits import LIMIT", "src/shop/limits.py"),
    "a package's other module": ("from shop.limits import LIMIT", "src/shop/more.py"),
    "in the test": ("def late():\n    from helper import LIMIT\nLIMIT = 1", "suites/helper.py"),
}


@pytest.mark.parametrize(("text", "changed"), IMPORTS.values(), ids=IMPORTS)
def test_a_module_that_changed_has_its_tests_asked_again(project: Project, text: str, changed: str) -> None:
    files = {
        "suites/helper.py": "LIMIT = 1\n",
        "suites/first.py": "from second import LIMIT\n",
        "suites/second.py": "LIMIT = 1\n",
        "suites/unused.py": "LIMIT = 1\n",
        "src/shop/__init__.py": "",
        "src/shop/limits.py": "LIMIT = 1\n",
        "src/shop/more.py": "LIMIT = 1\n",
    }
    for name, content in files.items():
        (project.path / name).parent.mkdir(parents=True, exist_ok=True)
        (project.path / name).write_text(content)
    (project.path / "pytest.ini").write_text("[pytest]\ntestpaths = suites\npythonpath = src\n")
    (project.path / "suites" / "test_suite.py").write_text(
        f"{text}\n{PRELUDE}\n"
        '@pytest.mark.item("b.tables")\ndef test_tables(gate):\n    says(gate)\n'
        '@pytest.mark.item("b.migrations")\ndef test_migrations(gate):\n    says(gate)\n'
    )

    def kept() -> int:
        ran = project.run_process("-m", "phase2", "--resume", "-p", "no:cacheprovider")
        assert ran.code == 0, ran.text
        return ran.text.count("keeping 2 tests")

    assert [kept(), kept()] == [0, 1]
    (project.path / "suites" / "unused.py").write_text("LIMIT = 2\n")
    assert kept() == 1
    with (project.path / changed).open("a") as file:
        file.write("# another text\n")
    assert [kept(), kept()] == [0, 1]
