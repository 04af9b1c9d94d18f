"""What the checks of this subject need beside privileges in a database."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_deploygate.checks.authentication.section import Authentication
from pytest_deploygate.fields.grants import BesideSql, Need
from pytest_deploygate.fields.handed import Sections

_ITEMS = ("phase3.auth",)


def needs(sections: Sections) -> Iterator[Need]:
    """Yield what the inventory's sections need."""
    found: Authentication | None = sections.get("authentication")
    if found is None:
        return
    names = ", ".join(user.name for user in found.users)
    yield BesideSql(_ITEMS, f"accounts that are made for checks, with no rights beyond their role: {names}")
    if found.lockout:
        yield BesideSql(_ITEMS, f"an account that may be locked: {found.lockout.name}")
    if found.rotation:
        yield BesideSql(_ITEMS, f"that {found.rotation.user} may have the keys rotated")
