"""The values behind `env:` when a later phase builds on a GO, and the modules that a test imports when a run resumes."""

from __future__ import annotations

import pytest
from project import PRELUDE, Project

CHECKLIST = """\
# Release

## One {#one}
- [ ] A {#one.a .automated}

## Two {#two}
- [ ] B {#two.b .automated}
"""
INVENTORY = "name: prod\ndatabase:\n  name: x\n  user: y\n  password: env:DB_PASSWORD\n  primary: 127.0.0.1\n"


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


def test_a_go_holds_for_the_values_that_it_was_given_for(two: Project) -> None:
    def run(phase: str, password: str) -> tuple[int, str]:
        ran = two.run_process("-m", phase, "--change", "C1", DB_PASSWORD=password)
        return ran.code, " ".join(ran.text.split())

    assert run("one", "the-first-one")[0] == 0
    assert run("two", "the-first-one")[0] == 0
    code, said = run("two", "the-other-one")
    assert code == 21
    assert "values that the inventory refers to were changed since the GO of one (env:DB_PASSWORD)" in said
    assert "the-other-one" not in said
    assert run("one", "the-other-one")[0] == 0
    assert run("two", "the-other-one")[0] == 0
    journal = (two.path / "deploygate-out" / "C1" / "journal.jsonl").read_text()
    assert "the-first-one" not in journal
    (two.path / "deploygate-out" / "C1" / ".key").unlink()
    assert run("two", "the-other-one")[0] == 21, "what cannot be compared is unknown"


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
