"""Whether a stop ends what waits in time."""

from __future__ import annotations

from pytest_deploygate.checks.blast_radius.facts import Ends, StopSeen
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading, words_for


def judge_stop(measurement: StopSeen, criterion: Ends) -> Judgement:
    """Pass if each way of waiting ended within the limit after the stop file was made."""
    found, limit_s = Collector(most=4, confirmed=True), criterion.within_s
    if measurement.problem:
        found.unknown(measurement.problem)
    slowest = 0.0
    for tried in measurement.tried:
        if tried.took_s is None and (why := tried.lag.explains(tried.lag.over_s, limit_s)):
            waited = words_for(tried.lag.over_s)
            found.unknown(f"the stop had not ended it after {waited}, {why}", where=tried.waited_in)
            continue
        if tried.took_s is None:
            found.wrong(
                "a probe that waited in it went on after the stop: do not run active probes from this machine",
                where=tried.waited_in,
            )
            continue
        slowest = max(slowest, tried.took_s)
        if tried.took_s <= limit_s:
            continue
        if why := tried.lag.explains(tried.took_s, limit_s):
            found.unknown(f"the stop took {tried.took_s:.2f} s, {why}", where=tried.waited_in)
        else:
            found.wrong(
                f"the stop took {tried.took_s:.2f} s, {limit_s:g} s are allowed: is the folder of the change on a slow disk?",
                where=tried.waited_in,
            )
    ended = [tried for tried in measurement.tried if tried.took_s is not None]
    if ended:
        excused = slowest > limit_s and not found.failed
        good = None if excused else slowest <= limit_s
        found.read(Reading("slowest stop", round(slowest, 3), "s", f"at most {limit_s:g} s", good))
    return found.judgement(
        lambda: (
            f"a stop ended {len(ended)} probes that waited ({', '.join(t.waited_in for t in ended)}), the slowest after "
            f"{slowest:.2f} s"
        )
    )
