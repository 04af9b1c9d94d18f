"""What the contact list is compared with: resolvers for its mail domains, and the codes that came back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from pytest_deploygate.checks.contacts.section import ContactRules
from pytest_deploygate.checks.dns.section import NameServer
from pytest_deploygate.contacts import record
from pytest_deploygate.fields.handed import Sections
from pytest_deploygate.model import CannotTell


@pytest.fixture(scope="session")
def mail_resolvers(sections: Sections, contact_rules: ContactRules) -> list[NameServer]:
    """The resolvers of `contact_rules`, else those of `dns`; none: those of this machine are asked."""
    dns = sections.get("dns")
    return contact_rules.resolvers or (dns.resolvers if dns else [])


@pytest.fixture
def acknowledged(change_folder: Path) -> Callable[[str, str], datetime | None]:
    """When the address of a role last acknowledged a code of this change."""
    try:
        return record.acknowledged(change_folder)
    except record.RecordError as error:
        raise CannotTell(str(error)) from None
