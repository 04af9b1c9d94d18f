"""Judge whether a service lets anybody in with a well-known login, or without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_deploygate.checks.secrets.facts import Tried
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.judging.silent_hosts import listed
from pytest_deploygate.model import Judgement, Reading

if TYPE_CHECKING:
    from pytest_deploygate.checks.secrets.section import Services


def judge_default_login(tried: Tried, _expected: Services) -> Judgement:
    """Pass if the service refused every login that was tried."""
    found = Collector(confirmed=True)
    if tried.problem:
        found.unknown(f"default passwords could not be tried: {tried.problem}", where=tried.service)
    if tried.unasked:
        found.read(Reading("asks for a login", "no", limit="yes", ok=False))
        found.wrong("everybody gets in without a login: set a password", where=tried.service)
    if tried.users:
        got_in = ", ".join(tried.let_in) or "nobody"
        found.read(Reading("default passwords let in", got_in, limit="nobody", ok=not tried.let_in))
    if tried.let_in:
        found.wrong(
            f"{listed(tried.let_in)} gets in with a well-known default password: change it now, and look who used it",
            where=tried.service,
        )
    return found.judgement(
        lambda: f"{tried.service} refuses the default passwords of {listed(tried.users)}, each tried once"
    )
