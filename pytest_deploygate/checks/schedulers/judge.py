"""Judge whether something runs on one side only: the side that must run it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from pytest_deploygate.checks.schedulers.facts import At, Seen, Sides, State
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Judgement, Reading, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.schedulers.section import Place, Scheduler, Side

__all__ = ["judge"]

#: Clocks of one server and its clients may differ by this.
_CLOCKS = timedelta(seconds=5)


class _Is(StrEnum):
    """What a place, or a side, comes to."""

    RUNNING = "runs"
    STILL = "stands still"
    UNKNOWN = "is unknown"


@dataclass(frozen=True)
class _Shown:
    """A place and what it comes to."""

    at: At
    state: _Is
    said: str

    @property
    def words(self) -> str:
        """For a reason."""
        return f"{self.at.what}: {self.said}"


def judge(found: Sides, expected: Scheduler) -> Judgement:
    """Pass when every place of the wanted side shows that it runs, and every place of the other that it stands still."""
    mine: Side = expected.runs_on
    other: Side = "old" if mine == "new" else "new"
    cutover = found.cutover if mine == "new" else None
    here = [_wanted(at, place) for at, place in zip(_side(found, mine), expected.places(mine), strict=True)]
    there = [
        _unwanted(at, place, cutover)
        for at, place in zip(_side(found, other), expected.places(other), strict=True)
    ]
    own = _of_wanted([one.state for one in here], expected)
    collector = Collector(confirmed=True)
    # Where one place is enough, those that wait are as they should be.
    enough = expected.one_is_enough and own is _Is.RUNNING
    collector.read(
        *(
            Reading(f"{mine} side: {one.at.what}", one.said)
            if enough and one.state is not _Is.RUNNING
            else _reading(mine, one, "runs", _Is.RUNNING)
            for one in here
        )
    )
    collector.read(*(_reading(other, one, "stands still", _Is.STILL) for one in there))
    name = expected.name
    running = [one.words for one in there if one.state is _Is.RUNNING]
    still = "; ".join(one.words for one in here if one.state is _Is.STILL)
    if running:
        words = "; ".join(running)
        if own is _Is.RUNNING:
            collector.wrong(
                f"{name} runs on both sides, so its work is done twice; on the {other} side: {words}: stop it there"
            )
        elif own is _Is.STILL:
            collector.wrong(
                f"{name} runs on the {other} side and not on the {mine} ({still}); on the {other} side: {words}: "
                f"stop it there, then start it on the {mine} side"
            )
        else:
            collector.wrong(
                f"{name} runs on the {other} side, where it must not: {words}: stop it there; whether the {mine} side runs "
                "it is unknown"
            )
    elif own is _Is.STILL:
        sure = all(one.state is _Is.STILL for one in there)
        collector.wrong(
            f"{name} {'runs nowhere' if sure else f'does not run on the {mine} side'}; on the {mine} side: {still}: "
            "start it there, or its work is not done"
        )
    for side, shown in ((mine, here), (other, there)):
        if side == mine and own is _Is.RUNNING:
            continue
        for one in shown:
            if one.state is _Is.UNKNOWN:
                collector.unknown(f"whether the {side} side runs {name} is unknown: {one.words}")
    for words in _strangers(found):
        collector.unknown(f"{name}: {words}")
    for side, shown in ((mine, here), (other, there)):
        collector.note(*(f"{side} side: {one.words}" for one in shown if "disable it" in one.said))
    return collector.judgement(
        lambda: (
            f"{name} runs on the {mine} side ({here[0].words}) and stands still on the {other} ({there[0].words}); both "
            f"were read twice within {words_for(found.over_s)}"
        )
    )


def _side(found: Sides, side: Side) -> tuple[At, ...]:
    return found.new if side == "new" else found.old


def _of_wanted(states: Sequence[_Is], expected: Scheduler) -> _Is:
    if expected.one_is_enough and _Is.RUNNING in states:
        return _Is.RUNNING
    if expected.one_is_enough:
        return _Is.UNKNOWN if _Is.UNKNOWN in states else _Is.STILL
    if _Is.STILL in states:
        return _Is.STILL
    return _Is.UNKNOWN if _Is.UNKNOWN in states or not states else _Is.RUNNING


def _wanted(at: At, place: Place) -> _Shown:
    """Tell whether a place shows that the wanted side runs it: in every read."""
    states = {_now(read, at, place) for read in at.reads}
    last = at.reads[-1]
    if states == {State.RUNS}:
        return _Shown(at, _Is.RUNNING, last.said)
    if states and states <= {State.STILL, State.ABSENT}:
        return _Shown(at, _Is.STILL, _age(last, place) or last.said)
    if State.UNKNOWN not in states and len(states) > 1:
        words = ", then ".join(read.said for read in at.reads)
        return _Shown(at, _Is.UNKNOWN, f"it changed between two reads ({words}): run this again")
    return _Shown(at, _Is.UNKNOWN, _age(last, place) or _unclear(at))


def _unwanted(at: At, place: Place, cutover: datetime | None) -> _Shown:
    """Tell whether a place shows that the other side stands still: in every read, and since the cutover."""
    last = at.reads[-1]
    if any(read.state is State.RUNS for read in at.reads) or _advanced(at):
        said = next((read.said for read in reversed(at.reads) if read.state is State.RUNS), last.said)
        return _Shown(at, _Is.RUNNING, said)
    if any(read.state is State.UNKNOWN for read in at.reads):
        return _Shown(at, _Is.UNKNOWN, _unclear(at))
    if any(read.state is State.ABSENT for read in at.reads):
        if place.gone:
            return _Shown(at, _Is.STILL, f"{last.said}, as declared")
        return _Shown(
            at,
            _Is.UNKNOWN,
            f"{last.said}: correct the place, or say `gone: true` if it was removed on purpose",
        )
    if last.state is State.TIMED and last.last is not None and last.now is not None:
        return _timed_unwanted(at, last.last, last.now, place, cutover)
    return _Shown(at, _Is.STILL, last.said)


def _timed_unwanted(at: At, last: datetime, now: datetime, place: Place, cutover: datetime | None) -> _Shown:
    words = _age(at.reads[-1], place)
    if last > now + _CLOCKS:
        return _Shown(at, _Is.UNKNOWN, words)
    since = f"after the cutover at {cutover.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if cutover else ""
    if cutover is not None and last > cutover + _CLOCKS:
        return _Shown(at, _Is.RUNNING, f"{words}, {since}")
    if cutover is None and now - last <= place.fresh:
        return _Shown(
            at,
            _Is.UNKNOWN,
            f"{words}, so whether it was stopped since is unknown: run this again after {words_for(place.fresh)}, or set "
            "`rollback.cutover`",
        )
    return _Shown(at, _Is.STILL, words)


def _now(read: Seen, at: At, place: Place) -> State:
    """Return the state of a read; a time is compared with what counts as fresh."""
    if read.state is not State.TIMED:
        return read.state
    if read.last is None or read.now is None or read.last > read.now + _CLOCKS:
        return State.UNKNOWN
    return State.RUNS if read.now - read.last <= place.fresh or _advanced(at) else State.STILL


def _advanced(at: At) -> bool:
    """Tell whether it ran between two reads."""
    times = [read.last for read in at.reads if read.last is not None]
    return len(times) > 1 and times[-1] > times[0]


def _age(read: Seen, place: Place) -> str:
    if read.last is None or read.now is None:
        return ""
    if read.last > read.now + _CLOCKS:
        return f"{read.said}, {words_for(read.last - read.now)} in the future of its server: a clock is wrong"
    return f"{read.said}, {words_for(max(read.now - read.last, timedelta(0)))} ago (`fresh` is {words_for(place.fresh)})"


def _unclear(at: At) -> str:
    return next(
        (read.said for read in at.reads if read.state is State.UNKNOWN),
        "; ".join(read.said for read in at.reads) or "it was not read",
    )


def _strangers(found: Sides) -> list[str]:
    """Name consumers that no place of either side claims."""
    sources: dict[str, list[At]] = {}
    for at in (*found.new, *found.old):
        if at.source and at.reads:
            sources.setdefault(at.source, []).append(at)
    said = []
    for places in sources.values():
        unclaimed = set.intersection(*({*at.reads[-1].strangers} for at in places))
        if unclaimed:
            names = sorted(unclaimed)
            said.append(
                f"{', '.join(names[:4])}{f' and {len(names) - 4} more' if len(names) > 4 else ''} "
                "consume there and are of neither side: add them to `members`"
            )
    return said


def _reading(side: Side, one: _Shown, limit: str, good: _Is) -> Reading:
    ok = None if one.state is _Is.UNKNOWN else one.state is good
    return Reading(f"{side} side: {one.at.what}", one.said, limit=limit, ok=ok)
