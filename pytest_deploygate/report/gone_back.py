"""A rollback as the report shows it: when it was decided and by whom, each step with its time, what was lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from pytest_deploygate.decision import incident_log, incidents
from pytest_deploygate.decision.incidents import Event, Times, What
from pytest_deploygate.journal import Entry
from pytest_deploygate.model import words_for
from pytest_deploygate.moments import time_of
from pytest_deploygate.report.record import GoneBack, Loss, StepBack

#: Kinds of journal lines that this module reads; the marks of `rollback` lines are `rollback.progress.Mark`.
KINDS = frozenset({"rollback", "loss", "incident", "platform", "circumstances", "gone back", "after"})


def newest(entries: Sequence[Entry], times: Times) -> GoneBack | None:
    """Return the latest rollback, None if none was started. What another version wrote differently is left out.

    Only lines of `KINDS` are looked at. `times` are the policy's clocks.
    """
    begun = [e for e in entries if e.kind == "rollback" and e.body.get("mark") == "begun"]
    if not begun:
        return None
    name = begun[-1].body["rollback"]
    mine = [e for e in entries if e.kind == "rollback" and e.body.get("rollback") == name]
    found = [
        i
        for i in incidents.all_of(incident_log.events(entries), times)
        if str(name).startswith(f"{i.id} of ")
    ]
    return GoneBack(
        began=begun[-1].at,
        ended=next((e.at for e in mine if e.body["mark"] == "ended"), None),
        allowed_s=times.rollback_s,
        course=tuple(_course(found[-1].events)) if found else (),
        steps=tuple(_steps(mine, str(begun[-1].body["said"]))),
        losses=tuple(_losses(entries, str(name))),
        platform=tuple(_platform(entries, str(name))),
        tasks=tuple(_tasks(entries)),
    )


def said(entry: Entry) -> str:
    """Describe a line of the journal for the list of events; empty if it is shown elsewhere or says nothing."""
    body = entry.body
    if entry.kind == "incident":
        who = f"{body.get('name')} ({body.get('by')})" if body.get("name") else str(body.get("by", ""))
        outcome = f" {body['outcome']}" if body.get("outcome") else ""
        signed = ", signed" if body.get("signature") else ""
        why = f": {body['reason']}" if body.get("reason") else ""
        return f"{body.get('what')}{outcome} by {who}{signed}{why}"
    if entry.kind == "rollback":
        step = f" {body['step']}" if body.get("step") else ""
        return f"{body.get('mark')}{step}"
    if entry.kind == "circumstances":
        healthy = {True: "healthy", False: "NOT healthy", None: "unknown"}[body.get("old_side_healthy")]
        return f"old side {healthy}; baseline: {body.get('baseline')}"
    if entry.kind == "after":
        return f"{len(body.get('tasks', ()))} tasks recorded" + (
            f"; next attempt {body['retry']}" if body.get("retry") else ""
        )
    return str(body.get("said") or body.get("why") or "")


def _course(events: Sequence[Event]) -> Iterator[tuple[datetime, str]]:
    """Yield what led to it: the opening, what the gate observed, what was decided and by whom."""
    opened = events[0].at.wall
    for event in events:
        who = f"{event.name} ({event.by})" if event.name else event.by
        after = f", {words_for(event.at.wall - opened)} after it opened" if event is not events[0] else ""
        why = f": {event.reason}" if event.reason else ""
        match event.what:
            case What.OPENED:
                yield event.at.wall, f"incident opened by the {who}{why}"
            case What.OBSERVED:
                yield event.at.wall, f"measured again: {event.says}{after}{why}"
            case What.DECIDED:
                yield event.at.wall, f"{event.says} decided by {who}{after}{why}"
            case What.ROLLED_BACK:
                yield event.at.wall, f"rolled back and verified{after}"
            case _:
                yield event.at.wall, f"{event.what.value}{after}{why}"


def _steps(lines: Sequence[Entry], planned: str) -> Iterator[StepBack]:
    """Yield every step of the runbook in order, including those that were not reached."""
    names = [name for name in planned.split("\n") if name]
    names += [e.body["step"] for e in lines if e.body["step"] and e.body["step"] not in names]
    for name in dict.fromkeys(names):
        mine = [e for e in lines if e.body["step"] == name and e.body["mark"] in ("intent", "done", "failed")]
        if not mine:
            yield StepBack(name, "not done")
            continue
        last = mine[-1]
        state = "interrupted" if last.body["mark"] == "intent" else str(last.body["mark"])
        # The last try: an earlier one would make the step overlap those between the two.
        intents = [e for e in mine if e.body["mark"] == "intent"]
        began = intents[-1].at if intents else mine[0].at
        tries = len(intents)
        yield StepBack(
            name,
            state,
            str(last.body["said"]),
            began,
            last.at,
            float(last.body["took_s"]),
            bool(last.body["after_crash"]),
            tries,
            sum(float(e.body["took_s"]) for e in intents),
        )


def _losses(entries: Sequence[Entry], name: str) -> Iterator[Loss]:
    for entry in entries:
        if entry.kind == "loss" and entry.body.get("rollback", name) == name:
            body = entry.body
            yield Loss(
                entry.at, str(body.get("said", "")), str(body.get("saved", "")), str(body.get("role", "")), str(body.get("name", "")), body.get("rows")
            )  # fmt: skip


def _tasks(entries: Sequence[Entry]) -> Iterator[tuple[str, str, datetime]]:
    """Yield the tasks that `deploygate rollback after` last recorded: what, by whom, until when."""
    found = [e.body for e in entries if e.kind == "after"]
    for task in found[-1]["tasks"] if found else ():
        yield str(task["title"]), str(task["owner"]), time_of(task["due"])


def _platform(entries: Sequence[Entry], name: str) -> Iterator[tuple[str, bool, str]]:
    """Yield the state of the platform when the rollback stopped: a step, whether it took effect, what was observed."""
    found = [e.body for e in entries if e.kind == "platform" and e.body.get("rollback") == name]
    for one in found[-1]["seen"] if found else ():
        yield str(one["step"]), bool(one["good"]), str(one["said"])
