"""Authentication: bad tokens and logins are refused, users get what is theirs alone, sessions end, accounts lock."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.authentication import judge, probe

_ELSE = "run where the inventory opts in"


@pytest.mark.item("phase3.auth")
@pytest.mark.disruptive(otherwise=_ELSE)
def test_tokens(gate, authentication, budget, inventory, allow_disruptive):
    """Every protected operation refuses no token and bad ones, and answers a good one; the published keys are sane."""
    found = probe.try_tokens(authentication, inventory.name, budget, allowed=allow_disruptive)
    gate.judge(judge.judge_tokens, found, authentication)


@pytest.mark.item("phase3.auth")
@pytest.mark.disruptive(otherwise=_ELSE)
def test_access(gate, authentication, budget, inventory, allow_disruptive):
    """Roles may do what is theirs, no user reaches an object of another one, and no foreign origin reads answers."""
    found = probe.try_access(authentication, inventory.name, budget, allowed=allow_disruptive)
    gate.judge(judge.judge_access, found, authentication)


@pytest.mark.item("phase3.auth")
@pytest.mark.disruptive(otherwise=_ELSE)
def test_sessions_and_refused_logins(gate, authentication, budget, inventory, allow_disruptive):
    """A session is safe and ends; a wrong password and an unknown user are refused alike, in similar time."""
    found = probe.try_logins(authentication, inventory.name, budget, allowed=allow_disruptive)
    gate.judge(judge.judge_logins, found, authentication)


@pytest.mark.item("phase3.auth")
@pytest.mark.disruptive(otherwise=_ELSE)
def test_lockout(gate, authentication, budget, inventory, allow_disruptive):
    """After so many wrong passwords the right one is refused, others are let in, and the account can be unlocked."""
    found = probe.try_lockout(authentication, inventory.name, budget, allowed=allow_disruptive)
    gate.judge(judge.judge_lockout, found, authentication)
