"""What is allowed of logins to databases."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.secrets.section import Logins
from pytest_deploygate.fields.handed import Sections


@pytest.fixture(scope="session")
def allowed_logins(sections: Sections) -> Logins:
    """What `database.cluster` allows: one statement for both items that judge the rules."""
    sections.need("secrets")
    cluster = sections.get("expected_servers")
    return Logins(tuple(cluster.trust_from), cluster.login_rules) if cluster else Logins()
