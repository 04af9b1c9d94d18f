"""The one command that is due after a run: a pure function of the record and of a few facts beside it.

What makes the platform safe comes first, then what the record needs, then who must be told. Only one is named: a list is
not done at night.
"""

from __future__ import annotations

import shlex

from pytest_deploygate.decision.rules import BEFORE, CONDITIONS, EXIT_INCOMPLETE, OUTSIDE
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import NO_CHANGE, Closing, Outcome, option_of
from pytest_deploygate.report import grouping
from pytest_deploygate.report.record import Record


@dataclass(frozen=True)
class Beside:
    """What the journal does not say: what was done with the report since.

    `signed` are the roles whose signature on this report is there, `attached` says that a ticket was told of this head of
    the journal, `notices` that notices of this change wait to be sent.
    """

    signed: tuple[str, ...] = ()
    attached: bool = False
    notices: bool = False


@dataclass(frozen=True)
class Due:
    """What is due: `what` is `again`, `decide`, `rollback`, `sign`, `notify`, `attach`, `merge` or `proceed`; a sentence; the command."""

    what: str
    words: str
    command: str = ""


def due(record: Record, beside: Beside) -> Due:
    """Return the next step. Its sentence ends with a colon where a command follows."""
    decision, change = record.decision, option_of(record.change)
    if decision is None or decision.exit_code == EXIT_INCOMPLETE:
        return Due("again", "evidence is missing; run again to complete it:", again(record))
    if decision.outcome is Outcome.ROLLBACK:
        return _after_rollback(decision.exit_code, change)
    if decision.outcome is Outcome.GO and record.shard:
        return Due("merge", "when all shards have ended, make one record of them:", "deploygate merge DIR")
    if decision.outcome is Outcome.GO:
        return _after_go(record, beside, change)
    return _after_hold(record, change)


def _after_hold(record: Record, change: str) -> Due:
    decision = record.decision
    rules = grouping.deciding(decision.rules, decision.outcome) if decision else ()
    names = {rule.name for rule in rules}
    if record.change != NO_CHANGE and _only_signatures(record):
        return Due(
            "sign",
            "only signatures are missing: each role signs the report, then run again:",
            _sign(record, change),
        )
    if names == {BEFORE}:
        return Due("again", "run the phases before it (named above), then this one again:", again(record))
    if names == {OUTSIDE}:
        return Due(
            "again", "bring the ticket into the state that is named above, then run again:", again(record)
        )
    if CONDITIONS in names:
        return Due(
            "decide",
            "the deployment lead decides, fix forward or go back; the clock and the conditions are in:",
            f"deploygate decide{change}",
        )
    if decision and decision.exit_code == 21:
        return Due("again", "resolve what is unknown (reasons above), then run again:", again(record))
    return Due("again", "fix what failed (reasons above), then run again:", again(record))


def _after_go(record: Record, beside: Beside, change: str) -> Due:
    if record.change != NO_CHANGE and _is_last(record):
        missing = [role for role in record.roles if role not in beside.signed]
        if missing:
            return Due(
                "sign",
                f"{missing[0]} signs the report"
                + (f" ({len(missing) - 1} more roles after that):" if missing[1:] else ":"),
                _sign(record, change, missing[0]),
            )
    if beside.notices:
        return Due("notify", "notices of this change wait to be sent:", f"deploygate notify send{change}")
    if record.ticket and not beside.attached:
        return Due(
            "attach",
            "attach the report to the change ticket, then proceed:",
            f"deploygate attach{change} --ticket {shlex.quote(record.ticket)}",
        )
    if beside.attached:
        return Due("proceed", "proceed; the report is in the change ticket.")
    return Due("proceed", "attach the report to the change ticket and proceed.")


def _after_rollback(code: int, change: str) -> Due:
    """Return the next step after a ROLLBACK: it was advised, verified, or failed."""
    if code == 23:
        return Due(
            "decide",
            "see the clock for the remaining work (issues, status, retry):",
            f"deploygate decide{change}",
        )
    if code == 24:
        return Due(
            "rollback",
            "fix the cause, then continue; finished steps are not repeated:",
            f"deploygate rollback execute{change}",
        )
    return Due(
        "decide",
        "the deployment lead decides, this run only advises it:",
        f"deploygate decide rollback{change} --role ROLE --reason TEXT",
    )


def again(record: Record) -> str:
    """Return the command that runs this scope again; empty after a GO or a ROLLBACK."""
    if record.decision and record.decision.outcome is not Outcome.HOLD:
        return ""
    expression, items, named = record.scope.rpartition("items ")
    phases = expression.removesuffix(", ") if items else record.scope
    scope = f"-m {shlex.quote(phases)} " if phases else ""
    scope += f"--items {shlex.quote(named.replace(' ', ''))} " if items else ""
    # What passed before the evidence was interrupted is in the journal; --resume keeps it.
    resume = " --resume" if record.decision is None or record.decision.exit_code == EXIT_INCOMPLETE else ""
    base = record.provenance.records_from.partition(" ")[0]
    resume += f" --records-from {shlex.quote(base)}" if base else ""
    where = shlex.join(record.options or ("--inventory", record.inventory))
    shard = f" --shard {record.shard}" if record.shard else ""
    return f"pytest {scope}{where}{option_of(record.change)}{shard}{resume}"


def _sign(record: Record, change: str, role: str = "") -> str:
    return f"deploygate sign{change} --role {shlex.quote(role or (record.roles[0] if record.roles else 'ROLE'))} --key KEY"


def _is_last(record: Record) -> bool:
    """Tell whether a run was for the end of the checklist: its report is the one that people sign."""
    steps = [phase.id for phase in record.phases if not phase.whole_change]
    ends = {*steps[-1:], *(phase.id for phase in record.phases if phase.whole_change)}
    return any(result.in_scope and result.item.phase in ends for result in record.items)


def _only_signatures(record: Record) -> bool:
    """Tell whether signatures are all that holds a run."""
    against = grouping.held(record)
    inside = [result for result in grouping.in_scope(record) if result.item.id in against]
    holding = (
        [rule for rule in record.decision.rules if rule.says is not Outcome.GO] if record.decision else []
    )
    return (
        bool(inside)
        and all(rule.items for rule in holding)
        and all(result.item.closing is Closing.SIGNED for result in inside)
    )
