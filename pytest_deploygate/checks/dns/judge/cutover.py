"""The switch of a name: everybody gives the new answer in time, and what resolvers held of the old one has run out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from pytest_deploygate.checks.dns.facts import NameAt, Switch, fits, is_new, says
from pytest_deploygate.checks.dns.section import Cutover
from pytest_deploygate.judging.sentences import Said, listed
from pytest_deploygate.model import Judgement, Reading, Verdict, words_for


def judge_cutover(found: Switch, expected: Cutover) -> Judgement:
    """Pass when every server and resolver gives the new answer alone and the old TTL has run out."""
    wanted = expected.expected
    aim = wanted.cname or ", ".join(wanted.addresses or [])
    wrong: list[Said] = []
    unknown: list[Said] = []
    for server in found.facts.servers:
        if is_new(server, wanted):
            continue
        problems = [records.problem for records in server.over if records.problem]
        if problems:
            unknown.append((server.server, f"{problems[0]}: what it gives cannot be told"))
        else:
            wrong.append(
                (
                    server.server,
                    f"{_old(server, wanted.name)} after {words_for(found.elapsed_s)} (limit {words_for(expected.within)}), "
                    f"expected {aim}: {_next_step(server)}",
                )
            )
    readings = (
        Reading(
            "servers with the new answer",
            sum(is_new(s, wanted) for s in found.facts.servers),
            limit=f"{len(found.facts.servers)}",
            ok=not wrong,
        ),
        Reading(
            "until everybody had it",
            found.first_all_s,
            "s",
            f"within {words_for(expected.within)}",
            ok=None if unknown else not wrong,
        ),
    )
    if wrong:
        return Judgement(Verdict.FAIL, listed(wrong), readings, confirmed=found.rounds > 1)
    unknown += [("", text) for text in _run_out(found, expected)]
    if unknown or not found.facts.servers:
        return Judgement(Verdict.INCONCLUSIVE, listed(unknown) or "there is no server to ask", readings)
    return Judgement(
        Verdict.PASS,
        f"{len(found.facts.servers)} servers give {aim} for {wanted.name}, and the old answer has run out everywhere",
        readings,
        confirmed=True,
    )


def _old(server: NameAt, name: str) -> str:
    refused = next((r.rcode for r in server.over if not r.values and r.rcode != "NOERROR"), "")
    return f"answers {refused} for {name}" if refused else f"still gives {says(server)} for {name}"


def _next_step(server: NameAt) -> str:
    if server.resolver:
        ttl_s = max((r.ttl_s or 0 for r in server.over), default=0)
        return (
            f"its users go to the old system, for {words_for(ttl_s)} more; flush its cache, or keep the old side serving"
            if ttl_s
            else "look at that resolver, and keep the old side serving"
        )
    if any(not r.authoritative for r in server.over):
        return "it does not serve the zone (lame): configure the zone there or take it out of NS"
    return "the change has not reached it: change the record there, or see why the transfer of the zone fails"


def _run_out(found: Switch, expected: Cutover) -> Iterator[str]:
    """Other resolvers than those named may hold the old answer for its TTL after it was last given."""
    wanted = expected.expected
    name = wanted.name
    if not found.earlier:
        yield (
            f"{name} was never observed before the switch, so how long resolvers hold the old answer cannot be told: "
            "run `infra.dns-failover` with the same change before the cutover"
        )
        return
    old = [seen for seen in found.earlier if seen.values and not fits(seen.values, wanted)]
    if not old:
        return
    last = old[-1]
    first_new = next(
        (s.at for s in found.earlier if s.at > last.at and fits(s.values, wanted)), found.facts.at
    )
    over = first_new + timedelta(seconds=max(seen.ttl_s for seen in old))
    if over > found.facts.at:
        yield (
            f"the old answer of {name} ({', '.join(last.values)}, TTL {max(seen.ttl_s for seen in old)} s) was last seen {last.at:%H:%M} UTC: "
            f"resolvers may hold it until {over:%Y-%m-%d %H:%M} UTC; keep the old side serving, and run this again then"
        )
