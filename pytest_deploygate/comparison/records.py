"""Outcomes as they stand in the journal, in result files and in `--json`: with stable keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_deploygate.comparison.differences import Difference
from pytest_deploygate.comparison.looking import Found
from pytest_deploygate.comparison.outcome import Example, Outcome, TableOutcome, Where
from pytest_deploygate.comparison.parts import Plan

#: So many parts with differences are kept for the picture; the counts hold for all.
_MOST_PLACES = 500
_COUNTS = ("missing", "extra", "changed", "transient", "unsettled", "written")


def as_json(outcome: Outcome, *, timed: bool = True) -> dict[str, Any]:
    """Return an outcome with stable keys. Without times it is the same for a comparison that was killed and resumed."""
    found: dict[str, Any] = {
        "certain": outcome.certain,
        "differences": outcome.differences,
        "written": outcome.written,
        "cut": outcome.cut,
        "checksum": outcome.checksum,
        "shard": outcome.shard,
        "unknown": list(outcome.unknown),
        "notes": list(outcome.notes),
        "tables": [],
    }
    for table in outcome.tables:
        one = table_as_json(table)
        if not timed:
            del one["seconds"]
        found["tables"].append(one | {"differences": table.differences})
    if timed:
        found |= {"seconds": round(outcome.seconds, 3), "resumed": outcome.resumed}
    return found


def table_as_json(table: TableOutcome) -> dict[str, Any]:
    """Return the outcome of one table with stable keys."""
    found = dict(vars(table))
    found["columns"] = dict(table.columns)
    found["where"] = [vars(where) for where in table.where]
    found["examples"] = [vars(example) for example in table.examples]
    found["notes"] = list(table.notes)
    return found


def table_from_json(found: Mapping[str, Any]) -> TableOutcome:
    """Return the outcome of one table that `table_as_json` wrote."""
    given = dict(found)
    given["columns"] = tuple(given["columns"].items())
    given["where"] = tuple(Where(**where) for where in given["where"])
    given["examples"] = tuple(Example(**example) for example in given["examples"])
    given["notes"] = tuple(given["notes"])
    return TableOutcome(**given)


def places(plan: Plan, sums: Mapping[int, tuple[int, int]], where: Mapping[int, int]) -> tuple[Where, ...]:
    """Return where differences are, from their number by part: a place is the share of rows before the part."""
    if plan.by_hash:
        return ()
    total = sum(rows for rows, _ in sums.values()) or 1
    before, found_at = 0, []
    for part in range(plan.parts):
        if where.get(part):
            found_at.append(Where(plan.first_key(part), round(before / total, 4), where[part]))
        before += sums.get(part, (0, 0))[0]
    return tuple(found_at[:_MOST_PLACES])


def example(one: Difference) -> Example:
    """Return a difference as an example of its table."""
    return Example(one.key, one.kind, one.column, one.source, one.target)


def found_as_json(found: Found) -> dict[str, Any]:
    """Return what looking has found, as the journal has it."""
    return {
        **{name: getattr(found, name) for name in _COUNTS},
        "cut": found.cut,
        "columns": dict(found.columns),
        "where": sorted(found.where.items()),
        "examples": [vars(one) for one in found.examples],
    }


def found_from_json(line: Mapping[str, Any]) -> Found:
    """Return what looking had found, from the journal."""
    found = Found(**{name: line[name] for name in _COUNTS}, cut=line["cut"])
    found.columns.update(line["columns"])
    found.where.update(dict(line["where"]))
    found.examples += [Difference(**one) for one in line["examples"]]
    return found
