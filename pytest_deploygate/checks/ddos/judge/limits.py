"""Judges one burst: the limit that was found, refusals, the second source, ways around, and recovery."""

from __future__ import annotations

import ipaddress
import math
import re
from collections import Counter

from pytest_deploygate.checks.ddos.facts import Attempt, Trial
from pytest_deploygate.checks.ddos.judge import estimate
from pytest_deploygate.checks.ddos.judge.estimate import Between, Found, refused
from pytest_deploygate.checks.ddos.section import Ddos, Limit, same_network
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Reading, words_for

#: A limit for all sources together, which serves the second one by chance, must be less likely than this.
_BY_CHANCE = 0.01
#: More answers than this that are neither served nor refused: it is not the limit that was measured.
_ODD = 0.05
#: A date in the form that HTTP prescribes (RFC 9110, 5.6.7).
_DATE = re.compile(r"[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT")
_AROUND = {
    "query": "another query string",
    "path": "other paths",
    "http2": "one HTTP/2 connection",
    "network": "another address of the same IPv6 network",
    "forged": "a forged address",
}
_COUNT_SOURCE = "count by the client's address alone (nginx: `limit_req_zone $binary_remote_addr`; HAProxy: `http-request track-sc0 src`)"


def judge_trial(trial: Trial, limit: Limit, ddos: Ddos, to: Collector) -> None:
    """Add what one burst showed."""
    where = f"{limit.name} at {trial.address}"
    if trial.problem:
        to.unknown(trial.problem, where=where)
        return
    if trial.second and trial.second == trial.source:
        to.unknown(f"both sources are {trial.source}: name another one in `second`", where=where)
        return
    attempts = estimate.plain(trial)
    if all(each.served for each in attempts):
        _no_limit(trial, limit, attempts, to, where)
        _second(trial, limit, ddos, to, where)
        return
    if not _refusals(trial, limit, to, where) or (found := estimate.found(trial, limit)) is None:
        return
    _size(found, limit, to, where)
    around = _ways(trial, limit, ddos, found, to, where)
    _second(trial, limit, ddos, to, where, around=around)
    _recovery(trial, limit, to, where)
    _told(trial, limit, to, where)


def _no_limit(trial: Trial, limit: Limit, attempts: list[Attempt], to: Collector, where: str) -> None:
    over_s = estimate.span_s(attempts)
    most = estimate.let_through(limit, over_s)
    reading = f"{where}: requests served in {words_for(over_s)}"
    if len(attempts) > most:
        to.read(Reading(reading, len(attempts), limit=f"at most {most:.0f}", ok=False))
        to.wrong(
            f"no limit: all {len(attempts)} requests that one source sent in {words_for(over_s)} were served, "
            f"where {_declared(limit)} lets {most:.0f} through; limit what one address may send before the application "
            "(nginx: limit_req; HAProxy: a stick table)",
            where=where,
        )
        return
    to.read(Reading(reading, len(attempts)))
    slow = _middle([each.answered_s - each.sent_s for each in attempts])
    usual = _middle([each.answered_s - each.sent_s for each in trial.others])
    if slow > max(0.25, 5 * usual):
        to.unknown(
            f"none of {len(attempts)} requests was refused, but half of them took {words_for(slow)} or longer, those of the second "
            f"source {words_for(usual)}: the server delays instead of refusing, or is slow; refuse what is over the limit "
            "(nginx: `nodelay`), or raise `connections`",
            where=where,
        )
        return
    to.unknown(
        f"none of {len(attempts)} requests in {words_for(over_s)} was refused, but {_declared(limit)} may let {most:.0f} through: "
        f"this machine could not send more ({trial.lag}); raise `connections` and `most`, or run it where processors are free",
        where=where,
    )


def _declared(limit: Limit) -> str:
    return f"the declared limit ({_rate(limit.rate)}, burst {limit.burst}, {limit.tolerance} % tolerated)"


def _rate(per_second: float) -> str:
    return f"{per_second:.3g}/s" if per_second >= 0.5 else f"{per_second * 60:.3g}/min"


def _middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2] if values else 0.0


def _refusals(trial: Trial, limit: Limit, to: Collector, where: str) -> bool:
    """Judge how the burst was refused; return whether it was the limit that answered."""
    attempts = [each for each in trial.attempts if each.phase != "control" and not each.varied]
    turned_away = [each for each in attempts if not each.served]
    good = [each for each in turned_away if refused(each, limit)]
    odd = Counter(_met(each) for each in turned_away if not refused(each, limit))
    expected = " or ".join(map(str, limit.refused))
    kinds = ", ".join(sorted({str(each.status) for each in good})) or "none"
    if odd.total() > _ODD * len(turned_away):
        what, number = odd.most_common(1)[0]
        status = next((e.status for e in turned_away if _met(e) == what), 0)
        reading = f"{where}: answers that are neither served nor refused"
        if not good and 400 <= status < 500:
            to.read(Reading(f"{where}: status of a refusal", what, limit=expected, ok=False))
            to.wrong(
                f"what is over the limit is refused with {what}, not {expected}: clients take it for an error of theirs; set the status "
                "(nginx: limit_req_status 429; HAProxy: deny_status 429), or name it in `refused`",
                where=where,
            )
            return False
        to.read(Reading(reading, number))
        to.unknown(
            f"{number} of {len(attempts)} requests met {what}, which is neither served nor refused ({expected}), so the limit is not "
            "known: look at the server's log of that time; name the status in `refused` if it is the limit's",
            where=where,
        )
        return False
    to.read(Reading(f"{where}: status of a refusal", kinds, limit=expected, ok=True))
    _retry_after(good, limit, to, where)
    return True


def _met(attempt: Attempt) -> str:
    words = {
        "silent": "no answer in time",
        "closed": "a closed connection",
        "refused": "a refused connection",
    }
    return f"HTTP {attempt.status}" if attempt.status else words.get(attempt.problem, attempt.problem)


def _retry_after(good: list[Attempt], limit: Limit, to: Collector, where: str) -> None:
    lacking = sum(not each.wait for each in good)
    odd = next((each.wait for each in good if each.wait and not _is_retry_after(each.wait)), "")
    if limit.retry_after:
        ok = not lacking and not odd
        to.read(
            Reading(f"{where}: refusals without a valid Retry-After", lacking + bool(odd), limit="0", ok=ok)
        )
    statuses = " and ".join(sorted({str(each.status) for each in good}))
    if lacking and limit.retry_after:
        to.wrong(
            f"{lacking} of {len(good)} refusals ({statuses}) have no Retry-After, so clients do not know when to come back: add it "
            "(nginx: `add_header Retry-After 1 always` in the error_page's location; HAProxy: `http-request return … hdr Retry-After`)",
            where=where,
        )
    if odd:
        said = f"Retry-After {odd!r} is neither a number of seconds nor a date (RFC 9110, 10.2.3)"
        (to.wrong if limit.retry_after else to.note)(said, where=where)


def _is_retry_after(value: str) -> bool:
    return value.isdigit() or _DATE.fullmatch(value) is not None


def _size(found: Found, limit: Limit, to: Collector, where: str) -> None:
    """Judge burst and rate by their bounds."""
    more = 1 + limit.tolerance / 100
    most = limit.burst * more + 1
    _bounded(found.burst, most, f"{where}: burst let through", "requests", to)
    if found.burst.low > most:
        to.wrong(
            f"the limit is too high: {found.burst} requests at once were let through, declared are {limit.burst}"
            f"{_times(found.burst, limit.burst)}; lower it (nginx: burst=; HAProxy: the number in the rule), or declare it in `burst`",
            where=where,
        )
    elif found.burst.high > most:
        to.unknown(
            f"{found.burst} requests at once were let through, declared are {limit.burst}: answers came too slowly to count closer; run "
            "it again when this machine has free processors",
            where=where,
        )
    if found.window:
        # Nothing was let through while requests were offered, so only what all of it let through can be compared.
        allowed = estimate.let_through(limit, found.over_s)
        ok = found.through <= allowed
        to.read(
            Reading(
                f"{where}: let through in {words_for(found.over_s)}",
                found.through,
                limit=f"at most {allowed:.0f}",
                ok=ok,
            )
        )
        return
    _bounded(found.rate, limit.rate * more, f"{where}: rate let through after that", "per second", to)
    if found.rate.low > limit.rate * more:
        to.wrong(
            f"the limit is too high: {found.rate} requests per second were let through for {words_for(found.over_s)}, declared are "
            f"{_rate(limit.rate)}{_times(found.rate, limit.rate)}; lower it, or declare it in `rate`",
            where=where,
        )
    elif found.rate.high > limit.rate * more:
        to.unknown(
            f"{found.rate} requests per second were let through, declared are {_rate(limit.rate)}: too few to tell; run it "
            "again when this machine has free processors, or raise `tolerance`",
            where=where,
        )
    elif found.rate.high < limit.rate / more:
        to.note(
            f"the limit is tighter than declared: {found.rate} per second, declared are {_rate(limit.rate)}",
            where=where,
        )


def _times(found: Between, declared: float) -> str:
    """Say that servers may count for themselves, if the number is a small multiple of what is declared."""
    if math.isinf(found.high):
        return ""
    times = round((found.low + found.high) / 2 / declared)
    return (
        f", {times} times as many (does each of {times} servers count for itself?)" if 2 <= times <= 8 else ""
    )


def _bounded(found: Between, most: float, name: str, unit: str, to: Collector) -> None:
    ok = True if found.high <= most else False if found.low > most else None
    # What the bounds leave open is said, and compared with no limit.
    limit = f"at most {most:.3g}" if ok is not None else ""
    to.read(Reading(name, str(found), unit, limit, ok))


def _ways(trial: Trial, limit: Limit, ddos: Ddos, found: Found, to: Collector, where: str) -> dict[str, bool]:
    """Judge the ways around the limit; return which of them are open."""
    open_ways: dict[str, bool] = {}
    for phase, words in _AROUND.items():
        way = estimate.way(trial, phase, limit, found.rate, found.clump)
        if way is None:
            continue
        ok = False if way.open else True if way.known else None
        if phase == "network" and limit.ipv6_prefix is None:
            # Whether a network is to be one source is not declared, so it is said and not judged.
            _network_undeclared(way, to, where)
            continue
        limits = f"at most {way.explained:.0f}" if ok is not None else ""
        name = f"{where}: served with {words}, of {way.tried}"
        to.read(Reading(name, way.served, limit=limits, ok=ok))
        open_ways[phase] = way.open
        if ok is None and way.odd:
            met = ", ".join(str(status) if status else "no answer" for status in way.odd)
            to.unknown(
                f"whether {words} leads around the limit is unknown: such requests met {met}", where=where
            )
        elif ok is None:
            to.unknown(
                f"whether {words} leads around the limit is unknown: {way.served} of {way.tried} were served, and the limit itself may "
                "let as many through in that time; run it again when this machine has free processors",
                where=where,
            )
    if open_ways.get("http2"):
        to.wrong(
            "requests over one HTTP/2 connection escape the limit: it counts connections, or HTTP/1.1 alone; count the requests of each "
            "address, whatever their version (nginx: limit_req in the server that has `http2`; HAProxy: `http-request track-sc0 src`, "
            "not `tcp-request connection`)",
            where=where,
        )
    elif trial.http2 and "http2" not in open_ways:
        to.unknown(
            "whether requests over one HTTP/2 connection are limited is unknown: the server speaks it, and the libcurl here does not; "
            "install pycurl from its wheel",
            where=where,
        )
    if open_ways.get("network"):
        to.wrong(
            f"each address of an IPv6 network has a limit of its own, and a /{limit.ipv6_prefix} is declared to be one source: count by its "
            f"prefix (nginx: a `map` of $binary_remote_addr; HAProxy: `track-sc0 src,ipmask(32,{limit.ipv6_prefix})`)",
            where=where,
        )
    elif limit.ipv6_prefix is not None and "network" not in open_ways and ":" in trial.address:
        to.unknown(
            f"whether a /{limit.ipv6_prefix} counts as one source was not tried: name two IPv6 addresses of one such network in "
            "`burst_from`",
            where=where,
        )
    if open_ways.get("forged"):
        headers = [
            header
            for header in ddos.forged
            if (way := estimate.way(trial, header, limit, found.rate, found.clump)) and way.open
        ]
        names = " or ".join(headers) or ", ".join(ddos.forged)
        to.wrong(
            f"a forged {names} escapes the limit: each false address has a limit of its own; take the address from the connection, and "
            "from the header only behind proxies of yours (nginx: set_real_ip_from; HAProxy: `src`, not `hdr_ip`). Is this machine one "
            "of the trusted proxies?",
            where=where,
        )
    return open_ways


def _network_undeclared(way: estimate.Way, to: Collector, where: str) -> None:
    if way.open:
        to.note(
            f"each IPv6 address has a limit of its own: {way.served} of {way.tried} requests from others of the same network were "
            "served, and who has a /64 has as many as he likes; `ipv6_prefix: 64` makes this a failure",
            where=where,
        )
    elif way.known:
        to.note("an IPv6 network counts as one source", where=where)


def _second(
    trial: Trial,
    limit: Limit,
    ddos: Ddos,
    to: Collector,
    where: str,
    *,
    around: dict[str, bool] | None = None,
) -> None:
    """Judge whether the other source was served meanwhile, and what the limit counts by."""
    open_ways = around or {}
    paths = [_AROUND[phase] for phase in ("query", "path") if open_ways.get(phase)]
    during = _during(trial, ("control", "recovery", "share"), "burst")
    # 503 may also mean that the service is overloaded: it is the limit's if that refused the first source with it.
    by_limit = {each.status for each in estimate.plain(trial) if refused(each, limit)}
    turned_away = [each for each in during if refused(each, limit) and each.status in by_limit]
    within_s = ddos.second_within.total_seconds()
    slowest = max((each.answered_s - each.sent_s for each in during if each.served), default=None)
    lost = [each for each in during if not each.served and each not in turned_away]
    name = f"{where}: requests of the second source that were refused, of {len(during)}"
    if turned_away:
        if _same_to_the_front(trial):
            to.read(Reading(name, len(turned_away)))
            to.unknown(
                f"the second source was refused {len(turned_away)} times, but both are addresses of this machine and may be one to the "
                "front: use a host in another network (`second: {host: …}`)",
                where=where,
            )
            return
        if same_network(trial.second, trial.source, limit.ipv6_prefix):
            to.read(Reading(name, len(turned_away)))
            to.unknown(
                f"the second source {trial.second} was refused {len(turned_away)} times, but it is of the same IPv6 network as "
                f"{trial.source}, which may count as one source: name an address of another /{limit.ipv6_prefix or 64} in `second`",
                where=where,
            )
            return
        to.read(Reading(name, len(turned_away), limit="0", ok=False))
        if paths:
            to.wrong(
                f"the limit counts by path, for all sources together: the second source was refused {len(turned_away)} of {len(during)} "
                f"times while another one asked too much, and {' and '.join(paths)} escaped it; {_COUNT_SOURCE}",
                where=where,
            )
        else:
            to.wrong(
                f"everybody is limited: the second source was refused {len(turned_away)} of {len(during)} times while another one asked "
                f"too much, so anybody can shut others out; {_COUNT_SOURCE}",
                where=where,
            )
        return
    if paths:
        to.wrong(
            f"the limit counts by path: {' and '.join(paths)} escape it; {_COUNT_SOURCE}, without the path or query",
            where=where,
        )
    if lost:
        to.read(Reading(f"{where}: requests of the second source that were not served", len(lost)))
        to.unknown(
            f"the second source met {_met(lost[0])} in {len(lost)} of {len(during)} requests during the burst: is the service overloaded "
            "by what the limit lets through?",
            where=where,
        )
        return
    asked = estimate.plain(trial)
    # Where nobody was refused, the second source says nothing of what the limit counts by.
    chance = _chance(asked, len(during)) if any(not each.served for each in asked) else 0.0
    if chance > _BY_CHANCE:
        to.read(Reading(f"{where}: answers to the second source", len(during)))
        to.unknown(
            f"the second source got {len(during)} answers during the burst, which is too few: a limit for all sources together would have "
            f"let so many through with a chance of {chance:.0%}; this limit is too slow to be measured, or this machine",
            where=where,
        )
        return
    to.read(Reading(name, 0, limit="0", ok=True))
    if slowest is not None:
        _in_time(trial, slowest, within_s, to, where)
    _in_its_name(trial, limit, to, where)


def _during(trial: Trial, without: tuple[str, ...], phase: str) -> list[Attempt]:
    """Return what the second source met while the first one asked: in all its phases but some, or in that of the same name."""
    first = [e for e in trial.attempts if (e.phase not in without if without else e.phase == phase)]
    if not first:
        return []
    began, ended = min(e.sent_s for e in first), max(e.answered_s for e in first)
    return [e for e in trial.others if e.phase != "control" and began <= e.sent_s <= ended]


def _chance(attempts: list[Attempt], number: int) -> float:
    """Return the chance that one and the same limit lets a number of requests through, as it did others at that time."""
    refusals = [n for n, each in enumerate(attempts) if not each.served]
    after = attempts[refusals[0] :] if refusals else attempts
    if not after or not number:
        return 1.0
    share: float = sum(each.served for each in after) / len(after)
    return share**number


def _in_time(trial: Trial, slowest: float, within_s: float, to: Collector, where: str) -> None:
    name, limits = f"{where}: slowest answer to the second source", f"at most {words_for(within_s)}"
    if slowest <= within_s:
        to.read(Reading(name, round(slowest, 2), "s", limits, ok=True))
        return
    why = trial.lag.explains(slowest, within_s)
    said = f"the second source waited {words_for(slowest)} for an answer during the burst, limit {words_for(within_s)}"
    if why:
        to.read(Reading(name, round(slowest, 2), "s"))
        to.unknown(f"{said}, {why}", where=where)
        return
    to.read(Reading(name, round(slowest, 2), "s", limits, ok=False))
    to.wrong(f"{said}: what the limit lets through is too much for the service; lower the limit", where=where)


def _in_its_name(trial: Trial, limit: Limit, to: Collector, where: str) -> None:
    """Judge whether another one could use up the second source's limit by its name."""
    in_its_name = [each for each in trial.attempts if each.phase == "share"]
    if not in_its_name:
        to.note(
            f"nothing was sent in the name of the second source{'' if trial.second else ': give its `address`'}",
            where=where,
        )
        return
    shared = _during(trial, (), "share")
    sent, turned_away = len(in_its_name), sum(refused(each, limit) for each in shared)
    if not turned_away and _chance(in_its_name, len(shared)) > _BY_CHANCE:
        to.note(
            f"whether the second source can be shut out in its name is not known: it asked only {len(shared)} times meanwhile",
            where=where,
        )
        return
    name = f"{where}: refused after {sent} requests of another one in its name"
    to.read(Reading(name, turned_away, limit="0", ok=not turned_away))
    if turned_away:
        to.wrong(
            f"the second source was refused after another one had sent {sent} requests with its address in a header: anybody can shut "
            "others out by their address; take it from the connection, and from the header only behind proxies of yours",
            where=where,
        )


def _same_to_the_front(trial: Trial) -> bool:
    """Tell whether both sources may have the same address beyond a network that translates addresses."""
    if not trial.second_here or not trial.source:
        return False
    own, peer = ipaddress.ip_address(trial.source), ipaddress.ip_address(trial.address)
    return own.is_private and not peer.is_private


def _recovery(trial: Trial, limit: Limit, to: Collector, where: str) -> None:
    asked = [each for each in trial.attempts if each.phase == "recovery"]
    before = [each.sent_s for each in trial.attempts if each.phase not in ("recovery", "control")]
    within_s = limit.recovers.total_seconds()
    name = f"{where}: served again after"
    again = next((each for each in asked if each.served), None)
    if not asked or not before:
        to.unknown("recovery was not measured", where=where)
        return
    if again is None:
        waited = asked[-1].answered_s - max(before)
        to.read(Reading(name, None, "s", f"at most {words_for(within_s)}", ok=False))
        to.wrong(
            f"the source was still refused ({_met(asked[-1])}) {words_for(waited)} after its last request, limit {words_for(within_s)}: "
            "end the ban sooner (HAProxy: expire of the stick table; fail2ban: bantime), or declare it in `recovers`",
            where=where,
        )
        return
    took = again.answered_s - max(before)
    if (wait := asked[0].wait) and again is not asked[0] and wait.isdigit():
        to.note(
            f"Retry-After promises too much: the source came back after the time that it named, was refused, and served only {words_for(took)} "
            "after its last request",
            where=where,
        )
    ok = took <= within_s
    why = "" if ok else trial.lag.explains(took, within_s)
    if why:
        to.read(Reading(name, round(took, 2), "s"))
        to.unknown(f"the source was served again only after {words_for(took)}, {why}", where=where)
        return
    to.read(Reading(name, round(took, 2), "s", f"at most {words_for(within_s)}", ok=ok))
    if not ok:
        to.wrong(
            f"the source was served again only {words_for(took)} after its last request, limit {words_for(within_s)}",
            where=where,
        )


def _told(trial: Trial, limit: Limit, to: Collector, where: str) -> None:
    if trial.told:
        to.note(f"answers tell of the limit: {', '.join(trial.told)}", where=where)
    if trial.unsent:
        to.note(f"{trial.unsent} requests of the plan could not be sent in time", where=where)
    if not limit.paths:
        to.note("other paths were not tried: name safe ones in `paths`", where=where)
