"""What is allowed of logins to databases, and which well-known ones get in."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.secrets.facts import Tried
from pytest_deploygate.checks.secrets.probe.default_logins import tried
from pytest_deploygate.checks.secrets.section import Logins
from pytest_deploygate.fields.handed import Sections


@pytest.fixture(scope="session")
def allowed_logins(sections: Sections) -> Logins:
    """What `database.cluster` allows: one statement for both items that judge the rules."""
    sections.need("secrets")
    cluster = sections.get("expected_servers")
    return Logins(tuple(cluster.trust_from), cluster.login_rules) if cluster else Logins()


@pytest.fixture(scope="session")
def default_logins(sections: Sections) -> tuple[Tried, ...]:
    """Well-known logins, tried where the inventory says so; each user once in a run."""
    services = sections.need("guarded_services")
    if services.default_passwords is None:
        return ()
    database = sections.need("postgres") if services.default_passwords.database else None
    return tried(services.default_passwords, database)
