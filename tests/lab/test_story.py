"""The whole rollback on real servers, killed three times on its way."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from pytest_deploygate.lab import cluster, releases, sql, story, users
from pytest_deploygate.lab.services import front
from pytest_deploygate.lab.state import HOST, Lab

ROOT = Path(__file__).parents[2]


def test_the_story_ends_rolled_back_and_verified_although_it_is_killed_three_times(
    lab: Lab, tmp_path: Path
) -> None:
    """The gate says HOLD, then ROLLBACK; every step is verified, the report tells it, the lab is as before."""
    if front.FRONT not in lab.ports:
        pytest.skip("this lab has no HTTP front")
    front.wait_watched(lab)  # it would see the maintenance page as an outage
    story.tell(lab.folder, ROOT, "lab", tmp_path / "story", keep=False, interrupt=True)
    folder = tmp_path / "story" / story.CHANGE
    decision = json.loads((folder / "verdicts.json").read_text())["decision"]
    assert (decision["outcome"], decision["exit_code"]) == ("ROLLBACK", 23)
    lines = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    steps = [line for line in lines if line["kind"] == "rollback"]
    marks = Counter((line["step"], line["mark"]) for line in steps)
    names = [step for step, mark in marks if mark == "done"]
    assert len(names) == 8
    assert all(marks[name, "done"] == 1 for name in names), "what is done is not done twice"
    assert marks["", "begun"] == marks["", "ended"] == 1
    assert marks["database back", "intent"] == 2, "killed in the middle, it is begun again"
    saved = next(line for line in lines if line["kind"] == "loss")
    assert saved["role"] == "executive-sponsor"
    assert len(Path(saved["saved"]).read_text().splitlines()) == saved["rows"] + 1
    report = (folder / "signoff.html").read_text()
    for words in ("The rollback", "DNS back", "done, verified", "Gone back, and verified.", "What remains"):
        assert words in report
    assert (folder / "after" / "retry.ics").is_file()
    assert cluster.ailments(lab) == []
    assert (users.where(lab), users.version(lab, HOST)) == (HOST, releases.VERSIONS[0])
    assert sql.value(lab, "SELECT count(line) FROM platform.machines") == 12
