"""What a TLS port agrees to: protocols, suites, groups, compression, renegotiation; probed with one hello at a time.

Each hello offers what is left and the server's choice is removed, until it refuses, as in sslscan and testssl.sh.
"""

from __future__ import annotations

import socket

from OpenSSL import SSL

from pytest_deploygate.checks.tls.facts import Agreed, Offers
from pytest_deploygate.checks.tls.probe import connection as tls_connection
from pytest_deploygate.checks.tls.probe import http_answers
from pytest_deploygate.checks.tls.probe.connection import Place, connect, hello
from pytest_deploygate.checks.tls.probe.hello import (
    GROUPS,
    VERSIONS,
    Answer,
    Offer,
    for_version,
    key_exchange,
    suites,
)
from pytest_deploygate.checks.tls.probe.starttls import NoTls
from pytest_deploygate.checks.tls.section.endpoints import Endpoint, Tls
from pytest_deploygate.clients import budget as budgets
from pytest_deploygate.clients.budget import Budget, Spending
from pytest_deploygate.clients.deadline import Deadline
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell

_WEAK_GROUPS = ("secp224r1", "prime192v1", "sect163k1", "sect233r1")
_MOST_ROUNDS = 150
_ITEM, _UNWATCHED = "sec.tls", "one handshake at a time for each address"
_LOST = ("timeout", "unreachable", "no-tls")


def measure(endpoint: Endpoint, tls: Tls, budget: Budget | None = None) -> Offers:
    """Probe every address of an endpoint, on `budget`. Raises NotReached when its name does not resolve."""
    timeout_s = tls.timeout.total_seconds()
    places = [tls_connection.place(endpoint, a, timeout_s) for a in tls_connection.addresses(endpoint)]
    with (budget or budgets.unrecorded(_ITEM)).probe("hellos", unwatched=_UNWATCHED) as spending:
        return Offers(endpoint.name, tuple(_ask(where, endpoint, spending) for where in places))


class _Counting:
    """Sends hellos to one place and counts them."""

    def __init__(self, where: Place, spending: Spending) -> None:
        self.where, self.spending = where, spending
        self.count = 0

    def __call__(self, offer: Offer) -> Answer:
        self.count += 1
        self.spending.take(connections=1, opens=0)
        return hello(self.where, offer)


def _ask(where: Place, endpoint: Endpoint, spending: Spending) -> Agreed:
    if problem := tls_connection.first_contact(where):
        return Agreed(where.label, dict.fromkeys(VERSIONS, "unreachable"), problem=problem)
    ask = _Counting(where, spending)
    first = {version: ask(Offer(version, for_version(version))) for version in VERSIONS}
    asked = {version: _all_suites(ask, version, answer) for version, answer in first.items()}
    protocols = {v: "accepted" if asked[v].found else answer.outcome for v, answer in first.items()}
    details = {version: answer.detail for version, answer in first.items()}
    accepted = [version for version in VERSIONS if protocols[version] == "accepted"]
    if not accepted:
        said = "; ".join(dict.fromkeys(f"{a.outcome}: {a.detail}" for a in first.values()))
        return Agreed(where.label, protocols, details, problem=said, hellos=ask.count)
    chosen = {version: asked[version].found for version in accepted}
    answers = [answer for found in chosen.values() for answer in found]
    bits = [answer.dh_bits for answer in answers if answer.dh_bits]
    clear = [version for version in accepted if version != "TLSv1.3"]
    compressed = ask(Offer(clear[-1], for_version(clear[-1]), compression=True)) if clear else None
    groups = _groups(ask, accepted[-1], accepted)
    _still_answers(ask, accepted[-1], chosen[accepted[-1]])
    return Agreed(
        address=where.label,
        protocols=protocols,
        details=details,
        closed_on={v: one.closed_on for v, one in asked.items() if one.closed_on},
        suites={v: tuple(suites()[a.suite] for a in found) for v, found in chosen.items()},
        groups=groups,
        dh_bits=min(bits, default=None),
        compression=bool(compressed and compressed.compressed),
        secure_renegotiation=chosen[clear[-1]][0].secure_renegotiation if clear else None,
        client_renegotiation=_renegotiates(where) if "TLSv1.2" in accepted else None,
        http=http_answers.measure(where, endpoint.web)
        if endpoint.web and not endpoint.client_certificate
        else None,
        hellos=ask.count,
    )


@dataclass(frozen=True)
class _Chosen:
    """The server's choices in a version, and the key exchanges on which it closed without an alert."""

    found: list[Answer]
    closed_on: tuple[str, ...] = ()


def _all_suites(ask: _Counting, version: str, first: Answer) -> _Chosen:
    """Return the server's choices in its order of preference. Raises CannotTell when it stops answering.

    A refusal is an alert. A server that closes instead may only have failed on one suite of many (Dovecot picks
    DHE and finds that it has no parameters), so the rest is then offered one key exchange at a time.
    """
    left = for_version(version)
    found, last = _choices(ask, version, left, first)
    if not _without_a_word(last):
        return _Chosen(found)
    closed = []
    for kind in dict.fromkeys(map(key_exchange, left)):
        some = [code for code in left if key_exchange(code) == kind]
        if len(some) < len(left):
            more, last = _choices(ask, version, some, ask(Offer(version, some)))
            found += more
        if _without_a_word(last) and kind not in {key_exchange(one.suite) for one in found}:
            closed.append(kind)
    return _Chosen(found, tuple(closed))


def _choices(ask: _Counting, version: str, left: list[int], answer: Answer) -> tuple[list[Answer], Answer]:
    """Move the server's choices out of `left` until it makes none; return them and its last answer."""
    found: list[Answer] = []
    for _ in range(_MOST_ROUNDS):
        if found and answer.outcome in _LOST:
            raise CannotTell(
                f"{ask.where.label} stopped answering after {len(found)} suites of {version} ({answer.detail}): "
                "check whether a connection limit applies"
            )
        if answer.outcome != "accepted" or answer.suite not in left:
            break
        found.append(answer)
        left.remove(answer.suite)
        if not left:
            break
        answer = ask(Offer(version, left))
    return found, answer


def _without_a_word(answer: Answer) -> bool:
    return answer.outcome == "closed" or answer.detail == "alert internal_error"


def _still_answers(ask: _Counting, version: str, chosen: list[Answer]) -> None:
    """Repeat an accepted offer: otherwise a connection limit would make the rest look refused."""
    answer = ask(Offer(version, [one.suite for one in chosen]))
    if answer.outcome != "accepted":
        raise CannotTell(
            f"{ask.where.label} accepted {version} at first but no longer after {ask.count} hellos "
            f"({answer.outcome}: {answer.detail}), so its refusals in between are inconclusive: exempt this address "
            "from any connection limit, and run this again"
        )


def _groups(ask: _Counting, newest: str, accepted: list[str]) -> tuple[str, ...]:
    """Return the groups for key exchange; weak ones only exist before TLS 1.3."""
    found = _groups_of(ask, newest, list(GROUPS))
    older = [version for version in accepted if version not in ("TLSv1.3", newest, "SSLv3")]
    if newest == "TLSv1.3" and older:
        found += [g for g in _groups_of(ask, older[-1], list(_WEAK_GROUPS)) if g not in found]
    return tuple(found)


def _groups_of(ask: _Counting, version: str, left: list[str]) -> list[str]:
    offered = [c for c in for_version(version) if version == "TLSv1.3" or "ECDHE" in suites()[c]]
    found: list[str] = []
    while left:
        answer = ask(Offer(version, offered, left))
        if answer.outcome != "accepted" or answer.group not in left:
            break
        found.append(answer.group)
        left.remove(answer.group)
    return found


def _renegotiates(where: Place) -> bool | None:
    """Try to renegotiate as a client in TLS 1.2; None if no connection could be made."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    context.set_cipher_list(b"ALL:@SECLEVEL=0")
    context.set_verify(SSL.VERIFY_NONE, lambda *_: True)
    try:
        with connect(where) as plain:
            connection = SSL.Connection(context, plain)
            connection.set_tlsext_host_name(where.host.encode())
            connection.set_connect_state()
            deadline = Deadline(where.timeout_s)
            tls_connection.handshake(connection, plain, deadline)
            return _again(connection, plain, deadline)
    except (OSError, SSL.Error, NoTls):
        return None


def _again(connection: SSL.Connection, plain: socket.socket, deadline: Deadline) -> bool:
    try:
        connection.renegotiate()
        tls_connection.handshake(connection, plain, deadline)
    except (OSError, SSL.Error):
        return False
    return connection.total_renegotiations() > 0
