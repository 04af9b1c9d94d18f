"""The answers of one query on both sides."""

from __future__ import annotations

import json
from decimal import Decimal

from pytest_deploygate.checks.migration.facts import Answer, Answers, Value
from pytest_deploygate.checks.migration.probe import places
from pytest_deploygate.checks.migration.section import Migration, SampleQuery
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.clients.postgres.one_moment import Ask


def answers(postgres: Cluster, migration: Migration, query: SampleQuery) -> Answers:
    """Run a query on source and target. Raises CannotTell if a side cannot be reached or refuses the query."""
    with places.source(migration) as ask, places.target(postgres, migration) as ask_target:
        found = (
            _answer(ask, query.source, query.max_rows),
            _answer(ask_target, query.at_target, query.max_rows),
        )
    for side, one in zip(("source", "target"), found, strict=True):
        if len(one.rows) > query.max_rows:
            more = f"the query returns more than {query.max_rows} rows on the {side}"
            return Answers(problem=f"{more}: narrow it, or raise its max_rows")
    return Answers(*found)


def _answer(ask: Ask, query: str, most: int) -> Answer:
    """Return the answer, with one row more than `most` at most. As JSON, values have the names of their columns."""
    inner = query.strip().rstrip(";")
    asked = f"SELECT row_to_json(answer)::text FROM ({inner}\n) AS answer LIMIT {most + 1}"  # noqa: S608 (the inventory's own)
    rows = [
        json.loads(text, parse_float=Decimal, object_pairs_hook=list) for (text,) in ask(asked, single=True)
    ]
    columns = tuple(name for name, _ in rows[0]) if rows else ()
    return Answer(columns, tuple(tuple(_value(value) for _, value in row) for row in rows))


def _value(value: object) -> Value:
    if value is None:
        return None
    if isinstance(value, Decimal):
        whole = value == value.to_integral_value()
        return format(value.to_integral_value(), "f") if whole else float(value)
    # Values within JSON and arrays are compared as they are written.
    return value if isinstance(value, str) else json.dumps(value, default=str)
