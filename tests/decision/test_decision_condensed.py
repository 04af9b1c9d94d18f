"""A checkpoint stands for the lines before it: what is computed from it is the same as from all lines."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pytest_deploygate import journal
from pytest_deploygate.decision import condensed, rules, standing
from pytest_deploygate.journal import FILE, Entry, JournalError, Writer, utcnow
from pytest_deploygate.model import Finding, Item, Kind, Phase, Reading, Severity, Verdict
from pytest_deploygate.report import from_journal, results
from pytest_deploygate.report.live.following import Following, Seen
from pytest_deploygate.rollback import situation
from pytest_deploygate.signoff import folder as folders

PHASES = ("phase1", "phase2", "golive")
ITEMS = {phase: [f"{phase}.item-{n}" for n in range(3)] for phase in PHASES}


@dataclass
class Change:
    """Writes runs of a change as the gate does, as `chance` decides."""

    folder: Path
    chance: random.Random
    runs: int = 0
    always_condensed: bool = False
    notes: bool = True

    def run(self, phases: list[str] | None = None, *, resumes: bool = False) -> None:
        """Write one run; it may be killed before its end."""
        chance = self.chance
        self.runs += 1
        run = f"run-{self.runs}"
        phases = phases if phases is not None else chance.sample(PHASES, chance.choice((1, 1, 2, 3)))
        scope = [item for phase in phases for item in ITEMS[phase]]
        scope = scope if chance.random() < 0.7 else chance.sample(scope, 1)
        writer = Writer(self.folder)
        taken = [item for item in scope if resumes and chance.random() < 0.5]
        kept = [f"test_{item}" for item in taken] if writer.entries else []
        writer.append("run", self.begin(run, " ".join(phases), scope, resumes=resumes, kept=kept))
        writer.append("bound", {"run": run, "tests": [(f"test_{item}", [item]) for item in scope]})
        for item in scope:
            if f"test_{item}" not in kept and chance.random() < 0.95:
                found = [journal.finding_to_json(self.finding(item)) for _ in range(chance.choice((1, 2)))]
                writer.append("test", {"run": run, "test": f"test_{item}", "findings": found}, wait=False)
        if chance.random() < 0.9:
            decision = rules.decide(standing.question(writer.entries, [], utcnow()))
            writer.append("decision", {"run": run, "decision": journal.decision_to_json(decision)})
            writer.append("end", {"run": run, "interrupted": False})
            if self.always_condensed or condensed.due(writer.entries):
                writer.checkpoint(condensed.condense(writer.entries))
        if self.notes and chance.random() < 0.1:
            writer.append("note", {"text": f"after {run}"})
        writer.close()

    def begin(
        self, run: str, scope: str, items: list[str], *, resumes: bool, kept: list[str]
    ) -> dict[str, Any]:
        """Return a run's frame; the inventory and the severity of an item change now and then."""
        chance = self.chance
        return {
            "run": run,
            "change": "CHG-1",
            "inventory": {
                "name": chance.choice(("prod", "prod", "prod", "staging")),
                "description": "",
                "sha256": str(chance.choice((1, 1, 1, 2))) * 64,
            },
            "checklist": {
                "file": "checklist.md",
                "sha256": "3" * 64,
                "phases": [dataclasses.asdict(Phase(phase, phase)) for phase in PHASES],
                "items": [
                    dataclasses.asdict(Item(item, item, phase, Severity.CRITICAL, Kind.AUTOMATED))
                    for phase in PHASES
                    for item in ITEMS[phase]
                ],
                "roles": [],
            },
            "scope": scope,
            "scope_items": items,
            "not_applicable": {},
            "policy": {"rollback_from": "golive", "decision_valid_s": 86400.0},
            "waived_exit": False,
            "kept": kept,
            "resumes": resumes,
            "waivers": [],
            "weakenings": [],
            "windows": {},
            "chained": True,
            "who": "deployer",
            "host": "runner",
            "versions": {"pytest-deploygate": "0"},
        }

    def finding(self, item: str) -> Finding:
        """Return a finding, mostly good, with a number that varies."""
        verdict = self.chance.choices((Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE), (8, 1, 1))[0]
        value = round(self.chance.gauss(10, 3), 2)
        return Finding(
            item, self.chance.choice(("", "db1")), verdict, f"{value} s", f"test_{item}",
            utcnow() - timedelta(seconds=self.chance.random()), 0.1, (Reading("lag_s", value, "s", limit="9", ok=True),),
        )  # fmt: skip


def all_lines(folder: Path) -> list[Entry]:
    path = folder / FILE
    return journal.parse(path.read_bytes(), path)[0]


def whole_report(entries: list[Entry]) -> dict[str, str]:
    return dict(results.render(from_journal.build(entries)))


def seen_live(seen: Seen | None) -> Any:
    """What the live page shows of a journal, as it is compared with the report's record."""
    assert seen
    assert seen.change, seen.problem
    change = seen.change
    results = [(i.id, i.verdict, i.reason, i.at) for i in change.items]
    return results, change.decision, change.running, change.head


def of_record(lines: list[Entry]) -> Any:
    record, last = from_journal.build(lines), journal.segments(lines)[-1]
    results = [
        (
            r.item.id,
            r.verdict,
            "" if r.verdict.good else r.reason,
            max((f.at for f in r.findings), default=None),
        )
        for r in record.items
        if r.in_scope
    ]
    return results, record.decision, last.ended is None, lines[-1].sha256


@pytest.mark.parametrize("seed", range(6))
def test_the_live_page_follows_and_starts_anywhere_with_the_results_of_the_report(tmp_path, seed):
    chance = random.Random(seed)
    change = Change(tmp_path, chance, always_condensed=seed % 2 == 0)
    following = Following(tmp_path)
    for _ in range(12):
        change.run(resumes=chance.random() < 0.5)
        expected = of_record(all_lines(tmp_path))
        assert seen_live(following.look()) == expected
        assert seen_live(Following(tmp_path).look()) == expected


@pytest.mark.parametrize("seed", range(12))
def test_report_decision_and_clocks_are_the_same_from_a_checkpoint_as_from_all_lines(tmp_path, seed):
    chance = random.Random(seed)
    change = Change(tmp_path, chance, always_condensed=seed % 2 == 0)
    for _ in range(24):
        change.run(resumes=chance.random() < 0.4)
        short, lines = journal.read(tmp_path)[0], all_lines(tmp_path)
        assert whole_report(short) == whole_report(lines)
        now = utcnow()
        assert standing.question(short, [], now) == standing.question(lines, [], now)
        assert situation.now(short) == situation.now(lines)
        assert short[-1].sha256 == lines[-1].sha256
    assert condensed.untrue(lines) is None
    assert not change.always_condensed or len(short) < len(lines)


def test_what_a_run_reads_does_not_grow(tmp_path):
    change = Change(tmp_path, random.Random(1), notes=False, always_condensed=True)
    read = []
    for _ in range(60):
        change.run(["phase2"])
        read.append(len(journal.read(tmp_path)[0]))
    assert max(read[30:]) <= max(read[:30]) * 1.1
    assert max(read) < len(all_lines(tmp_path)) / 5
    point = next(line for line in reversed(all_lines(tmp_path)) if line.kind == journal.CHECKPOINT)
    assert point.length < 60 * 1000, "a checkpoint is small itself: a run is less than 1 kB in it"


def test_many_resumed_runs_do_not_grow_either(tmp_path):
    change = Change(tmp_path, random.Random(2), notes=False, always_condensed=True)
    read = []
    for number in range(60):
        change.run(["phase2"], resumes=number > 0)
        read.append(len(journal.read(tmp_path)[0]))
    assert max(read) < len(all_lines(tmp_path)) / 4


@pytest.fixture
def condensed_change(tmp_path) -> Path:
    change = Change(tmp_path, random.Random(3), always_condensed=True)
    for _ in range(6):
        change.run(["phase2"])
    return tmp_path


def _last_point(raw: bytes) -> int:
    return raw.rindex(b'"kind":"checkpoint"')


@pytest.mark.parametrize("where", [0.01, 0.3, 0.6, 0.9])
def test_a_flipped_bit_before_a_checkpoint_is_found_by_every_reading(condensed_change, where):
    path = condensed_change / FILE
    raw = bytearray(path.read_bytes())
    raw[int(_last_point(raw) * where)] ^= 1
    path.write_bytes(raw)
    with pytest.raises(JournalError, match=r"journal\.jsonl:\d+: "):
        journal.read(condensed_change)


def _sealed_again(raw: bytes, changed: Callable[[dict[str, Any]], None]) -> bytes:
    """Return a journal as a forger would leave it: each line changed by `changed`, and all digests made to fit."""
    lines, previous = b"", journal.GENESIS
    for line in raw.split(b"\n")[:-1]:
        body = json.loads(line)
        del body["own"]
        changed(body)
        body["prev"] = previous
        if body["kind"] == journal.CHECKPOINT:
            body["sha256"] = hashlib.sha256(lines).hexdigest()
        text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        sealed = text[:-1] + f',"own":"{hashlib.sha256(text).hexdigest()}"}}'.encode()
        previous = hashlib.sha256(sealed).hexdigest()
        lines += sealed + b"\n"
    return lines


def test_a_checkpoint_of_other_bytes_is_found_by_every_reading(condensed_change):
    path = condensed_change / FILE
    raw = path.read_bytes()
    start = raw.rindex(b"\n", 0, _last_point(raw)) + 1
    body = json.loads(raw[start:])
    del body["own"]
    body["sha256"] = "0" * 64
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    path.write_bytes(raw[:start] + text[:-1] + f',"own":"{hashlib.sha256(text).hexdigest()}"}}\n'.encode())
    with pytest.raises(JournalError, match="this checkpoint is not of the lines before it"):
        journal.read(condensed_change)


def test_a_checkpoint_that_says_something_else_does_not_verify(condensed_change):
    path = condensed_change / FILE
    count = 0

    def fewer(body: dict[str, Any]) -> None:
        nonlocal count
        if body["kind"] == journal.CHECKPOINT:
            count += 1
            if count == 3:
                body["numbers"] = []

    raw = _sealed_again(path.read_bytes(), fewer)
    journal.parse(raw, path)  # the chain fits
    with pytest.raises(JournalError, match="does not say what the lines before it say"):
        folders.chain(raw, path)


@pytest.mark.parametrize("name", ["kept", "runs", "earlier", "numbers", "before"])
@pytest.mark.parametrize("value", [None, 7, [[0, 5]], [["x"]], "x"])
def test_a_malformed_checkpoint_is_a_sentence(condensed_change, name, value):
    path = condensed_change / FILE

    def malformed(body: dict[str, Any]) -> None:
        if body["kind"] == journal.CHECKPOINT:
            body[name] = value

    raw = _sealed_again(path.read_bytes(), malformed)
    path.write_bytes(raw)
    with pytest.raises(JournalError, match="this checkpoint cannot be read"):
        journal.read(condensed_change)
