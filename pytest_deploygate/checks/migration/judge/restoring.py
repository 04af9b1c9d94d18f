"""Judge what a restore and subscriptions still do: jobs that wait, indexes that are built, changes that have not arrived."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pytest_deploygate.checks.migration.facts import Applied, Build, Progress
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Reading, words_for, words_for_bytes

if TYPE_CHECKING:
    from pytest_deploygate.checks.migration.section import Migration

_MOST = 5
_STATES = {"i": "not begun", "d": "being copied", "f": "copied, not in sync"}


def judge(found: Progress, expected: Migration, said: Collector) -> None:
    """Add what pg_restore and subscriptions have still to do, and what stands still."""
    late = expected.finish_by is not None and found.now > expected.finish_by
    _jobs(found, late, said)
    if found.not_ready:
        named = ", ".join(f"{n} is {_STATES.get(state, state)}" for n, state in found.not_ready[:_MOST])
        count = len(found.not_ready)
        said.read(
            Reading("tables of subscriptions not in sync", count, limit="0", ok=False if late else None)
        )
        words = f"{count} tables of subscriptions are not in sync: {named}"
        if late:
            said.wrong(f"{words}, past {expected.finish_by:%Y-%m-%d %H:%M %Z}: move the window, or go back")
        else:
            said.unknown(f"{words}; run again when they are")
    for one in found.applied[:_MOST]:
        _applied(one, found, expected, said)


def _jobs(found: Progress, late: bool, said: Collector) -> None:
    blocked = [job for job in found.jobs if job.blocked_by]
    if found.jobs:
        said.read(Reading("jobs of pg_restore", len(found.jobs)))
        said.read(Reading("of these waiting for a lock", len(blocked), limit="0", ok=not blocked))
    for job in blocked[:_MOST]:
        said.wrong(
            f"pg_restore (process {job.pid}) waits for a lock of {job.blocked_by} since {words_for(job.seconds)}, in "
            f"'{job.statement}': end what holds it"
        )
    for build in found.builds[:_MOST]:
        said.read(Reading(f"build of {build.index}", _build(build, found)))
    rest = [job for job in found.jobs if not job.blocked_by]
    if rest or found.builds:
        doing = [_build_words(b, found) for b in found.builds[:_MOST]]
        builders = {b.pid for b in found.builds}
        doing += [
            f"'{j.statement}' since {words_for(j.seconds)}" for j in rest[:_MOST] if j.pid not in builders
        ]
        words = f"the restore is not over: {'; '.join(doing)}"
        if late:
            said.wrong(f"{words}; it should have ended: move the window, or go back")
        else:
            said.unknown(f"{words}; run again when it is")


def _build_words(build: Build, found: Progress) -> str:
    return f"{build.index} is being built ({_build(build, found)})"


def _build(build: Build, found: Progress) -> str:
    """Return phase, share and, if the share moves, how long the phase takes still."""
    now = build.share[-1]
    if now is None:
        return build.phase
    words = f"{build.phase}, {now:.0%}"
    first = build.share[0]
    seconds = found.at_s[-1] - found.at_s[-len(build.share)]
    if first is None or now <= first or seconds <= 0:
        return words
    return f"{words}, about {words_for((1 - now) / ((now - first) / seconds))} more in this phase"


def _applied(one: Applied, found: Progress, expected: Migration, said: Collector) -> None:
    """Judge one subscription: it receives changes, and has or will have all of them in time."""
    name = f"subscription {one.subscription}"
    if not one.enabled or not one.worker:
        why = "is disabled" if not one.enabled else "has no process that receives changes"
        said.read(Reading(f"{name} receives", "no", limit="yes", ok=False))
        said.wrong(f"{name} {why}: ALTER SUBSCRIPTION … ENABLE, and look into the target's log")
        return
    if not one.lag_bytes:
        said.note(f"{name}: the source has no slot {one.slot}, so its lag is not known")
        return
    lag, limit = one.lag_bytes[-1], expected.max_lag
    shown = f"at most {words_for_bytes(limit)}"
    said.read(
        Reading(f"{name} has yet to confirm", words_for_bytes(lag), limit=shown, ok=lag <= limit or None)
    )
    if lag <= limit:
        return
    pairs = zip(one.lag_bytes, one.lag_bytes[1:], found.at_s, found.at_s[1:], strict=False)
    rates = [(a - b) / (t - s) for a, b, s, t in pairs if t > s]
    slow, fast = min(rates, default=0.0), max(rates, default=0.0)
    words = f"{name} has yet to confirm {words_for_bytes(lag)} (limit {words_for_bytes(limit)})"
    if fast <= 0:
        said.unknown(f"{words}, and does not catch up: the source writes faster than the target applies")
    elif slow <= 0:
        said.unknown(f"{words}, and catches up in bursts: lengthen `window` to tell its rate")
    elif expected.finish_by and found.now + timedelta(seconds=(lag - limit) / fast) > expected.finish_by:
        said.read(
            Reading(f"{name} in time", "no", limit=f"until {expected.finish_by:%Y-%m-%d %H:%M %Z}", ok=False)
        )
        said.wrong(
            f"{words}, for {words_for((lag - limit) / fast)} more, past {expected.finish_by:%Y-%m-%d %H:%M %Z}"
        )
    else:
        early, later = (words_for((lag - limit) / rate) for rate in (fast, slow))
        said.unknown(f"{words}, for {early} to {later} more: run again then")
