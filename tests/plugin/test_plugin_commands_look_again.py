"""What `decide`, `rollback` and the others wrote is read again at their end: lost, it is exit code 25."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from test_plugin_decide import BACK, HOLD
from test_plugin_hooks import deployed, deploygate
from test_plugin_incident import listening

from pytest_deploygate import journal
from pytest_deploygate.journal import Writer

__all__ = ["deployed", "listening"]


def _edit(out: Path) -> None:
    file = out / journal.FILE
    file.write_bytes(file.read_bytes().replace(b'"kind":"run"', b'"kind":"ruN"', 1))


def _by_a_copy(out: Path) -> None:
    shutil.copytree(out, out.with_name("copy"))
    shutil.rmtree(out)
    out.with_name("copy").rename(out)


#: What something else does to the folder while a command writes to it.
DAMAGE = {
    "removed": shutil.rmtree,
    "renamed": lambda out: out.rename(out.with_name("elsewhere")),
    "replaced by a copy": _by_a_copy,
    "the journal removed": lambda out: (out / journal.FILE).unlink(),
    "the journal cut": lambda out: os.truncate(out / journal.FILE, 100),
    "its last line cut": lambda out: os.truncate(
        out / journal.FILE, (out / journal.FILE).stat().st_size - 10
    ),
    "edited": _edit,
    "a line added": lambda out: (out / journal.FILE).write_bytes((out / journal.FILE).read_bytes() + b"{}\n"),
}
EXECUTE = ("rollback", "execute", "--confirm", "prod")
#: Commands that add to the journal, and the kind of line after which the folder is damaged.
COMMANDS = {
    "decide hold": (HOLD, "incident"),
    "decide rollback": (BACK, "incident"),
    "rollback execute": (EXECUTE, "gone back"),
    "rollback execute, json": ((*EXECUTE, "--json"), "gone back"),
    "rollback execute, in the middle": (EXECUTE, "rollback"),
    "rollback after": (("rollback", "after", "--done"), "incident"),
}


@pytest.fixture
def damaging(monkeypatch):
    """Damage the folder once, after a line of a kind was written."""

    def damage_after(kind: str, damage) -> None:
        append, done = Writer.append, []

        def appended(self, of, *arguments, **options):
            entry = append(self, of, *arguments, **options)
            if of == kind and not done:
                done.append(True)
                damage(self.folder)
            return entry

        monkeypatch.setattr(Writer, "append", appended)

    return damage_after


def _prepared(project, command: tuple[str, ...]) -> None:
    project.run("-m", "golive")
    if command[0] == "rollback":
        assert deploygate(project, *BACK).code == 22
    if command[1] == "after":
        assert deploygate(project, *EXECUTE).code == 23


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("what", ["removed", "replaced by a copy", "its last line cut"])
def test_a_command_whose_record_is_lost_ends_with_25(deployed, damaging, command, what):
    words, kind = COMMANDS[command]
    _prepared(deployed, words)
    damaging(kind, DAMAGE[what])
    ran = deploygate(deployed, *words)
    assert ran.code == 25, ran.text
    assert "while the command wrote to it" in " ".join(ran.text.split())
    if words[1] == "execute" and kind == "gone back":
        assert "verified" in ran.text, "how the rollback ended is said all the same"
    if what == "removed":
        assert not deployed.out.exists(), "nothing is written to a folder that is no longer there"


@pytest.mark.parametrize("what", DAMAGE)
def test_no_damage_of_the_folder_is_a_decision(deployed, damaging, what):
    deployed.run("-m", "golive")
    damaging("incident", DAMAGE[what])
    ran = deploygate(deployed, *HOLD)
    assert ran.code == 25, ran.text


def test_a_lost_decision_is_not_told_to_hooks(deployed, damaging):
    (deployed.path / "conftest.py").write_text(
        "from pathlib import Path\n"
        "def pytest_deploygate_notify(event, text):\n"
        "    Path(__file__).with_name('told').open('a').write(event)\n"
    )
    deployed.run("-m", "golive")
    damaging("incident", shutil.rmtree)
    assert deploygate(deployed, *BACK).code == 25
    assert "decided" not in (deployed.path / "told").read_text()


def test_a_follow_up_that_is_lost_is_said(deployed, damaging):
    _prepared(deployed, ("rollback", "after"))
    damaging("incident", lambda out: shutil.rmtree(out / "after"))
    ran = deploygate(deployed, "rollback", "after", "--done")
    assert (ran.code, "while the command wrote to it" in ran.text) == (25, True), ran.text


def test_a_folder_that_another_has_replaced_is_not_written_to(deployed, damaging):
    def another(out: Path) -> None:
        out.rename(out.with_name("elsewhere"))
        out.mkdir()
        (out / "x").touch()

    deployed.run("-m", "golive")
    damaging("incident", another)
    assert deploygate(deployed, *HOLD).code == 25
    assert [file.name for file in deployed.out.iterdir()] == ["x"]


def test_a_command_that_only_shows_is_not_hindered(deployed):
    deployed.run("-m", "golive")
    shown = deploygate(deployed, "decide", "--json")
    assert (shown.code, json.loads(shown.text)["change"]) == (0, "local")
