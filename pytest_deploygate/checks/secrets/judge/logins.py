"""Judge how a database asks for passwords, by its rules as the server itself reads them: scram, and nothing weaker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_deploygate.checks.postgres.facts import LoginRule, ServerState
from pytest_deploygate.checks.postgres.judge.logins import decided, judge_logins, own_host
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading, Verdict

if TYPE_CHECKING:
    from pytest_deploygate.checks.secrets.section import Logins

#: Methods that are weaker than scram-sha-256, and why.
_WEAK = {
    "password": "the client sends the password itself",
    "md5": "a hash that can be tried against word lists, and stands for the password, is accepted",
    "ident": "the client's own host says who it is",
}


def judge_database(found: ServerState, allowed: Logins) -> Judgement:
    """Pass if other hosts must log in with scram or a certificate, and passwords are stored for scram.

    `trust` is judged as `db.cluster` judges it.
    """
    collected = Collector(confirmed=True)
    trust = judge_logins(found, allowed)
    collected.read(*trust.readings)
    collected.note(*trust.notes)
    if trust.verdict is Verdict.FAIL:
        collected.wrong(trust.reason, where=found.node)
    elif trust.verdict is not Verdict.PASS:
        collected.unknown(trust.reason, where=found.node)
    if found.rules is not None:
        _methods(
            found.node,
            tuple(rule for rule in found.rules if rule.kind and not rule.error),
            allowed,
            collected,
        )
    _stored(found, collected)
    asked = (
        "other hosts log in with scram-sha-256 or better"
        if found.rules is not None
        else "how other hosts log in is not shown"
    )
    return collected.judgement(lambda: f"{found.node}: {asked}, and passwords are stored for scram-sha-256")


def _methods(node: str, rules: tuple[LoginRule, ...], allowed: Logins, collected: Collector) -> None:
    weak = [rule for n, rule in enumerate(rules) if rule.method in _WEAK and not decided(rules[:n], rule)]
    others = [rule for rule in weak if not own_host(rule.address) and rule.address not in allowed.weaker_from]
    shown = ", ".join(f"{rule.method} (line {rule.line})" for rule in others) or "none"
    limit = f"none but from {', '.join(allowed.weaker_from)}" if allowed.weaker_from else "none"
    collected.read(Reading("pg_hba.conf: weaker than scram", shown, limit=limit, ok=not others))
    for rule in weak:
        about = (
            f"{rule.file} line {rule.line} asks {','.join(rule.users)} from {rule.address or 'this host'} for {rule.method}: "
            f"{_WEAK[rule.method]}"
        )
        if rule in others:
            collected.wrong(
                f"{about}; write scram-sha-256 and reload, or name the address in `weaker_from`", where=node
            )
        else:
            collected.note(about, where=node)


def _stored(found: ServerState, collected: Collector) -> None:
    """Judge for what new passwords are stored. Those of existing roles (pg_authid) are for superusers only."""
    stored = found.settings.get("password_encryption")
    if stored is None:
        collected.unknown("password_encryption cannot be read", where=found.node)
        return
    # Until version 13, `on` meant md5.
    ok = stored == "scram-sha-256"
    collected.read(Reading("password_encryption", stored, limit="scram-sha-256", ok=ok))
    if not ok:
        collected.wrong(
            f"password_encryption is {stored}: set scram-sha-256, and set every role's password again",
            where=found.node,
        )
