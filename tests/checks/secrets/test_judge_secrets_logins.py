"""How a database asks for passwords: methods weaker than scram, and agreement with the judge of `db.cluster`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_deploygate.checks.postgres.facts import LoginRule, ServerState
from pytest_deploygate.checks.postgres.judge.logins import judge_logins
from pytest_deploygate.checks.secrets.judge import judge_database
from pytest_deploygate.checks.secrets.section import Logins
from pytest_deploygate.model import Verdict

STATE = ServerState(
    "db1",
    True,
    "15.8",
    False,
    {"password_encryption": "scram-sha-256"},
    {},
    (),
    {},
    {},
    1,
    0,
    (),
    None,
    role="gate",
)


def rule(method: str, address: str = "10.0.0.0/8", line: int = 5, **parts: object) -> LoginRule:
    """Return a rule for all roles and databases."""
    kind = "host" if address else "local"
    return LoginRule(line, "pg_hba.conf", kind, ("all",), ("all",), address, method, **parts)  # type: ignore[arg-type]


def state(*rules: LoginRule, **settings: str) -> ServerState:
    """Return a server with these rules."""
    return replace(STATE, rules=rules, settings=STATE.settings | settings)


@pytest.mark.parametrize("method", ["scram-sha-256", "cert", "reject", "gss", "ldap"])
def test_strong_methods_pass(method):
    result = judge_database(state(rule(method)), Logins())
    assert result.verdict is Verdict.PASS, result.reason


@pytest.mark.parametrize("method", ["trust", "password", "md5", "ident"])
def test_weak_methods_for_other_hosts_fail_and_on_the_own_host_are_a_note(method):
    result = judge_database(state(rule(method)), Logins())
    assert result.verdict is Verdict.FAIL
    assert "pg_hba.conf line 5" in result.reason
    own = judge_database(state(rule(method, "127.0.0.1/32")), Logins())
    assert own.verdict is Verdict.PASS
    assert own.notes


def test_addresses_that_may_use_a_weaker_method_are_a_note():
    result = judge_database(state(rule("md5")), Logins(weaker_from=("10.0.0.0/8",)))
    assert result.verdict is Verdict.PASS
    assert any("for md5" in note for note in result.notes)
    assert (
        judge_database(state(rule("md5", "10.1.0.0/16")), Logins(weaker_from=("10.0.0.0/8",))).verdict
        is Verdict.FAIL
    )


def test_a_line_that_an_earlier_one_decides_is_not_judged():
    rules = (rule("scram-sha-256", "all", 1), rule("md5", line=2))
    assert judge_database(state(*rules), Logins()).verdict is Verdict.PASS


def test_passwords_that_are_stored_as_md5_fail():
    for stored in ("md5", "on"):
        result = judge_database(state(rule("scram-sha-256"), password_encryption=stored), Logins())
        assert result.verdict is Verdict.FAIL
        assert f"password_encryption is {stored}" in result.reason


@pytest.mark.parametrize("allowed", [Logins(), Logins(("10.0.0.0/8",)), Logins(login_rules=False)])
@pytest.mark.parametrize(
    "found",
    [state(rule("trust")), state(rule("trust", "")), state(rule("scram-sha-256")), replace(STATE, rules=None),
     replace(STATE, rules=None, unasked=True)],
)  # fmt: skip
def test_trust_is_judged_as_db_cluster_judges_it(found, allowed):
    assert judge_database(found, allowed).verdict is judge_logins(found, allowed).verdict


def test_hidden_rules_that_are_accepted_are_not_called_good():
    result = judge_database(replace(STATE, rules=None), Logins(login_rules=False))
    assert "how other hosts log in is not shown" in result.reason


def test_a_hidden_setting_is_unknown():
    found = replace(state(rule("scram-sha-256")), settings={})
    assert judge_database(found, Logins()).verdict is Verdict.INCONCLUSIVE
