"""Who answers for an item that needs action: the issue log's owner, the waiver's, or the roles that must attest it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from pytest_deploygate.checklist.vocabulary import roles_asked
from pytest_deploygate.model import Kind
from pytest_deploygate.report import signing
from pytest_deploygate.report.record import Record


def by_item(record: Record) -> Mapping[str, tuple[str, ...]]:
    """Return the names or roles for each item in scope that has any.

    The issue log comes first: it names who works on it now. An item that a person attests belongs to its roles, and to
    any role that signs if it names none.
    """
    logged: defaultdict[str, list[str]] = defaultdict(list)
    for named, owner in record.owners:
        logged[named].append(owner)
    waived = {w.waiver.item: w.waiver.owner for w in signing.waivers(record) if w.used}
    found: dict[str, tuple[str, ...]] = {}
    for result in record.items:
        item = result.item
        if not result.in_scope:
            continue
        if item.id in logged:
            found[item.id] = tuple(dict.fromkeys(logged[item.id]))
        elif item.id in waived:
            found[item.id] = (waived[item.id],)
        elif item.closing:
            continue  # decided by the issue log or by signatures, not by one role
        elif roles := roles_asked(item):
            found[item.id] = roles
        elif item.kind is not Kind.AUTOMATED:
            found[item.id] = ("any role",)
    return found
