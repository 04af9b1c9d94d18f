"""A secret of the inventory appears in no file and no stream of a run, whatever the suite's tests do with it."""

from __future__ import annotations

import base64

import pytest
from project import GOOD, Project

from pytest_deploygate.signoff.verify import verify

CANARY = "c4nary-in-the-c0al-mine"
LEAKS = """
SECRET = os.environ["CANARY"]

@pytest.fixture
def leaky():
    raise RuntimeError(f"fixture {SECRET}")

@pytest.mark.item("b.migrations")
def test_assertion(gate):
    print("printed", SECRET)
    print("printed", SECRET, file=sys.stderr)
    local = SECRET
    assert local == "x", f"message {SECRET}"

@pytest.mark.item("b.tables")
def test_exception(gate):
    raise ValueError(SECRET)

@pytest.mark.item("b.notes")
def test_finding(gate):
    says(gate, "fail", f"reason {SECRET}", SECRET, target=f"target {SECRET}")

@pytest.mark.item("b.notes")
def test_setup(gate, leaky):
    says(gate)

@pytest.mark.phase2
def test_of_somebody_else():
    print(SECRET)
    assert SECRET == "x"

def test_named(gate):
    pytest.skip(SECRET)
"""
INVENTORY = """\
name: prod
database: {name: platform, user: gate, password: "env:CANARY", primary: "127.0.0.1:1"}
"""


@pytest.mark.parametrize(
    "args", [(), ("--tb=long", "-vv", "-rA", "--showlocals"), ("--tb=short", "-n", "2")], ids=" ".join
)
def test_the_canary_is_nowhere(project: Project, args: tuple[str, ...]) -> None:
    project.inventory(INVENTORY)
    project.suite(LEAKS)
    ran = project.run_process(
        "-m",
        "phase2",
        "--html",
        "t.html",
        "--self-contained-html",
        "--junitxml",
        "own.xml",
        *args,
        CANARY=CANARY,
    )
    assert project.verdict("b.migrations") == "fail", ran.text
    files = [file for file in project.path.rglob("*") if file.is_file()]
    assert {"signoff.html", "journal.jsonl", "junit.xml", "own.xml", "t.html"} <= {
        file.name for file in files
    }
    forms = (CANARY, base64.b64encode(CANARY.encode()).decode()[:-4])
    for place, text in [
        ("the terminal", ran.text),
        *((f.name, f.read_text(errors="replace")) for f in files),
    ]:
        assert not [form for form in forms if form in text], place


def test_output_without_a_secret_is_left_alone(project: Project) -> None:
    project.inventory(INVENTORY)
    project.suite(GOOD.replace("def test_notes(gate):", "def test_notes(gate):\n    print('plain words')"))
    ran = project.run_process("-m", "phase2", "-rA", "--tb=long", CANARY=CANARY)
    assert "plain words" in ran.text


@pytest.mark.parametrize(
    "word",
    [
        "test",
        "gate",
        "json",
        "lead",
        "evidence",
        "phase2",
        "suites",
        "migrations",
        "verdict",
        "journal.jsonl",
    ],
)
def test_a_password_that_is_a_word_of_the_record_breaks_nothing(project: Project, word: str) -> None:
    project.inventory(INVENTORY.replace("user: gate,", "user: reader,"))
    project.suite(GOOD)
    ran = project.run_process("-m", "phase2", CANARY=word)
    assert ran.code == 0, ran.text
    if len(word) > 4:
        assert "the secret in env:CANARY is a word" in " ".join(ran.text.split())
    items = [entry["id"] for entry in project.verdicts()["items"]]
    assert items == ["a.servers", "a.tls", "b.migrations", "b.tables", "b.notes", "c.errors"]
    assert not [
        check.text for check in verify(project.out, None).checks if check.ok is False and check.code == 25
    ]
    assert "[secret]" not in (project.out / "journal.jsonl").read_text()
    again = project.run_process("-m", "phase2", "--resume", CANARY=word)
    assert "keeping 4 tests" in again.text
    assert again.code == 0, again.text
