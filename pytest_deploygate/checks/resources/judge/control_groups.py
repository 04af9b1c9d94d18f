"""Whether a control group, or one above it, is near a limit, is throttled, or had processes killed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pytest_deploygate.checks.resources.facts import Bound, Group
from pytest_deploygate.checks.resources.judge.seen import quantity
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading, words_for_count

if TYPE_CHECKING:
    from pytest_deploygate.checks.resources.section import ControlGroup

_UNITS = {"memory": "bytes", "processes": "processes"}
#: Fewer periods tell nothing of a share.
_FEWEST_PERIODS = 10


def judge_groups(found: Sequence[Group], wanted: ControlGroup) -> Judgement:
    """Judge the group on each host; a limit that must be there and is not, is inconclusive."""
    said = Collector(about=wanted.name, most=4, confirmed=True)
    for group in found:
        if group.problem:
            said.unknown(group.problem, where=group.host)
            continue
        _judge_bounds(group, wanted, said)
        _judge_processors(group, wanted, said)
        _judge_kills(group, said)
    return said.judgement(lambda: _good(found, wanted))


def _judge_bounds(group: Group, wanted: ControlGroup, said: Collector) -> None:
    for what, unit in _UNITS.items():
        bounds = [bound for bound in group.bounds if bound.what == what]
        limited = [bound for bound in bounds if bound.limit is not None]
        if what in wanted.limits and not limited:
            why = "has no limit" if bounds else "cannot be read"
            said.unknown(
                f"its {what} {why}, nor has a group above it: set one (`MemoryMax`, `TasksMax`), or remove it from `limits`",
                where=group.host,
            )
        for bound in limited:
            percent = _percent(bound)
            ok = percent <= wanted.most
            if not ok:
                said.wrong(
                    f"{percent:.3g} % of {quantity(bound.limit or 0.0, unit)} of {what} is used in {bound.path}, limit"
                    f" {wanted.most:g} %: find what grows, or raise the limit",
                    where=group.host,
                )
            said.read(
                Reading(
                    f"{what} of {bound.path} on {group.host}",
                    round(percent, 2),
                    "%",
                    f"<= {wanted.most:g} %",
                    ok,
                )
            )


def _percent(bound: Bound) -> float:
    if not bound.limit:
        return 100.0  # a limit of 0: nothing may be used
    return 100 * bound.used / bound.limit


def _judge_processors(group: Group, wanted: ControlGroup, said: Collector) -> None:
    if "processors" in wanted.limits and group.cores is None:
        said.unknown(
            "its processors have no limit, nor has a group above it: set one (`CPUQuota`), or remove it from `limits`",
            where=group.host,
        )
    if group.cores is None:
        return
    if group.periods is None or group.throttled is None:
        said.unknown("whether it is throttled cannot be read: check its cpu.stat", where=group.host)
        return
    if group.periods < _FEWEST_PERIODS:
        said.note(
            f"used its processors in {words_for_count(group.periods, 'period', 'periods')} only",
            where=group.host,
        )
        return
    percent = 100 * group.throttled / group.periods
    ok = percent <= wanted.throttled
    if not ok:
        said.wrong(
            f"{percent:.3g} % of its {group.periods} periods were throttled at {group.cores:g} cores, limit"
            f" {wanted.throttled:g} %: raise its CPU limit, or lower what it does at once",
            where=group.host,
        )
    said.read(Reading(f"throttled on {group.host}", round(percent, 2), "%", f"<= {wanted.throttled:g} %", ok))


def _judge_kills(group: Group, said: Collector) -> None:
    if group.kills:
        said.wrong(
            f"{words_for_count(group.kills, 'process was', 'processes were')} killed for lack of memory while it was watched",
            where=group.host,
        )
    elif group.killed_before:
        said.note(
            f"{words_for_count(group.killed_before, 'process was', 'processes were')} killed for lack of memory since the"
            " group was made",
            where=group.host,
        )


def _good(found: Sequence[Group], wanted: ControlGroup) -> str:
    shares = [_percent(bound) for group in found for bound in group.bounds if bound.limit is not None]
    most = f"at most {max(shares):.3g} % of a limit is used" if shares else "no limit is near"
    return f"{wanted.name}: on {words_for_count(len(found), 'host', 'hosts')} {most}, limit {wanted.most:g} %"
