"""The whole measurement: where attacks may be sent, the run itself, and its dated record."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from pytest_deploygate.checks.hosts.section import Host
from pytest_deploygate.checks.waf import facts
from pytest_deploygate.checks.waf.facts import Result
from pytest_deploygate.checks.waf.probe import corpus, doors, foreign, from_hosts, message
from pytest_deploygate.checks.waf.probe import run as running
from pytest_deploygate.checks.waf.probe.corpus import Case, Usual
from pytest_deploygate.checks.waf.probe.exchange import Connection, Place
from pytest_deploygate.checks.waf.section import USUAL, Waf
from pytest_deploygate.clients.budget import Budget, headers
from pytest_deploygate.clients.http import sending
from pytest_deploygate.drills import record as drills
from pytest_deploygate.model import CannotTell, NotReached

Evidence = drills.Evidence[facts.Run]
_TIMEOUT_S = 10.0


def attack(
    waf: Waf, environment: str, budget: Budget, hosts: Mapping[str, Host] | None = None, *, allowed: bool
) -> Evidence:
    """Send the corpora if the inventory or the command line allows it, else read the record of the last run.

    `hosts` are the servers of the section `hosts` by name, from which origins are tried, too.

    Raises CannotTell if neither is possible, NotReached if nothing answers, and Ended.
    """
    about = drills.described(configuration(waf))
    ran = None
    if allowed or waf.opt_in == environment:
        found = measure(waf, budget, hosts or {})
        # What was found is judged; an outcome of its own would be a second verdict. A run that was not whole is not kept.
        ran = drills.made(found, drills.GOOD, about, environment=environment)
        if waf.record and not found.ended:
            drills.write(waf.record, ran)
    elif waf.record is None:
        raise CannotTell(
            f"no attack was sent: set `waf.opt_in: {environment}` if this environment may be attacked with inert payloads at "
            f"{waf.read}{f' and {waf.write}' if waf.write else ''}, or run with --allow-disruptive={environment}"
        )
    return drills.evidence(waf.record, facts.Run, ran=ran, configuration=about, environment=environment)


def configuration(waf: Waf) -> dict[str, str]:
    """Return what a run depends on."""
    return {
        "url": waf.url,
        "read": waf.read,
        "write": waf.write or "none",
        "corpus": corpus.version(),
        "blocked": waf.blocked.model_dump_json(),
        "without": ", ".join(waf.without) or "nothing",
        "origins": ", ".join(f"{url} from {', '.join(('here', *names))}" for url, names in waf.ways)
        or "none",
    }


def measure(waf: Waf, budget: Budget, hosts: Mapping[str, Host]) -> facts.Run:
    """Send everything. Raises CannotTell, NotReached if nothing answers, and Ended."""
    began = time.monotonic()
    place = _place(waf)
    cases, corpora = _cases(waf)
    usual = list(_usual(waf))
    for each in waf.corpora:
        there = foreign.read(each, waf)
        cases += there.cases
        usual += there.usual
        corpora += (facts.Corpus(each.name, "", len(there.cases), dict(there.left_out)),)
    with budget.probe("corpus", control=lambda: _served(waf, place)) as spending:
        own = {name: value for name, value in spending.headers.items() if name != "User-Agent"}
        place = replace(place, headers={**place.headers, **own})
        sent = running.run(waf, place, spending, cases, usual)
        _usable(waf, sent)
        found: tuple[facts.Door, ...] = ()
        if not sent.ended:
            asked = _asked(waf, cases, sent)
            found = doors.doors(waf, place, spending, asked)
            found += from_hosts.doors(waf, place, spending, asked, hosts)
    return facts.Run(
        waf.url,
        corpora,
        sent.controls,
        sent.sentinels,
        sent.ordinary,
        sent.attacks,
        found,
        sent.requests,
        round(time.monotonic() - began, 3),
        sent.ended,
    )


def _usable(waf: Waf, sent: running.Sent) -> None:
    """Raise NotReached or CannotTell if the first plain request says that nothing can be told here."""
    first = sent.sentinels[0]
    if first.problem:
        raise NotReached(f"{waf.url}{waf.read} was not attacked: it gives no answer: {first.problem}")
    if first.result is not Result.BLOCKED and int(first.said) >= running.AN_ERROR:
        raise CannotTell(
            f"{waf.url}{waf.read} answers {first.said} to a plain GET, so blocked and passed cannot be told apart there: name "
            "a path in `waf.read` that is answered well"
        )


def _served(waf: Waf, place: Place) -> bool:
    """Ask for the plain page: a block is an answer, too."""
    connection = Connection(replace(place, headers={**place.headers, **headers("sec.waf")}))
    try:
        status = connection.ask_uncounted(message.plain(waf.read)).status
    finally:
        connection.close()
    return status is not None and status < 500


def _place(waf: Waf) -> Place:
    parts = urlsplit(waf.url)
    host, tls = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if tls else 80)
    found, problem = doors.addresses(host, port)
    if not found:
        raise NotReached(f"{waf.url} was not attacked: {problem}")
    try:
        context = ssl.create_default_context(cafile=waf.ca_file) if tls else None
    except (OSError, ssl.SSLError) as error:
        raise CannotTell(f"{waf.ca_file} has no certificates that can be read: {error}") from None
    timeout_s = waf.timeout.total_seconds() if waf.timeout else _TIMEOUT_S
    places = [Place(address, port, host, context, sending.headers(waf), timeout_s) for address in found]
    problem = ""
    for place in places:
        opening, problem = doors.connected(place)
        if opening is None:
            return place
    raise NotReached(f"{waf.url} was not attacked: it gives no answer: {problem}")


def _cases(waf: Waf) -> tuple[list[Case], tuple[facts.Corpus, ...]]:
    every = list(corpus.attacks(waf.read, waf.write))
    shipped = [case for case in every if case.placement not in waf.without]
    left_out: dict[str, int] = {}
    for case in every:
        if case.placement in waf.without:
            name = f"`without` has {case.placement}"
            left_out[name] = left_out.get(name, 0) + 1
    return shipped, (facts.Corpus(corpus.SHIPPED, corpus.version(), len(shipped), left_out),)


def _usual(waf: Waf) -> Iterator[Usual]:
    wanted = [kind for kind in USUAL if kind not in waf.without_traffic] + list(waf.more_traffic)
    yield from corpus.ordinary(waf.read, waf.write, wanted)
    for one in waf.ordinary:
        target = f"{one.path}?{one.query}" if one.query else one.path
        headers = tuple(sending.headers(one).items())
        body = (one.sent or "").encode()
        yield Usual(f"{one.method} {one.path}", "own", message.Message(one.method, target, headers, body))


def _asked(waf: Waf, cases: list[Case], sent: running.Sent) -> doors.Asked:
    blocked = {each.name for each in sent.attacks if each.result is Result.BLOCKED}
    sure = next((case.sent for case in cases if case.name in blocked and case.placement == "query"), None)
    return doors.Asked(message.plain(waf.read), int(sent.sentinels[0].said), sure)
