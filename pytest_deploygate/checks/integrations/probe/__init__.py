"""Ask a partner what its contract says; never sees a limit."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlsplit

from pytest_deploygate.checks.hosts.section import Hosts
from pytest_deploygate.checks.integrations.facts import Answer, Found, Validity
from pytest_deploygate.checks.integrations.probe import from_hosts
from pytest_deploygate.checks.integrations.probe.asking import Body, ask, without_login
from pytest_deploygate.checks.integrations.probe.credentials import test_key, validity
from pytest_deploygate.checks.integrations.section import Integration
from pytest_deploygate.clients.http import oauth
from pytest_deploygate.model import CannotTell

__all__ = ["answers"]


def answers(integration: Integration, hosts: Hosts | None) -> Found:
    """Send each request of the contract once with our credential, the first one also without, and look from `hosts`.

    An answer that did not come is a value, and so is a token endpoint that gives no token.
    """
    at = datetime.now(UTC)
    host = urlsplit(integration.url).hostname or ""
    there = from_hosts.asked(integration, hosts) if integration.hosts else ()
    try:
        access = oauth.logged_in(integration, integration.timeout.total_seconds())
    except CannotTell as error:
        refused = isinstance(error, oauth.Refused)
        return Found(at, host, login=str(error), refused=refused, hosts=there)
    found = list[Answer]()
    first: Body | None = None
    for agreed in integration.contract:
        answer, body = ask(access, agreed)
        first = first or body
        found.append(answer)
    without = None
    if access.login is not None and found[0].status is not None and found[0].status < 400:
        without, _ = ask(without_login(access), integration.contract[0])
    valid: tuple[Validity, ...] = tuple(validity(access, first))
    stage = first.at(integration.stage.at) if integration.stage and first else None
    return Found(
        at,
        host,
        tuple(found),
        without,
        valid,
        None if stage is None else str(stage),
        test_key=test_key(access),
        hosts=there,
    )
