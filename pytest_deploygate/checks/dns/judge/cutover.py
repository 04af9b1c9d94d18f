"""The switch of a name: every server returns the new answer in time, and the TTL of the old one has expired."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from pytest_deploygate.checks.dns.facts import NameAt, Records, Switch, fits, lacking, says
from pytest_deploygate.judging.sentences import Said, listed
from pytest_deploygate.model import Judgement, Reading, Verdict, words_for, words_for_count

if TYPE_CHECKING:
    from pytest_deploygate.checks.dns.section import Cutover, DnsName

#: BIND's default `max-cache-ttl`; other resolvers keep answers for a day.
_LONGEST_KEPT = timedelta(days=7)


def judge_cutover(found: Switch, expected: Cutover) -> Judgement:
    """Pass when every server and resolver returns only the new answer and the old TTL has expired.

    Any other answer is a failure, even over one transport. A transport that was not queried or did not answer is
    inconclusive.
    """
    wanted = expected.expected
    aim = wanted.cname or ", ".join(wanted.addresses or [])
    wrong: list[Said] = []
    notes: list[str] = []
    unknown: list[Said] = []
    new = 0
    for server in found.facts.servers:
        unanswered = [*_unanswered(server)]
        if any(_answered(r) and not (r.values and fits(r.values, wanted)) for r in server.over):
            wrong.append(
                (
                    server.server,
                    f"{_old(server, wanted)} after {words_for(found.elapsed_s)} (limit {words_for(expected.within)}), "
                    f"expected {aim}: {_next_step(server)}",
                )
            )
        elif unanswered:
            unknown += [
                (server.server, f"{text}: its answer for {wanted.name} is unknown") for text in unanswered
            ]
        else:
            new += 1
    for server_name, times in found.fell_back:
        text = f"had the new answer and returned another one again in {times} of {found.rounds} rounds"
        if found.first_all_s is None and server_name not in [where for where, _ in wrong]:
            wrong.append((server_name, f"{text}: several caches answer there; flush all of them"))
        else:
            notes.append(f"{server_name} {text}")
    for server_name, signed in found.signed:
        if signed.state in ("broken", "expired"):
            wrong.append(
                (
                    server_name,
                    f"the DNSSEC of its answer is {signed.state} ({signed.detail}): resolvers that validate answer SERVFAIL "
                    "to their users; sign the zone again",
                )
            )
        elif signed.state not in ("valid", "unsigned"):
            notes.append(
                f"{server_name}: DNSSEC of the answer could not be read ({signed.detail or signed.state})"
            )
    silent = bool(unknown) or not found.facts.servers
    readings = (
        Reading(
            "servers with the new answer",
            new,
            limit=f"{len(found.facts.servers)}",
            ok=False if wrong else None if silent else True,
        ),
        Reading(
            "time until every server had it", found.first_all_s, "s", f"waits at most {words_for(expected.within)}",
            ok=False if wrong else None if silent else True,
        ),
    )  # fmt: skip
    if wrong:
        return Judgement(Verdict.FAIL, listed(wrong), readings, tuple(notes), confirmed=found.rounds > 1)
    unknown += [("", text) for text in _run_out(found, expected)]
    if silent or unknown:
        return Judgement(
            Verdict.INCONCLUSIVE, listed(unknown) or "there is no server to query", readings, tuple(notes)
        )
    return Judgement(
        Verdict.PASS,
        f"{words_for_count(len(found.facts.servers), 'server returns', 'servers return')} {aim} for {wanted.name}, and the old answer has expired everywhere",
        readings,
        tuple(notes),
        confirmed=True,
    )


def _answered(records: Records) -> bool:
    return not records.problem and records.rcode != ""


def _unanswered(server: NameAt) -> Iterator[str]:
    for transport in ("UDP", "TCP"):
        if transport not in [records.transport for records in server.over]:
            yield f"was not queried over {transport}"
    for records in server.over:
        if not _answered(records):
            yield f"{records.transport}: {records.problem or 'no answer was recorded'}"


def _old(server: NameAt, wanted: DnsName) -> str:
    name = wanted.name
    if lost := next((text for r in server.over if (text := lacking(r.values, wanted))), ""):
        return f"returns {says(server)} for {name}, but {lost},"
    empty = next((r.rcode for r in server.over if _answered(r) and not r.values), "")
    if empty == "NOERROR":
        return f"has no record for {name}"
    return f"answers {empty} for {name}" if empty else f"still returns {says(server)} for {name}"


def _next_step(server: NameAt) -> str:
    if server.resolver:
        ttl_s = max((r.ttl_s or 0 for r in server.over), default=0)
        return (
            f"its users reach the old system for another {words_for(ttl_s)}; flush its cache, or keep the old side serving"
            if ttl_s
            else "check that resolver, and keep the old side serving"
        )
    if any(_answered(r) and not r.authoritative for r in server.over):
        return "it does not serve the zone (lame): configure the zone there, or remove the server from the NS records"
    return "the change has not reached it: change the record there, or find out why the zone transfer fails"


def _run_out(found: Switch, expected: Cutover) -> Iterator[str]:
    """Other resolvers may keep the old answer for its TTL after it was last returned."""
    wanted = expected.expected
    name = wanted.name
    old = [seen for seen in found.earlier if not (seen.values and fits(seen.values, wanted))]
    if not old:
        first = min((seen.at for seen in found.earlier), default=found.facts.at)
        if found.facts.at - first < _LONGEST_KEPT:
            yield (
                f"{name} was never observed before the switch, so how long resolvers keep the old answer is unknown: "
                f"keep the old side serving until {first + _LONGEST_KEPT:%Y-%m-%d %H:%M} UTC ({words_for(_LONGEST_KEPT)} after the new "
                "answer was first seen, which is the longest that resolvers keep one), and next time run `infra.dns-failover` with "
                "the same change before the cutover"
            )
        return
    last = old[-1]
    first_new = next(
        (s.at for s in found.earlier if s.at > last.at and s.values and fits(s.values, wanted)),
        found.facts.at,
    )
    over = first_new + timedelta(seconds=max(seen.ttl_s for seen in old))
    if over > found.facts.at:
        yield (
            f"the old answer of {name} ({', '.join(last.values) or 'no record'}, TTL {max(seen.ttl_s for seen in old)} s) was last seen {last.at:%Y-%m-%d %H:%M} UTC: "
            f"resolvers may keep it until {over:%Y-%m-%d %H:%M} UTC; keep the old side serving, then run this again"
        )
