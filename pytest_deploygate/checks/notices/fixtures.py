"""The change whose notices are looked at, with the contacts of the inventory."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pytest

from pytest_deploygate.checks.notices.probe import Told
from pytest_deploygate.notices.recipients import Contact


class WithContacts(Protocol):
    """The part of the inventory that is read here."""

    name: str
    contacts: list[Contact]


@pytest.fixture(scope="session")
def told(inventory: WithContacts, change_folder: Path, change_id: str) -> Told:
    """What is needed to read the record of this change."""
    return Told(tuple(inventory.contacts), inventory.name, change_id, change_folder)
