"""The whole rollback on real servers: as in the story, and killed three times on its way."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_deploygate.lab import cluster, releases, sql, story, users
from pytest_deploygate.lab.services import edge, front
from pytest_deploygate.lab.state import HOST, Lab, LabError
from pytest_deploygate.lab.telling import Telling
from pytest_deploygate.lab.users import Users

ROOT = Path(__file__).parents[2]


@pytest.fixture
def out(lab: Lab, tmp_path: Path) -> Iterator[Path]:
    """A folder for the story; whatever happens, the lab is as before afterwards."""
    if front.FRONT not in lab.ports:
        pytest.skip("this lab has no HTTP front")
    front.wait_watched(lab)  # it would see the maintenance page as an outage
    yield tmp_path / "story"
    if releases.cutover_file(lab).exists():
        releases.forget(lab)
    assert cluster.ailments(lab) == []
    assert (users.where(lab), users.version(lab, HOST)) == (HOST, releases.VERSIONS[0])
    assert sql.value(lab, "SELECT count(line) FROM platform.machines") == 12


def test_the_storys_load_is_lighter_than_the_labs(tmp_path: Path) -> None:
    """Each of its three measurements took 15 s longer once the lab's load was another than the one it looked for."""
    text = Path(story.lighter_inventory(ROOT, "lab", tmp_path)).read_text()
    load = text.partition("\nload:\n")[2].partition("\nbackup:")[0]
    assert re.search(r"^  peak_per_second: 60\b", load, re.MULTILINE)
    assert re.search(r"^  duration: 6s$", load, re.MULTILINE)
    (tmp_path / "none.yml").write_text("name: lab\nbackup:\n  duration: 20s\n")
    with pytest.raises(LabError, match=r"none.yml has no line `  peak_per_second:` below `load:`"):
        story.lighter_inventory(ROOT, str(tmp_path / "none.yml"), tmp_path)


def journal(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]


@pytest.mark.timeout(900)
@pytest.mark.long
def test_a_rollback_that_is_killed_three_times_is_continued_and_ends_verified(lab: Lab, out: Path) -> None:
    """SIGKILL between two steps, within the restore, within a command: each time the same command continues.

    The gate opens the incident (a certificate for another name at the new address), a person decides.
    """
    out.mkdir()
    telling = Telling(ROOT, story.lighter_inventory(ROOT, "lab", out), out)
    folder = out / story.CHANGE
    try:
        releases.start_before(lab)
        with Users(lab) as busy:
            releases.deploy_new(lab, story.CHANGE)
            edge.change(lab, new="wrong-name")
            words = ["pytest", "--items=golive.dns", f"--inventory={telling.inventory}", "-q"]
            telling.run([*words, f"--change={story.CHANGE}", f"--deploygate-out={folder}"], 1)
            words = ["decide", "rollback", "--role=deployment-lead", "--reason=browsers refuse the new site"]
            telling.run(["pytest_deploygate", *words, *story.of_change(telling)], 22)
            story.roll_back(telling, lab, busy, interrupt=True)
    finally:
        edge.restore(lab, "new")
    steps = [line for line in journal(folder) if line["kind"] == "rollback"]
    marks = Counter((line["step"], line["mark"]) for line in steps)
    assert [n for (step, mark), n in marks.items() if mark == "done"] == [1] * 9, "none is done twice"
    assert (marks["", "begun"], marks["", "ended"], marks["", "stopped"]) == (1, 1, 0)
    assert marks["database back", "intent"] == 2, "killed in the middle, it is begun again"
    saved = [line for line in journal(folder) if line["kind"] == "loss"][-1]
    assert saved["role"] == "executive-sponsor"
    assert len(Path(saved["saved"]).read_text().splitlines()) == saved["rows"] + 1, "a heading, and each row"
    assert list(lab.private.glob("db1.before-rollback-*")), "the old data is kept aside"
    report = (folder / "signoff.html").read_text()
    for said in (
        "The rollback",
        "DNS back",
        "done, verified",
        "Every step of the rollback was done and verified.",
        "What remains",
    ):
        assert said in report


@pytest.mark.quiet
@pytest.mark.timeout(900)
def test_the_story_is_told_to_its_end(lab: Lab, out: Path) -> None:
    """The gate says GO before, then HOLD, then ROLLBACK; the rollback ends verified, the report shows it."""
    story.tell(lab.folder, ROOT, "lab", out, lambda _: None, keep=False)
    decided = [
        line["decision"]["outcome"] for line in journal(out / story.CHANGE) if line["kind"] == "decision"
    ]
    assert [one for one in decided if one != "HOLD"] == ["ROLLBACK", "ROLLBACK"], "decided, and gone back"
    verdicts = json.loads((out / story.CHANGE / "verdicts.json").read_text())
    assert verdicts["decision"]["exit_code"] == 23
    assert (out / story.CHANGE / "after" / "retry.ics").is_file()
