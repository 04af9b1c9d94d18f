"""The one next command, by situation."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pytest_deploygate.decision.compose import ItemResult
from pytest_deploygate.decision.rules import BEFORE, CONDITIONS, OUTSIDE
from pytest_deploygate.model import Closing, Decision, Item, Kind, Outcome, Phase, Rule, Severity, Verdict
from pytest_deploygate.report import beside as beside_files
from pytest_deploygate.report.due import Beside, due
from pytest_deploygate.report.record import Provenance, Record

AT = datetime(2026, 12, 1, 20, 0, tzinfo=UTC)
ROLES = ("deployment-lead", "technical-lead")


def rule(name: str, says: Outcome, *items: str) -> Rule:
    return Rule(name, says, "because", items)


def record(outcome: Outcome | None, code: int, *rules: Rule, last: bool = False, **more) -> Record:
    phase = "handover" if last else "phase2"
    items = (
        ItemResult(
            Item("x.one", "one", phase, Severity.MAJOR, Kind.AUTOMATED, closing=more.pop("closing", None)),
            Verdict.PASS,
            "it is",
            in_scope=True,
        ),
    )
    decision = outcome and Decision(outcome, phase, code, rules, AT, {})
    provenance = Provenance("tool", "3", "host", "a", "b", "head", "journal.jsonl")
    known = Record(
        change="CHG-1", inventory="prod", description="", scope=phase, decision=decision, items=items, runs=(),
        phases=(Phase("phase2", "Phase 2"), Phase("handover", "Handover")), provenance=provenance, roles=ROLES,
        ticket="jira:OPS-42",
    )  # fmt: skip
    return dataclasses.replace(known, **more)


GO, HOLD, BACK = Outcome.GO, Outcome.HOLD, Outcome.ROLLBACK
NOTICES, ATTACHED = Beside(notices=True), Beside(attached=True)
AGAIN = "pytest -m phase2 --inventory prod --change CHG-1"
ATTACH = "deploygate attach --change CHG-1 --ticket jira:OPS-42"
TABLE = [
    ("no decision", record(None, 0), Beside(), "again", f"{AGAIN} --resume"),
    ("evidence lost", record(HOLD, 25, rule("x", HOLD)), Beside(), "again", f"{AGAIN} --resume"),
    ("failed", record(HOLD, 1, rule("x", HOLD, "x.one")), Beside(), "again", AGAIN),
    ("failed, notices wait", record(HOLD, 1, rule("x", HOLD, "x.one")), NOTICES, "again", AGAIN),
    ("unknown", record(HOLD, 21, rule("x", HOLD, "x.one")), Beside(), "again", AGAIN),
    ("phases before", record(HOLD, 21, rule(BEFORE, HOLD)), Beside(), "again", AGAIN),
    ("outside a change", record(HOLD, 21, rule(OUTSIDE, HOLD)), Beside(), "again", AGAIN),
    ("after go-live", record(HOLD, 1, rule(CONDITIONS, HOLD, "x.one")), Beside(), "decide", "deploygate decide --change CHG-1"),
    ("advised", record(BACK, 22, rule(CONDITIONS, BACK)), NOTICES, "decide", "deploygate decide rollback --change CHG-1 --role ROLE --reason TEXT"),
    ("back", record(BACK, 23, rule("x", BACK)), Beside(), "decide", "deploygate decide --change CHG-1"),
    ("not back", record(BACK, 24, rule("x", BACK)), Beside(), "rollback", "deploygate rollback execute --change CHG-1"),
    ("only signatures", record(HOLD, 21, rule("x", HOLD, "x.one"), closing=Closing.SIGNED), Beside(), "sign", "deploygate sign --change CHG-1 --role deployment-lead --key KEY"),
    ("go", record(GO, 0), Beside(), "attach", ATTACH),
    ("go, notices wait", record(GO, 0), NOTICES, "notify", "deploygate notify send --change CHG-1"),
    ("go, attached", record(GO, 0), ATTACHED, "proceed", ""),
    ("go, no tracker", record(GO, 0, ticket=""), Beside(), "proceed", ""),
    ("go, with waivers", record(GO, 20), Beside(), "attach", ATTACH),
    ("last go", record(GO, 0, last=True), NOTICES, "sign", "deploygate sign --change CHG-1 --role deployment-lead --key KEY"),
    ("last go, one signed", record(GO, 0, last=True), Beside(signed=ROLES[:1]), "sign", "deploygate sign --change CHG-1 --role technical-lead --key KEY"),
    ("last go, all signed", record(GO, 0, last=True), Beside(signed=ROLES), "attach", ATTACH),
    ("last go, no change", record(GO, 0, last=True, change="local", ticket=""), Beside(), "proceed", ""),
    ("last go, no roles", record(GO, 0, last=True, roles=()), Beside(), "attach", ATTACH),
]  # fmt: skip


@pytest.mark.parametrize(
    ("known", "beside", "what", "command"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_one_next_command(known, beside, what, command):
    found = due(known, beside)
    assert (found.what, found.command) == (what, command)
    assert found.words.endswith(":" if command else ".")


def test_what_the_folder_says(tmp_path: Path):
    assert beside_files.look(tmp_path, "head") == Beside()
    (tmp_path / "notices" / "queue").mkdir(parents=True)
    assert beside_files.look(tmp_path, "head") == Beside()
    (tmp_path / "notices" / "queue" / "1.json").write_text("{}")
    (tmp_path / "tickets").mkdir()
    (tmp_path / "tickets" / "jira-OPS-42.jsonl").write_text(
        '{"what": "begun", "name": "head"}\n{"what": "done", "name": "head"}\n{"what": "begun", "name": "new"}\n'
    )
    assert beside_files.look(tmp_path, "head") == Beside(attached=True, notices=True)
    assert not beside_files.look(tmp_path, "new").attached
