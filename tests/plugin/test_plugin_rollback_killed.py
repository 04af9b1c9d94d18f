"""A rollback killed at every point: what `verify` says, and that a documented command finishes it."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from test_plugin_decide import BACK
from test_plugin_hooks import deployed, deploygate
from test_plugin_incident import listening

from pytest_deploygate import journal
from pytest_deploygate.decision import unfinished
from pytest_deploygate.signoff.verify import verify

__all__ = ["deployed", "listening"]

EXECUTE = ("rollback", "execute", "--confirm", "prod")


def broken(folder: Path) -> list[str]:
    return [check.text for check in verify(folder, None).checks if check.ok is False and check.code == 25]


def cut(folder: Path, lines: int) -> None:
    """Leave the folder as a kill after this many lines of the journal would, before the results were written."""
    whole = (folder / journal.FILE).read_bytes().splitlines(keepends=True)
    (folder / journal.FILE).write_bytes(b"".join(whole[:lines]))


@pytest.fixture
def gone_back(deployed):
    """A rollback from begin to end, with a copy of the folder as it was when it was decided."""
    deployed.run_process("-m", "golive")
    assert deploygate(deployed, *BACK).code == 22
    shutil.copytree(deployed.out, deployed.path / "decided")
    assert deploygate(deployed, *EXECUTE).code == 23
    assert broken(deployed.out) == []
    shutil.copytree(deployed.out, deployed.path / "whole")
    return deployed


def put(project, lines: int) -> None:
    """Put back the folder of the moment at which `lines` were written; the results are those of the decision."""
    shutil.rmtree(project.out)
    shutil.copytree(project.path / "decided", project.out)
    shutil.copy(project.path / "whole" / journal.FILE, project.out / journal.FILE)
    cut(project.out, lines)


def kinds(project) -> list[str]:
    entries, _ = journal.read(project.path / "whole")
    return [entry.body.get("mark", entry.kind) for entry in entries]


@pytest.mark.parametrize(
    "later", ["report", "decide", "outcome", "sign --role x --key k", "rollback", "pytest"]
)
def test_after_the_last_step_any_command_finishes_it(gone_back, later):
    told = kinds(gone_back)
    for lines in range(told.index("ended") + 1, len(told)):
        put(gone_back, lines)
        said = broken(gone_back.out)
        assert "`deploygate rollback execute` was interrupted after the last step" in said[0], (lines, said)
        if later == "pytest":
            gone_back.run_process("-m", "golive")
        elif later == "rollback":
            assert deploygate(gone_back, *EXECUTE).code == 23
        else:
            ran = deploygate(gone_back, *shlex.split(later))
            assert ran.code == {"report": 0, "decide": 0, "outcome": 23}.get(later, 2), (lines, ran.text)
        assert broken(gone_back.out) == [], (lines, later)
        entries, _ = journal.read(gone_back.out)
        found = [entry.kind for entry in entries]
        assert found.count("gone back") == 1
        if later != "pytest":
            assert "nobody decided" not in (gone_back.out / "signoff.html").read_text()
            decided = json.loads((gone_back.out / "verdicts.json").read_text())["decision"]
            assert (decided["outcome"], decided["exit_code"]) == ("ROLLBACK", 23)
            assert deploygate(gone_back, "outcome").code == 23


def test_between_steps_its_own_command_continues_it(gone_back):
    told = kinds(gone_back)
    for lines in range(told.index("begun") + 1, told.index("ended") + 1):
        put(gone_back, lines)
        assert deploygate(gone_back, "report").code == 0
        said = broken(gone_back.out)
        assert len(said) == 1, (lines, said)
        (command,) = re.findall("`deploygate ([^`]*)` continues it", said[0])
        assert deploygate(gone_back, *shlex.split(command)).code == 23
        assert broken(gone_back.out) == [], lines


def test_one_that_stopped_is_finished_as_failed(deployed):
    """Killed after the step that failed: it did not go back, and that is what stands."""
    inventory = deployed.path / "inventories" / "prod.yml"
    inventory.write_text(inventory.read_text().replace("run: touch maintenance", "run: sh -c false", 1))
    deployed.run_process("-m", "golive")
    assert deploygate(deployed, *BACK).code == 22
    assert deploygate(deployed, *EXECUTE).code == 24
    whole, _ = journal.read(deployed.out)
    told = [entry.body.get("mark", entry.kind) for entry in whole]
    cut(deployed.out, told.index("stopped") + 1)
    assert broken(deployed.out)
    assert deploygate(deployed, "report").code == 0
    assert broken(deployed.out) == []
    assert deploygate(deployed, "outcome").code == 24


def test_a_rollback_of_a_run_is_finished_too(deployed):
    deployed.run_process("-m", "golive", "--rollback", "execute")
    whole, _ = journal.read(deployed.out)
    told = [entry.body.get("mark", entry.kind) for entry in whole]
    assert "ended" in told, told
    cut(deployed.out, told.index("ended") + 1)
    assert deploygate(deployed, "report").code == 0
    assert deploygate(deployed, "outcome").code == 23
    assert broken(deployed.out) == []


def test_a_killed_run_says_what_completes_it(deployed):
    deployed.run_process("-m", "golive", "--change", "C1")
    folder = deployed.path / "deploygate-out" / "C1"
    entries, _ = journal.read(folder)
    kinds_ = [entry.kind for entry in entries]
    for lines in range(1, kinds_.index("decision") + 1):
        cut(folder, lines)
        assert any("--change C1 --resume` completes it" in text for text in broken(folder)), lines
        deployed.run_process("-m", "golive", "--change", "C1", "--resume")
        assert broken(folder) == []


def test_without_a_rollback_nothing_is_half_done(gone_back):
    entries, _ = journal.read(gone_back.path / "whole")
    assert unfinished.rollback(entries) is None
    assert unfinished.rollback(entries[:1]) is None
