"""Ways around the WAF: origins, and the other addresses of the WAF's own name, asked directly."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Container, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from urllib.parse import urlsplit

from pytest_deploygate.checks.waf.facts import HERE, Door, Opening
from pytest_deploygate.checks.waf.probe import outcome
from pytest_deploygate.checks.waf.probe.exchange import Connection, Place
from pytest_deploygate.checks.waf.probe.message import Message
from pytest_deploygate.checks.waf.section import Waf
from pytest_deploygate.clients import reach
from pytest_deploygate.clients.budget import Spending
from pytest_deploygate.lazy import dataclass

_REFUSED, _SILENT = "refused", "no connection in time"


@dataclass(frozen=True)
class Asked:
    """What each door is asked: a plain GET with the status that it gets through the WAF, and an attack that the WAF blocks."""

    plain: Message
    status: int
    attack: Message | None


def doors(waf: Waf, place: Place, spending: Spending, asked: Asked) -> tuple[Door, ...]:
    """Try every address of every origin, and every other address of the WAF's name, from here."""
    wanted = [*_own(place), *_origins(waf, place)]
    with ThreadPoolExecutor(max(1, min(len(wanted), 16)), "waf-doors") as pool:
        found = tuple(pool.map(lambda each: _try(waf, each, spending, asked), wanted))
    heard = {place.address.count(":") > 0} | {
        door.address.startswith("[") for door in found if _answered(door)
    }
    return tuple(_sure(door, heard) for door in found)


@dataclass(frozen=True)
class _Wanted:
    """A door to try: what it belongs to, its place or why it has none, and whether it is an address of the WAF's own name."""

    origin: str
    place: Place | None
    problem: str = ""
    own: bool = False


def _answered(door: Door) -> bool:
    return door.opening not in (Opening.UNKNOWN, Opening.CLOSED) or door.said == _REFUSED


def _sure(door: Door, heard: Container[bool]) -> Door:
    """Return a door; silence over IPv6 says nothing if nothing at all answers over IPv6 from here."""
    version = door.address.startswith("[")
    if door.said != _SILENT or version in heard:
        return door
    return replace(
        door,
        opening=Opening.UNKNOWN,
        said=f"no answer, and nothing of the platform answers over {'IPv6' if version else 'IPv4'} from here",
    )


def _own(place: Place) -> Iterator[_Wanted]:
    for address in addresses(place.host, place.port)[0]:
        if address != place.address:
            yield _Wanted(place.host, replace(place, address=address), own=True)


def _origins(waf: Waf, place: Place) -> Iterator[_Wanted]:
    for origin, _ in waf.ways:
        parts = urlsplit(origin)
        tls = parts.scheme == "https"
        port = parts.port or (443 if tls else 80)
        found, problem = addresses(parts.hostname or "", port)
        if problem:
            yield _Wanted(origin, None, problem)
        for address in found:
            # TLS without trust: an origin's certificate is not what is asked, and a client around the WAF ignores it.
            context = _any_tls() if tls else None
            yield _Wanted(origin, replace(place, address=address, port=port, tls=context))


def addresses(host: str, port: int) -> tuple[Sequence[str], str]:
    """Return all addresses of a name, IPv4 and IPv6, or why there is none."""
    try:
        return reach.addresses(host, port), ""
    except OSError as error:
        return (), reach.why_ours(error) or str(error)


def _any_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _try(waf: Waf, wanted: _Wanted, spending: Spending, asked: Asked) -> Door:
    place = wanted.place
    if place is None:
        return Door(wanted.origin, "", HERE, Opening.UNKNOWN, wanted.problem, wanted.own)
    with spending.request(connects=True) as attempt:
        opening, said = connected(place)
        attempt.answered()  # an origin that is closed is no error of the service
    if opening is None:
        opening, said = _ask(waf, place, spending, asked)
    return Door(wanted.origin, _at(place), HERE, opening, said, wanted.own)


def connected(place: Place) -> tuple[Opening | None, str]:
    """Return what a connection met; None if it is open."""
    try:
        with socket.create_connection((place.address, place.port), place.timeout_s):
            return None, ""
    except TimeoutError:
        return Opening.CLOSED, _SILENT
    except OSError as error:
        if (ours := reach.why_ours(error)) and not reach.host_gone(error):
            return Opening.UNKNOWN, ours
        said = _REFUSED if reach.refused(error) else (error.strerror or type(error).__name__).lower()
        return Opening.CLOSED, said


def _at(place: Place) -> str:
    return f"[{place.address}]:{place.port}" if ":" in place.address else f"{place.address}:{place.port}"


def _ask(waf: Waf, place: Place, spending: Spending, asked: Asked) -> tuple[Opening, str]:
    """Ask as a user would; then, if that is answered as through the WAF, attack."""
    connection = Connection(place)
    try:
        plain = connection.ask(asked.plain, spending)
        if plain.status is None:
            closes = plain.closed or plain.problem.startswith("TLS failed")
            return (Opening.REFUSES if closes else Opening.UNKNOWN), plain.problem
        if plain.status != asked.status and not outcome.is_application(plain, waf):
            refuses = plain.status in (400, 401, 403, 421, 495, 496)
            return (Opening.REFUSES if refuses else Opening.UNKNOWN), f"answers {plain.status}"
        if asked.attack is None:
            return Opening.SERVED, f"answers {plain.status}, as through the WAF"
        attacked = connection.ask(asked.attack, spending)
        if outcome.is_block(attacked, waf):
            return Opening.GUARDED, f"an attack is blocked there, too ({attacked.status})"
        return (
            Opening.SERVED,
            f"answers {plain.status} as through the WAF, and an attack with {outcome.said(attacked)}",
        )
    finally:
        connection.close()
