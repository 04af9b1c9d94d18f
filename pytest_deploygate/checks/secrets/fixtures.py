"""What is allowed of logins to databases, and which well-known ones get in."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.secrets.facts import Tried
from pytest_deploygate.checks.secrets.probe.default_logins import tried
from pytest_deploygate.checks.secrets.section import Logins, Services
from pytest_deploygate.fields.handed import Sections


@pytest.fixture(scope="session")
def trusted_logins(sections: Sections) -> Logins:
    """What `database.cluster` allows without a password: one statement for both items that judge it."""
    cluster = sections.get("expected_servers")
    return Logins(tuple(cluster.trust_from), (), cluster.login_rules) if cluster else Logins()


@pytest.fixture(scope="session")
def default_logins(guarded_services: Services, sections: Sections) -> tuple[Tried, ...]:
    """Well-known logins, tried where the inventory says so; each user once in a run."""
    where = guarded_services.default_passwords
    if where is None:
        return ()
    return tried(where, sections.need("postgres") if where.database else None)
