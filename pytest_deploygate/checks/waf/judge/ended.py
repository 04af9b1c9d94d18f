"""Judge a run that was not whole: a ban, a WAF that blocks everyone, a rate limit, or too little time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_deploygate.checks.waf.facts import Result, Run, Sentinel
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Reading, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.waf.section import Waf


def judge_ended(run: Run, waf: Waf, found: Collector) -> None:
    """Judge a run that was not whole. Only a WAF that blocks every source from the start is wrong, all else is unknown."""
    requests = Reading("requests sent", run.requests)
    if run.ended == "first sentinel":
        found.read(requests)
        _from_the_start(run, waf, found)
        return
    found.read(Reading("attacks sent", len(run.attacks)), requests)
    if run.ended == "within":
        found.unknown(
            f"the run was ended after {words_for(waf.within)}, with {len(run.attacks)} attacks sent: raise `within`, or "
            "`connections` if the platform bears it",
            where=run.target,
        )
    elif run.ended == "sentinel":
        found.unknown(_void(run), where=run.target)
    else:
        found.unknown(f"the run was ended: {run.ended}", where=run.target)


def _from_the_start(run: Run, waf: Waf, found: Collector) -> None:
    first = run.sentinels[0]
    others = [each for each in run.sentinels if each.source]
    plain = f"a plain GET of {waf.read} is blocked ({first.said}) before any attack was sent"
    if others and all(each.result is Result.BLOCKED for each in others):
        sources = ", ".join(each.source for each in others)
        found.read(Reading("sources that are served", 0, limit="all", ok=False))
        found.wrong(
            f"{plain}, also from {sources}: the WAF blocks everyone. Look in its log for the rule that matches a plain GET, "
            "correct or switch off that rule, and check its default action and lists of addresses",
            where=run.target,
        )
    elif any(each.result is Result.PASSED for each in others):
        served = next(each.source for each in others if each.result is Result.PASSED)
        found.unknown(
            f"{plain}, and {served} is served: our address is banned, perhaps since an earlier run. Lift the ban, or let it "
            "end, and exempt this address from bans while the gate runs",
            where=run.target,
        )
    else:
        found.unknown(
            f"{plain}: either the WAF blocks everyone, or our address is banned, perhaps since an earlier run. Open the page "
            "from elsewhere; `waf.sources` with a second local address tells them apart",
            where=run.target,
        )


def _void(run: Run) -> str:
    broken = next(each for each in run.sentinels if not each.source and each.result is not Result.PASSED)
    before = sum(not each.source and each.result is Result.PASSED for each in run.sentinels)
    whole = f"after {broken.after} attacks an ordinary GET"
    was = f"the {before} before it were served"
    others = _sources_then(run, broken)
    if broken.said == "429":
        return (
            f"{whole} got 429, {was}: a rate limit stopped the run{others}, so blocks say nothing about rules. Lower "
            "`waf.connections`, or exempt this address from the limit while the gate runs"
        )
    if broken.result is Result.BLOCKED:
        return (
            f"{whole} is blocked ({broken.said}), {was}: our address was banned in the middle of the run{others}, so blocks "
            "after it say nothing about rules, and the run counts for nothing. Exempt this address from bans while the gate "
            "runs (fail2ban, IP reputation, rate-based rules), and run again once the ban is over"
        )
    return (
        f"{whole} got {broken.said}, {was}{others}: either our address was banned, or the platform broke under the run. Look "
        "at the platform first; then exempt this address from bans, and lower `waf.connections`"
    )


def _sources_then(run: Run, broken: Sentinel) -> str:
    later = [each for each in run.sentinels if each.source and each.after >= broken.after]
    if not later:
        return ""
    served = [each.source for each in later if each.result is Result.PASSED]
    return f" ({served[0]} is still served)" if served else f" ({later[0].source} is not served either)"
