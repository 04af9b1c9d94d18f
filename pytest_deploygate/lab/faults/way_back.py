"""Faults of the way back: no record from before the change, too much loss in a rollback, the old system in use."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from pytest_deploygate.lab import old_system
from pytest_deploygate.lab.faults import Change, Fault, aside, by_sql, keep_aside, put_back
from pytest_deploygate.lab.state import Lab, LabError
from pytest_deploygate.lab.way_back import INVENTORY, guards

#: Without these the inventory's items cannot be measured.
_NEEDS = ("dns-primary", "edge-app")
_BASELINE, _REHEARSALS, _SAVED = "baseline", "rehearsals", "saved"


def _put_aside(name: str) -> Change:
    def change(lab: Lab) -> None:
        folder = guards(lab)[name]
        folder.rename(aside(folder))

    return change


def _put_back(name: str) -> Change:
    return lambda lab: put_back(guards(lab)[name])


def _alter_baseline(lab: Lab) -> None:
    """Change a word in the middle of the baseline's journal, as if an item had been red before."""
    journal = guards(lab)[_BASELINE] / "journal.jsonl"
    keep_aside(journal)
    journal.write_bytes(journal.read_bytes().replace(b'"verdict":"pass"', b'"verdict":"fail"', 1))


def _restore_baseline(lab: Lab) -> None:
    put_back(guards(lab)[_BASELINE] / "journal.jsonl")


def _rehearsals(lab: Lab, *, days_ago: float, seconds: float) -> None:
    """Write a rehearsal of that age in which each step took that long, and keep the true one aside."""
    file = guards(lab)[_REHEARSALS]
    if not file.is_file():
        raise LabError(f"the runbook was not rehearsed when the lab came up: there is no {file}")
    true = json.loads(file.read_text())["rehearsals"][-1]
    at = datetime.now(UTC) - timedelta(days=days_ago)
    made = {"at": at.isoformat(), "took_s": dict.fromkeys(true["took_s"], seconds)}
    keep_aside(file)
    file.write_text(json.dumps({"rehearsals": [made]}))


MANY = Fault(
    "rollback-loses-rows",
    "the new side has accepted thirty messages since the cutover",
    {"guard.loss-if-rolled-back": "fail"},
    by_sql(
        "INSERT INTO platform.messages (recipient, sent_at, body) SELECT 'late@example.com', now(), '{}'"
        " FROM generate_series(1, 30)"
    ),
    by_sql("DELETE FROM platform.messages WHERE recipient = 'late@example.com'"),
    says="more than the 20 that are acceptable",
    needs=_NEEDS,
    inventory=INVENTORY,
)
UNCOUNTED = Fault(
    "rollback-loss-unknown",
    "a column was renamed, so what the new side has accepted can no longer be counted",
    {"guard.loss-if-rolled-back": "inconclusive"},
    by_sql("ALTER TABLE platform.messages RENAME COLUMN sent_at TO sent"),
    by_sql(
        "DO $$ BEGIN IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'platform.messages'::regclass"
        " AND attname = 'sent') THEN ALTER TABLE platform.messages RENAME COLUMN sent TO sent_at; END IF; END $$"
    ),
    says="cannot be counted",
    needs=_NEEDS,
    inventory=INVENTORY,
)
NOWHERE = Fault(
    "rollback-export-nowhere",
    "the folder for the export of lost rows is missing",
    {"guard.loss-if-rolled-back": "fail"},
    lambda lab: guards(lab)[_SAVED].parent.rmdir(),
    lambda lab: guards(lab)[_SAVED].parent.mkdir(exist_ok=True),
    says="there is no folder",
    needs=_NEEDS,
    inventory=INVENTORY,
)
STALE_CLIENT = Fault(
    "old-system-written",
    "a client with a stale DNS answer placed three orders on the old system after the cutover",
    {"guard.old-side-fenced": "fail"},
    lambda lab: old_system.order(lab, 3),
    old_system.forget,
    says="3 rows were written to the old side",
    needs=_NEEDS,
    inventory=INVENTORY,
)
UNSEEN = Fault(
    "old-system-unseen",
    "the gate may no longer connect to the old system",
    {"guard.old-side-fenced": "inconclusive"},
    by_sql(f"REVOKE CONNECT ON DATABASE {old_system.DATABASE} FROM PUBLIC"),
    by_sql(f"GRANT CONNECT ON DATABASE {old_system.DATABASE} TO PUBLIC"),
    says="whether it is still written is unknown",
    needs=_NEEDS,
    inventory=INVENTORY,
)
NO_BASELINE = Fault(
    "baseline-missing",
    "the record of what was red before the change is missing",
    {"guard.baseline": "inconclusive"},
    _put_aside(_BASELINE),
    _put_back(_BASELINE),
    says="no journal",
    needs=_NEEDS,
    inventory=INVENTORY,
)
ALTERED_BASELINE = Fault(
    "baseline-altered",
    "a verdict in the record from before the change was altered",
    {"guard.baseline": "fail"},
    _alter_baseline,
    _restore_baseline,
    says="journal.jsonl",
    needs=_NEEDS,
    inventory=INVENTORY,
)
TOO_SLOW = Fault(
    "rollback-too-slow",
    "the last rehearsal of the runbook took forty minutes",
    {"day.rollback-plan": "fail"},
    lambda lab: _rehearsals(lab, days_ago=1, seconds=1200.0),
    _put_back(_REHEARSALS),
    says="more than the 30 min",
    needs=_NEEDS,
    inventory=INVENTORY,
)
FORGOTTEN = Fault(
    "rollback-rehearsed-long-ago",
    "the last rehearsal of the runbook is a hundred days old",
    {"day.rollback-plan": "inconclusive"},
    lambda lab: _rehearsals(lab, days_ago=100, seconds=1.0),
    _put_back(_REHEARSALS),
    says="100 d old",
    needs=_NEEDS,
    inventory=INVENTORY,
)
