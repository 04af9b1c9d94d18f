"""What the checks of this subject need beside privileges in a database."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_deploygate.fields.grants import BesideSql, Need
from pytest_deploygate.fields.handed import Sections


def needs(sections: Sections) -> Iterator[Need]:
    """Yield what the inventory's sections need."""
    cdn = sections.get("cdn")
    if cdn and cdn.origin:
        yield BesideSql(("infra.cdn",), "to fetch assets from the origin of the CDN, too")
    if cdn and cdn.private:
        yield BesideSql(("infra.cdn",), "logins of two test accounts")
    if cdn and cdn.tried and cdn.tried.purge:
        yield BesideSql(("infra.cdn",), "to purge an object")
