"""Judges connections that were held as slow clients do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_deploygate.checks.ddos.facts import Crowd, Held
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Reading, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.ddos.section import Slow

_WORDS = {
    "headers": "headers that come slowly",
    "body": "a body that comes slowly",
    "stalled-body": "a body that does not come",
    "silent": "nothing sent",
    "kept": "nothing sent after an answer",
    "reader": "an answer that is not read",
}
_CHANGE = {
    "headers": "bound the time for all headers (nginx: client_header_timeout; HAProxy: timeout http-request; Apache: RequestReadTimeout)",
    "body": "bound the time for the whole body (HAProxy: `option http-buffer-request` with `timeout http-request`; Apache: "
    "RequestReadTimeout with MinRate; nginx's client_body_timeout begins again with each byte)",
    "stalled-body": "bound the wait for a body (nginx: client_body_timeout; HAProxy: timeout client)",
    "silent": "bound the wait for a request (nginx: client_header_timeout; HAProxy: timeout http-request, timeout client)",
    "kept": "bound the wait for the next request (nginx: keepalive_timeout; HAProxy: timeout http-keep-alive)",
    "reader": "bound the wait for a client that does not read (nginx: send_timeout; HAProxy: timeout client)",
}


def judge_held(held: Held, slow: Slow, to: Collector) -> None:
    """Add what connections of one kind showed."""
    where = f"{slow.name} at {held.address}"
    what = _WORDS.get(held.kind, held.kind)
    name = f"{where}: {what} over {held.protocol}, cut after"
    within_s = slow.within_s(held.kind)
    limits = f"at most {words_for(within_s)}"
    if held.control:
        to.unknown(
            f"an ordinary request met {held.control} meanwhile, so that connections were cut means nothing",
            where=where,
        )
        return
    if held.problem or not (held.cut_s or held.open):
        to.unknown(f"{what}: {held.problem or 'no connection was held'}", where=where)
        return
    number = len(held.cut_s) + held.open
    if held.open:
        to.read(Reading(name, None, "s", limits, ok=False))
        to.wrong(
            f"{held.open} of {number} connections with {what} over {held.protocol} were still open after {words_for(held.waited_s)}, limit "
            f"{words_for(within_s)}: a few thousand of them keep everybody else out; {_CHANGE.get(held.kind, '')}",
            where=where,
        )
        return
    slowest = max(held.cut_s)
    if slowest > within_s and (why := held.lag.explains(slowest, within_s)):
        to.read(Reading(name, slowest, "s"))
        to.unknown(f"{what}: cut only after {words_for(slowest)}, {why}", where=where)
        return
    to.read(Reading(name, slowest, "s", limits, ok=slowest <= within_s))
    if slowest > within_s:
        to.wrong(
            f"connections with {what} over {held.protocol} were cut only after {words_for(slowest)}, limit {words_for(within_s)}: "
            f"{_CHANGE.get(held.kind, '')}",
            where=where,
        )


def judge_crowd(crowd: Crowd, slow: Slow, to: Collector) -> None:
    """Add what more connections of one source showed than it may have."""
    where, most = f"{slow.name} at {crowd.address}", slow.most_connections
    if most is None:
        return
    if crowd.problem:
        to.unknown(f"how many connections one source may have is not known: {crowd.problem}", where=where)
        return
    number = crowd.stood + crowd.turned_away
    if number <= most:
        to.unknown(f"only {number} connections were tried, which one source may have", where=where)
        return
    ok = crowd.stood <= most
    to.read(
        Reading(
            f"{where}: connections of one source, of {number}", crowd.stood, limit=f"at most {most}", ok=ok
        )
    )
    if not ok:
        to.wrong(
            f"one source held {crowd.stood} of {number} connections, limit {most}: some sources together can hold all that the server has; "
            "limit them (nginx: limit_conn; HAProxy: sc_conn_cur in a stick table)",
            where=where,
        )
