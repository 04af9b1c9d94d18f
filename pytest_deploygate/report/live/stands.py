"""How a change stands now: one value behind the page's headline and the answers to other engines.

Whatever is not known is no GO: no run, a run that goes on, a damaged journal, a decision that is too old or of the future,
an incident that is open.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from pytest_deploygate.decision.incidents import State
from pytest_deploygate.decision.rules import EXIT_BACK, EXIT_BACK_FAILED, EXIT_GO, EXIT_WAIVERS
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Outcome, Verdict
from pytest_deploygate.report import ending, grouping, words
from pytest_deploygate.report.ending import Ending, Look
from pytest_deploygate.report.live.following import Change, Seen
from pytest_deploygate.report.record import GoneBack

#: A decision may be so much later than this machine's clock.
_CLOCKS_DIFFER = timedelta(minutes=1)


class Result(StrEnum):
    """How a change stands, as other engines are told."""

    GO = "GO"
    GO_WITH_WAIVERS = "GO_WITH_WAIVERS"
    HOLD = "HOLD"
    ROLLBACK = "ROLLBACK"
    ROLLING_BACK = "ROLLING_BACK"
    ROLLED_BACK = "ROLLED_BACK"
    ROLLBACK_FAILED = "ROLLBACK_FAILED"
    RUNNING = "RUNNING"
    EXPIRED = "EXPIRED"
    UNKNOWN = "UNKNOWN"


#: What lets a deployment go on, and what means that it must go back or does.
GOOD = frozenset({Result.GO, Result.GO_WITH_WAIVERS})
BACK = frozenset({Result.ROLLBACK, Result.ROLLING_BACK, Result.ROLLED_BACK, Result.ROLLBACK_FAILED})


@dataclass(frozen=True)
class Stands:
    """The result; and how the page says it."""

    result: Result
    ending: Ending


def now(seen: Seen, at: datetime) -> Stands:
    """Say how a change stands at a time."""
    change = seen.change
    if change is None:
        return _unknown("CANNOT TELL", "Nothing is known of this change: do not proceed.")
    back = change.gone_back
    if back and _latest(back) >= change.started:
        return _going_back(back, stopped=change.stopped)
    if change.incident and change.incident.state is State.ROLLING_BACK:
        return Stands(
            Result.ROLLBACK,
            Ending("ROLLBACK", f"It was decided in incident {change.incident.id}.", Look.ROLLBACK),
        )
    if change.running:
        return _running(change)
    return _decided(change, at)


def _unknown(headline: str, means: str) -> Stands:
    return Stands(Result.UNKNOWN, Ending(headline, means, Look.NONE))


def _running(change: Change) -> Stands:
    failed = sum(item.verdict is Verdict.FAIL for item in change.items)
    so_far = f"{words.count(failed, 'item')} failed so far. " if failed else ""
    look = Look.HOLD if failed else Look.NONE
    return Stands(Result.RUNNING, Ending("RUNNING", f"{so_far}Nothing is decided yet: do not proceed.", look))


def _going_back(back: GoneBack, *, stopped: bool) -> Stands:
    if back.ended:
        return Stands(Result.ROLLED_BACK, ending.WENT_BACK[EXIT_BACK])
    if stopped:
        return Stands(Result.ROLLBACK_FAILED, ending.WENT_BACK[EXIT_BACK_FAILED])
    done = sum(step.state == "done" for step in back.steps)
    means = f"{done} of {words.count(len(back.steps), 'step')} done and verified."
    return Stands(Result.ROLLING_BACK, Ending("ROLLING BACK", means, Look.ROLLBACK))


def _latest(back: GoneBack) -> datetime:
    """Return when a rollback last did something: one that goes on after a run is not begun again."""
    return max((at for step in back.steps for at in (step.began, step.ended) if at), default=back.began)


def _decided(change: Change, at: datetime) -> Stands:
    decision = change.decision
    if decision is None:
        return _unknown("NO DECISION", "The run ended without a decision: do not proceed.")
    waived = sum(item.verdict is Verdict.WAIVED for item in change.items)
    said = ending.named(decision, change.name, waived, change.shard)
    if decision.exit_code == EXIT_BACK:
        return Stands(Result.ROLLED_BACK, said)
    if decision.exit_code == EXIT_BACK_FAILED:
        return Stands(Result.ROLLBACK_FAILED, said)
    if decision.outcome is Outcome.ROLLBACK:
        return Stands(Result.ROLLBACK, said)
    if decision.outcome is not Outcome.GO or decision.exit_code not in (EXIT_GO, EXIT_WAIVERS):
        return Stands(Result.HOLD, said)
    if why := _not_now(change, decision.at, at):
        return why
    if change.shard:
        return Stands(Result.UNKNOWN, said)
    return Stands(Result.GO_WITH_WAIVERS if decision.exit_code == EXIT_WAIVERS else Result.GO, said)


def _not_now(change: Change, decided: datetime, at: datetime) -> Stands | None:
    """Return why a GO does not count now; None if it does."""
    if change.incident:
        means = f"The last run says GO, but incident {change.incident.id} is open ({change.incident.state}): do not proceed."
        return Stands(Result.HOLD, Ending("HOLD", means, Look.HOLD))
    if decided > at + _CLOCKS_DIFFER:
        return _unknown(
            "CANNOT TELL",
            f"The GO is of {words.moment(decided)}, which is in the future: the clock of this machine or of the run is wrong.",
        )
    if change.valid_until and change.valid_until <= at:
        return Stands(
            Result.EXPIRED,
            Ending("GO EXPIRED", "The decision is too old to go on with: run the phase again.", Look.NONE),
        )
    return None


def sentence(seen: Seen, at: datetime) -> str:
    """Say how a change stands and why, in one or two sentences for a log."""
    change, stands = seen.change, now(seen, at)
    if change is None:
        return seen.problem
    said = f"{stands.ending.headline} for {change.name} ({change.scope}). {stands.ending.means}"
    if stands.result in GOOD and change.valid_until:
        return f"{said} Valid until {words.moment(change.valid_until)}."
    if stands.result in (Result.HOLD, Result.ROLLBACK) and change.decision and not change.incident:
        because = grouping.deciding(change.decision.rules, change.decision.outcome)
        return f"{said} {'; '.join(rule.because for rule in because)}"[:_MOST].rstrip()
    return said


#: So much of the reasons is said: a log line is not the report.
_MOST = 1000
