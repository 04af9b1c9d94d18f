"""Judge pg_hba.conf: whom the server lets in without a password, and whether it can read the file at all."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Protocol

from pytest_deploygate.checks.postgres.facts import SHOW_RULES, LoginRule, ServerState
from pytest_deploygate.model import Judgement, Reading, Verdict


class Expected(Protocol):
    """What the inventory says of logins: who may come in without a password, and whether the rules must be seen."""

    @property
    def trust_from(self) -> Sequence[str]:
        """Addresses from which clients may come in without a password, as pg_hba.conf writes them."""

    @property
    def login_rules(self) -> bool:
        """Whether the gate's role must see the rules."""


def judge_logins(found: ServerState, expected: Expected) -> Judgement:
    """Fail lines that let other hosts in without a password; those of the server's own host are a note.

    Inconclusive where the file is hidden, unless the inventory says that it cannot be shown.
    """
    if found.rules is None:
        return _hidden(found, expected)
    if wrong := next((rule for rule in found.rules if not rule.kind), None):
        return _judgement(
            Verdict.FAIL,
            f"{wrong.file} line {wrong.line} is refused ({wrong.error}): the server keeps the rules that it read before, and does "
            "not start again with this file; correct the line and reload",
            f"line {wrong.line} refused",
        )
    rules = tuple(rule for rule in found.rules if not rule.error)
    trusted = [r for n, r in enumerate(rules) if _lets_in(r) and not decided(rules[:n], r)]
    open_to = [r for r in trusted if not own_host(r.address) and r.address not in expected.trust_from]
    limit = ", ".join(expected.trust_from) or "no other host"
    shown = ", ".join(r.address or "socket" for r in trusted) or "none"
    lines = ", ".join(str(r.line) for r in trusted if own_host(r.address))
    own = f"{found.node}: pg_hba.conf lets everybody on the server's own host in without a password (trust, line {lines})"
    notes = (own,) if lines else ()
    if not open_to:
        return _judgement(Verdict.PASS, "", shown, limit, notes)
    first = open_to[0]
    more = f" (and {len(open_to) - 1} more lines)" if len(open_to) > 1 else ""
    reason = (
        f"{first.file} line {first.line} lets {','.join(first.users)} from {first.address} into {','.join(first.databases)} without a "
        f"password (trust){more}: write scram-sha-256 and reload, or name the address in `trust_from`"
    )
    return _judgement(Verdict.FAIL, reason, shown, limit, notes)


def _judgement(
    verdict: Verdict, reason: str, shown: str, limit: str = "no other host", notes: tuple[str, ...] = ()
) -> Judgement:
    reading = Reading("pg_hba.conf: trust", shown, limit=limit, ok=verdict is Verdict.PASS)
    return Judgement(verdict, reason, (reading,), notes)


def _hidden(found: ServerState, expected: Expected) -> Judgement:
    if found.unasked and not found.local:
        reason = (
            "the gate's role logs in from here without its password (trust in pg_hba.conf, or an identity of the network): write "
            "scram-sha-256 and reload"
        )
        reading = Reading("login without a password", "accepted", limit="refused", ok=False)
        return Judgement(Verdict.FAIL, reason, (reading,))
    tried = {
        True: "; the gate's role logs in without its password on this host",
        False: "; the gate's own role is asked for its password",
        None: "",
    }[found.unasked]
    unknown = f"pg_hba.conf was not looked at, so whom it lets in without a password is unknown{tried}"
    if not expected.login_rules:
        note = f"{found.node}: {unknown}; `login_rules: false` accepts that"
        return Judgement(Verdict.PASS, "", notes=(note,))
    grants = " ".join(SHOW_RULES).format(role=found.role)
    reason = (
        f"{unknown}; run as superuser in the gate's database on the primary: {grants} (where nobody can, on a managed server: "
        "`login_rules: false`)"
    )
    reading = Reading("pg_hba.conf", "hidden", limit="seen", ok=False)
    return Judgement(Verdict.INCONCLUSIVE, reason, (reading,))


def _lets_in(rule: LoginRule) -> bool:
    """Whether anybody gets in by this line; with verify-full, only who has a certificate of that name."""
    return rule.method == "trust" and "clientcert=verify-full" not in rule.options


def decided(before: tuple[LoginRule, ...], rule: LoginRule) -> bool:
    """Whether an earlier line takes every connection that this one would: the first that matches decides."""
    return any(
        earlier.kind in (rule.kind, "local" if rule.kind == "local" else "host")
        and "all" in earlier.users
        and ("all" in earlier.databases or earlier.databases == rule.databases)
        and ("replication" not in rule.databases or "replication" in earlier.databases)
        and _within(rule.address, earlier.address)
        for earlier in before
    )


def _within(address: str, other: str) -> bool:
    if other in ("all", address):
        return True
    try:
        inner, outer = ipaddress.ip_network(address), ipaddress.ip_network(other)
    except ValueError:
        return False
    if isinstance(inner, ipaddress.IPv4Network) and isinstance(outer, ipaddress.IPv4Network):
        return inner.subnet_of(outer)
    if isinstance(inner, ipaddress.IPv6Network) and isinstance(outer, ipaddress.IPv6Network):
        return inner.subnet_of(outer)
    return False


def own_host(address: str) -> bool:
    """Whether an address of a rule means the server's own host; an empty one is a socket."""
    return address in ("", "samehost", "localhost", "::1/128") or address.startswith("127.")
