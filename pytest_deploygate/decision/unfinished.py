"""What a killed command left half done, told from the journal: which one it was, and which one finishes it.

A rollback ends with four things: the mark of its last step, the event of its incident, how it ended, and the decision
that stands since. A kill between them leaves a record that says two things at once.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from pytest_deploygate.decision import incident_log, standing
from pytest_deploygate.decision.incidents import What
from pytest_deploygate.journal import Entry
from pytest_deploygate.lazy import dataclass

#: Kind of the lines that record the steps of a rollback, and the marks with which one ends.
ROLLBACK = "rollback"
ENDED, STOPPED = "ended", "stopped"
_OUTCOMES = (What.ROLLED_BACK.value, What.ROLLBACK_FAILED.value)


@dataclass(frozen=True)
class HalfDone:
    """A rollback whose record is not complete. `closed`: its last step is recorded, only the outcome is not.

    `verified` and `why` are its outcome once it is closed; `has_event` and `has_line` tell what of it is recorded.
    """

    name: str
    incident: str
    closed: bool
    verified: bool = False
    why: str = ""
    has_event: bool = False
    has_line: bool = False


def rollback(entries: Sequence[Entry]) -> HalfDone | None:
    """Return the newest rollback if its record is not complete. Raises KeyError for lines that are none of ours."""
    lines = [entry for entry in entries if entry.kind == ROLLBACK]
    if not lines:
        return None
    last = lines[-1]
    name = str(last.body["rollback"])
    incident = name.partition(" of ")[0]
    mark = last.body["mark"]
    if mark not in (ENDED, STOPPED):
        return HalfDone(name, incident, closed=False)
    after = [entry for entry in entries if entry.seq > last.seq]
    event = any(e.kind == incident_log.KIND and e.body.get("what") in _OUTCOMES for e in after)
    line = next((e for e in after if e.kind == standing.GONE_BACK), None)
    if line is not None and any(e.kind == "decision" and e.seq > line.seq for e in after):
        return None
    verified = mark == ENDED
    why = "every step was done and verified" if verified else f"{last.body['step']}: {last.body['said']}"
    return HalfDone(name, incident, True, verified, why, event, line is not None)


def words(entries: Sequence[Entry], change: str, inventory: str) -> str:
    """Say which command was interrupted, and which one finishes it; empty if none was."""
    change, inventory = shlex.quote(change), shlex.quote(inventory)
    execute = f"`deploygate rollback execute --confirm {inventory} --change {change}`"
    found = rollback(entries)
    if found and found.closed:
        return (
            f"deploygate rollback execute was interrupted after the last step of {found.name}, before it recorded the "
            f"outcome: `deploygate report --change {change}` finishes it, and so does any other command that writes"
        )
    if found:
        return (
            f"the rollback {found.name} is under way or was interrupted between steps: {execute} continues it"
        )
    begun = [entry for entry in entries if entry.kind == "run"][-1]
    if not any(e.kind == "decision" and e.body.get("run") == begun.body["run"] for e in entries):
        part = begun.body.get("shard")
        shard = f" --shard {part['index']}/{part['of']}" if part else ""
        return (
            f"the run of {begun.at:%Y-%m-%d %H:%M:%S} UTC ended without a decision, or is under way: "
            f"`pytest {_chosen(str(begun.body.get('scope', '')))}--inventory {inventory} --change {change}{shard} --resume` completes it"
        )
    return ""


def _chosen(scope: str) -> str:
    """Return the options of pytest that chose a scope, which is recorded as `phase2, items a, b`."""
    phases, items, named = scope.rpartition("items ") if "items " in scope else (scope, "", "")
    phases = phases.removesuffix(", ")
    return (f"-m {shlex.quote(phases)} " if phases else "") + (
        f"--items {shlex.quote(named.replace(' ', ''))} " if items else ""
    )
