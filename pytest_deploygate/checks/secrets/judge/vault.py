"""Judge a vault: unsealed, and neither our token nor a lease ends soon."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pytest_deploygate.checks.secrets.facts import Token, VaultState
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.secrets.section import Vault

_ROOT = "root"


def judge_vault(state: VaultState, expected: Vault) -> Judgement:
    """Pass if the server is unsealed, and our token and the leases hold for long enough."""
    found = Collector(confirmed=True)
    if state.sealed is None:
        found.unknown(f"the vault does not tell its state: {state.problem}", where=state.name)
        return found.judgement(str)
    ready = not state.sealed and state.initialized is not False
    found.read(Reading("sealed", "yes" if state.sealed else "no", limit="no", ok=not state.sealed))
    if state.initialized is False:
        found.wrong("the vault is not initialized: run `vault operator init`", where=state.name)
    elif state.sealed:
        found.wrong("the vault is sealed: unseal it, then find out why it was restarted", where=state.name)
    if ready and expected.login is not None:
        _token(state, expected, found)
        _leases(state, expected, found)
    return found.judgement(lambda: _good(state, expected))


def _good(state: VaultState, expected: Vault) -> str:
    about = f"{state.name} is unsealed" + (f" (version {state.version})" if state.version else "")
    if expected.login is None:
        return f"{about}; without a `token`, tokens and leases are not looked at"
    leases = f" and {len(state.leases)} leases hold" if state.leases else " holds"
    return f"{about}; our token{leases} for at least {words_for(expected.min_ttl)}"


def _token(state: VaultState, expected: Vault, found: Collector) -> None:
    token = state.token
    if token is None:
        found.unknown(
            f"our token cannot be looked up: {state.token_problem or 'the answer has no ttl'}; renew or replace it",
            where=state.name,
        )
        return
    if _ROOT in token.policies:
        found.wrong(
            "our token has the policy root: give the gate one that may only read what it needs",
            where=state.name,
        )
    _ends("our token", token.ttl_s, state, expected, found)
    _age(token, state, expected, found)


def _age(token: Token, state: VaultState, expected: Vault, found: Collector) -> None:
    most = expected.max_token_age
    if token.age_s is None:
        if most is not None:
            found.unknown("the age of our token is not known", where=state.name)
        return
    ok = None if most is None else token.age_s <= most.total_seconds()
    limit = f"at most {words_for(most)}" if most is not None else ""
    found.read(Reading("age of our token", round(token.age_s), "s", limit, ok))
    if ok is False and most is not None:
        age = words_for(timedelta(seconds=round(token.age_s)))
        found.wrong(f"our token is {age} old, allowed are {words_for(most)}: replace it", where=state.name)


def _leases(state: VaultState, expected: Vault, found: Collector) -> None:
    found.unknown(*state.lease_problems, where=state.name)
    for lease, ttl in state.leases.items():
        if ttl is not None:
            _ends(f"the lease {lease}", ttl, state, expected, found)


def _ends(what: str, ttl_s: float | None, state: VaultState, expected: Vault, found: Collector) -> None:
    least = expected.min_ttl
    if ttl_s is None:
        found.note(f"{what} has no end: a token that is renewed can be taken back", where=state.name)
        return
    ok = ttl_s >= least.total_seconds()
    found.read(Reading(f"{what} holds for", round(ttl_s), "s", f"at least {words_for(least)}", ok))
    if not ok:
        left = words_for(timedelta(seconds=round(ttl_s)))
        found.wrong(
            f"{what} ends in {left}, at least {words_for(least)} are required: renew it", where=state.name
        )
