"""Rows by period on both sides, and times without rows."""

from __future__ import annotations

from datetime import datetime

from pytest_deploygate.checks.migration.facts import Gap, Past, Period
from pytest_deploygate.checks.migration.probe import places
from pytest_deploygate.checks.migration.section import History, Migration
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.clients.postgres.one_moment import Ask
from pytest_deploygate.fields import names
from pytest_deploygate.model import CannotTell

_GAPS = 20
#: A time without a zone is taken as UTC on both sides.
_PERIODS = """
SELECT date_trunc('{period}', {column}::timestamptz AT TIME ZONE 'UTC') AT TIME ZONE 'UTC', count(*) FROM {table}
WHERE {column} IS NOT NULL GROUP BY 1 ORDER BY 1
"""
_EMPTY = "SELECT count(*) FROM {table} WHERE {column} IS NULL"
_LONGEST = """
SELECT key, before, extract(epoch FROM at - before)::float8 FROM (
  SELECT {per} AS key, {column}::timestamptz AS at, lag({column}::timestamptz) OVER (PARTITION BY {per} ORDER BY {column}) AS before
  FROM {table} WHERE {column} IS NOT NULL) AS steps
WHERE before IS NOT NULL ORDER BY 3 DESC, 1, 2 LIMIT {most}
"""


def past(postgres: Cluster, migration: Migration, history: History) -> Past:
    """Count rows by period on both sides and look for gaps. Raises CannotTell."""
    here = names.parts(history.table)
    rule = migration.rule(*here) if len(here) == 2 else None
    if rule is None:
        raise CannotTell(
            f"no rule of `migration.tables` names {history.table}: add it, as schema.table of the source"
        )
    column = rule.columns.get(history.column, history.column)
    per = rule.columns.get(history.per, history.per) if history.per else None
    with places.source(migration) as ask, places.target(postgres, migration) as ask_target:
        old = _Table(ask, here, history.column, history.per)
        new = _Table(ask_target, rule.at_target(here[1]), column, per)
        periods = [side.periods(history.period) for side in (old, new)]
        empty = (old.without_time(), new.without_time())
        gaps = [side.gaps() if history.max_gap is not None else [] for side in (old, new)]
    both = sorted({*periods[0], *periods[1]})
    known = {(key, start) for key, start, _ in gaps[0]}
    return Past(
        tuple(Period(start, periods[0].get(start, 0), periods[1].get(start, 0)) for start in both),
        empty,
        tuple(Gap(key, start, seconds, (key, start) in known) for key, start, seconds in gaps[1]),
    )


class _Table:
    """One side's table."""

    def __init__(self, ask: Ask, table: tuple[str, ...], column: str, per: str | None) -> None:
        self._ask = ask
        self._words = {
            "table": ".".join(_quoted(part) for part in table),
            "column": _quoted(column),
            "per": f"{_quoted(per)}::text" if per else "''::text",
        }

    def periods(self, period: str) -> dict[datetime, int]:
        return dict(self._ask(_PERIODS.format(period=period, **self._words)))

    def without_time(self) -> int:
        return int(self._ask(_EMPTY.format(**self._words))[0][0])

    def gaps(self) -> list[tuple[str, datetime, float]]:
        return [
            (key or "", start, seconds)
            for key, start, seconds in self._ask(_LONGEST.format(most=_GAPS, **self._words))
        ]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
