"""Values of a column: whether they have the form of an encrypted value, or can be read."""

from __future__ import annotations

from collections import Counter

from psycopg import sql

from pytest_deploygate.checks.encryption import facts
from pytest_deploygate.checks.encryption.probe import forms
from pytest_deploygate.checks.encryption.section import Column
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.clients.postgres.names import another_case, identifier
from pytest_deploygate.model import CannotTell

_VALUES = "SELECT {column} FROM {table} WHERE {column} IS NOT NULL LIMIT {limit}"

#: Null for a table that is not there, which the next statement says.
_HIDDEN = "SELECT row_security_active(to_regclass(%s))"


def read(postgres: Cluster | None, column: Column) -> facts.Column:
    """Look at the values on the primary. What cannot be read is a value (`problem`)."""
    if postgres is None:
        return facts.Column(column.table, column.column, problem="the inventory names no `database`")
    query = sql.SQL(_VALUES).format(
        column=sql.Identifier(column.column),
        table=identifier(column.table),
        limit=sql.Literal(column.sample + 1),
    )
    try:
        if postgres.value(postgres.primary, _HIDDEN, (column.table,)):
            hidden = "row security hides rows of it from the gate's role: give that role BYPASSRLS"
            return facts.Column(column.table, column.column, problem=hidden)
        rows = postgres.rows(postgres.primary, query)
    except CannotTell as error:
        return facts.Column(column.table, column.column, problem=f"{error}{_instead(postgres, column)}")
    values = [value for (value,) in rows[: column.sample]]
    kinds = Counter(forms.kind(value, column.form) for value in values)
    times = Counter(bytes(value) if isinstance(value, memoryview | bytearray) else value for value in values)
    return facts.Column(
        column.table,
        column.column,
        len(values),
        kinds[forms.READABLE],
        kinds[forms.UNKNOWN],
        sum(number for number in times.values() if number > 1),
        len(rows) > column.sample,
    )


def _instead(postgres: Cluster, column: Column) -> str:
    try:
        return another_case(
            lambda query, parameters: postgres.rows(postgres.primary, query, parameters),
            column.table,
            column.column,
        )
    except CannotTell:
        return ""
