"""The privileges that the checks of this subject need."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_deploygate.fields.grants import Need, ReadEverything, Statement
from pytest_deploygate.fields.handed import Sections


def needs(sections: Sections) -> Iterator[Need]:
    """Yield what the sections of the inventory need."""
    indexes = sections.get("indexes")
    if indexes is None or indexes.amcheck:
        items = ("phase2.indexes",)
        yield Statement("CREATE EXTENSION IF NOT EXISTS amcheck;", items, "to verify indexes")
        for arguments in ("regclass", "regclass, boolean"):
            yield Statement(
                f"GRANT EXECUTE ON FUNCTION bt_index_check({arguments}) TO {{role}};",
                items,
                "to verify indexes",
            )
    if indexes and indexes.queries:
        yield ReadEverything(("phase2.indexes",))
    if sections.get("partitioned"):
        # The rows of a default partition are counted on that partition, which has its own privileges.
        yield ReadEverything(("db.partitioning", "phase2.partitioning"))
