"""Making one record of all shards of a run: the change's journal goes on as if one run had measured everything.

What the shards found is taken over as it is, with each shard's journal beside it. What only a whole run can judge (the
issue log, the ledger of the gate's own probes, whether the phases before have a GO) is judged here, and then decided.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pytest_deploygate.checklist.vocabulary import CLOCK_SLACK, time_words
from pytest_deploygate.files import sha256
from pytest_deploygate.journal import FILE, finding_from_json, readable
from pytest_deploygate.judging.spending import KIND as SPENT
from pytest_deploygate.model import Verdict
from pytest_deploygate.report.record import Record
from pytest_deploygate.session.bound import BoundTest, Collected
from pytest_deploygate.session.evidence import intact
from pytest_deploygate.session.pieces import Incomplete, Piece, Unlike
from pytest_deploygate.session.run import Run
from pytest_deploygate.session.settings import Settings
from pytest_deploygate.session.sharding import FOLDER
from pytest_deploygate.signoff.folder import inside


@readable()
def options(found: Sequence[Piece]) -> list[str]:
    """Return the options of pytest with which a whole run has the settings of the shards."""
    begin = found[0].begin
    shard = begin["shard"]
    said = [*map(str, begin["options"]), f"--change={begin['change']}", "--shard=1/1"]
    said += ["-m", str(shard["expression"])] if shard["expression"] else []
    said += [f"--items={','.join(shard['only'])}"] if shard["only"] else []
    said += [f"--override-freeze={shard['override_freeze']}"] if shard["override_freeze"] else []
    said += [f"--allow-disruptive={begin['inventory']['name']}"] if shard["allow_disruptive"] else []
    return [*said, *(["--waived-exit"] if begin["waived_exit"] else [])]


def merge(
    settings: Settings, found: Sequence[Piece], plugins: pytest.PytestPluginManager
) -> tuple[Run, Record]:
    """Append a run to the change's journal that has what all shards found, and decide.

    Raises Unlike if this folder has another inventory or checklist, Incomplete if evidence is not as recorded, JournalError
    if the change's folder cannot be written.
    """
    pieces = sorted(found, key=lambda each: each.index)
    _same_here(settings, pieces[0])
    _evidence(settings.out, pieces)
    begin = pieces[0].begin
    run = Run(
        settings,
        {},
        begin["inputs"]["sources"],
        plugins,
        [_said(each) for each in pieces],
        lines=begin.get("lines"),
    )
    journals = settings.out / FOLDER
    journals.mkdir(exist_ok=True)
    for each in pieces:
        shutil.copyfile(each.folder / FILE, journals / f"{each.run}.jsonl")
    tests = tuple(BoundTest(test, items) for each in pieces for test, items in each.tests)
    run.know(Collected(tests))
    disturbances = list(_disturbances(pieces))
    for each in pieces:
        made = run.take_over(("test", _line(each, line.body, disturbances)) for line in each.lines)
        for line, entry in zip(each.lines, made, strict=True):
            entry.take_findings(line)
        run.take_over((SPENT, spent) for spent in each.spent)
        run.others |= dict.fromkeys(each.others)
    return run, run.finish(interrupted=False)


def _same_here(settings: Settings, first: Piece) -> None:
    begin = first.begin
    for name, here, there in (
        ("inventory", settings.loaded.sha256, begin["inventory"]["sha256"]),
        ("checklist", settings.checklist.sha256, begin["checklist"]["sha256"]),
    ):
        if here != there:
            raise Unlike(
                f"the {name} here is not the one that the shards ran with: check out the same commit, or name it"
            )


def _said(each: Piece) -> dict[str, Any]:
    """Return what the merged run says of a shard; its journal's digest and head vouch for what was taken from it."""
    return {
        "index": each.index,
        "of": each.of,
        "run": each.run,
        "head": each.head,
        "sha256": sha256((each.folder / FILE).read_bytes()),
        "host": str(each.begin.get("host", "")),
        "who": str(each.begin.get("who", "")),
        "started": each.started.isoformat(),
        "ended": each.ended.isoformat() if each.ended else None,
        "tests": len(each.tests),
    }


@readable()
def _evidence(out: Path, pieces: Sequence[Piece]) -> None:
    """Copy the shards' evidence to the change's folder.

    Raises Incomplete for what is not as it was recorded, JournalError for a finding that this version cannot read.
    """
    wrong = []
    for each in pieces:
        for line in each.lines:
            for finding in line.findings:
                for one in finding.evidence:
                    if (one.path and not inside(one.path)) or not intact(each.folder, one):
                        wrong.append(f"{one.path or one.title} of {each.words}")
                    elif one.path and each.folder != out:
                        target = out / one.path
                        target.parent.mkdir(parents=True, exist_ok=True)
                        shutil.copyfile(each.folder / one.path, target)
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise Incomplete(
            f"evidence is missing or was altered: {', '.join(wrong[:3])}{more}; copy the folder again"
        )


#: A test that disturbed the platform: its shard, its name, from when to when.
_Disturbance = tuple[int, str, datetime, datetime]


def _disturbances(pieces: Sequence[Piece]) -> Iterator[_Disturbance]:
    for each in pieces:
        for line in each.lines:
            if line.body["test"] in each.disruptive:
                for finding in line.findings:
                    began = finding.at - timedelta(seconds=finding.duration_s)
                    yield each.index, finding.test, began - CLOCK_SLACK, finding.at + CLOCK_SLACK


def _line(each: Piece, line: Mapping[str, Any], disturbances: Sequence[_Disturbance]) -> dict[str, Any]:
    """Return a shard's line as it is taken over: a failure while another shard disturbed the platform says nothing."""
    was = line["findings"]
    now = [_after(each, plain, disturbances) for plain in was]
    taken = {"test": line["test"], "findings": was, "shard": each.index}
    return taken if now == was else {**taken, "findings": now, "was": was}


def _after(each: Piece, plain: dict[str, Any], disturbances: Sequence[_Disturbance]) -> dict[str, Any]:
    if not disturbances or plain["verdict"] != Verdict.FAIL.value:
        return plain
    finding = finding_from_json(plain)
    began = finding.at - timedelta(seconds=finding.duration_s)
    for index, test, start, end in disturbances:
        if index != each.index and began <= end and finding.at >= start:
            why = (
                f"shard {index} disturbed the platform meanwhile ({test}, {time_words(start)} to {time_words(end)}): "
                f"run {finding.item} again; it had failed: {finding.reason}"
            )
            return {**plain, "verdict": Verdict.INCONCLUSIVE.value, "reason": why, "confirmed": False}
    return plain
