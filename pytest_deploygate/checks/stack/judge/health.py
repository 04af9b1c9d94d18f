"""Judge what must be up over several reads: up in each of them, the same all the time, and not just restarted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pytest_deploygate.checks.stack.facts import Health, Seen, State, Watched
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.judging.silent_hosts import by_cause, listed
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Judgement, Reading, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.stack.section import HowRead, Stack

_LIMIT = "up in all"


@dataclass(frozen=True)
class Said:
    """What is wrong with something that must be up, or unknown of it; nothing of both if it is fine."""

    wrong: str = ""
    unknown: str = ""


def judge_health(measurement: Health, criterion: Stack) -> Judgement:
    """Pass if everything was up in every read, was not restarted meanwhile, and did not restart by itself just before."""
    found = Collector(most=6, confirmed=True)
    for failure, names in by_cause(measurement.silent).items():
        found.unknown(f"cannot be asked: {failure.said}", where=listed(names))
    silent = {name for name, _ in measurement.silent}
    alike: dict[tuple[str, Said], list[Watched]] = defaultdict(list)
    good = 0
    for each in measurement.watched:
        found.note(*each.notes, where=each.component)
        if each.where in silent and all(read.state is State.UNKNOWN for read in each.reads):
            continue
        said = judged(each, measurement, criterion)
        good += said == Said()
        _read(each, said, found)
        alike[f"{each.component} ({each.what})", said].append(each)
        _note(each, said, found)
    for (name, said), these in alike.items():
        hosts = [each.where for each in these if each.where]
        where = f"{listed(hosts)}: {name}" if hosts else name
        if said.wrong:
            found.wrong(said.wrong, where=where)
        elif said.unknown:
            found.unknown(said.unknown, where=where)
    return found.judgement(
        lambda: (
            f"{good} things that must run were up in {len(measurement.watched[0].reads)} reads over "
            f"{words_for(measurement.over_s)}, without a restart"
        )
    )


def _read(each: Watched, said: Said, found: Collector) -> None:
    up = sum(read.state is State.UP for read in each.reads)
    ok = False if said.wrong else None if said.unknown else True
    found.read(Reading(each.name, f"up in {up} of {len(each.reads)} reads", limit=_LIMIT, ok=ok))


def _note(each: Watched, said: Said, found: Collector) -> None:
    last = each.reads[-1]
    if said == Said() and last.restarts:
        since = f", the last one {words_for(last.since_s)} ago" if last.since_s is not None else ""
        times = "once" if last.restarts == 1 else f"{last.restarts} times"
        found.note(f"it was restarted {times}{since}", where=each.name)


def judged(each: Watched, measurement: Health, criterion: HowRead) -> Said:
    """Judge what all reads saw of one thing."""
    states = [read.state for read in each.reads]
    bad = next((read for read in each.reads if read.state is not State.UP), None)
    up, of = states.count(State.UP), len(states)
    if restarted := _restarted(each, measurement):
        return Said(wrong=restarted)
    if bad is None:
        return _just_started(each, criterion)
    told = [read for read in each.reads if read.state is not State.UNKNOWN]
    down = [read for read in told if read.state is State.DOWN]
    if up and (down or State.STARTING in states):
        worst = down[0] if down else bad
        return Said(
            wrong=f"it flaps: up in {up} of {of} reads over {words_for(measurement.over_s)}, and once {worst.said}; look at "
            "its log for why it ends"
        )
    if down:
        return Said(wrong=f"{down[-1].said}; look at its log, and start it if it is down")
    if State.STARTING in states:
        last = [read for read in told if read.state is State.STARTING][-1]
        return Said(unknown=f"it is still starting: {last.said}; run it again when it has started")
    return Said(unknown=bad.said or "its state is not told")


def _restarted(each: Watched, measurement: Health) -> str:
    """Say that what runs is another one than before, or was restarted meanwhile."""
    over = words_for(measurement.over_s)
    counts = [read.restarts for read in each.reads if read.restarts is not None]
    if counts and counts[-1] > counts[0]:
        return (
            f"it restarts: {counts[-1] - counts[0]} times within {over}, {counts[-1]} times in all, now {each.reads[-1].said}; "
            "look at its log for why it ends"
        )
    running = [read for read in each.reads if read.state is State.UP and read.identity]
    if len({read.identity for read in running}) > 1:
        return f"it was restarted while it was watched ({over}), {_changed(running)}; look at its log for why it ended"
    return ""


def _changed(running: Sequence[Seen]) -> str:
    return f"now {running[-1].said}"


def _just_started(each: Watched, criterion: HowRead) -> Said:
    """Judge what was up in all reads by how long it has been."""
    last = each.reads[-1]
    steady_s = criterion.steady.total_seconds()
    if last.since_s is None or last.since_s >= steady_s:
        return Said()
    if last.restarts:
        return Said(
            wrong=f"it restarts: {last.restarts} times so far, the last time {words_for(last.since_s)} ago, less than "
            f"{words_for(steady_s)}; look at its log for why it ends"
        )
    return Said(
        unknown=f"it was started {words_for(max(0.0, last.since_s))} ago, less than the {words_for(steady_s)} after which it "
        "counts as steady: run it again then"
    )
