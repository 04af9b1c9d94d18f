"""Rows of two PostgreSQL servers in the form in which a server sends them, `record_send(ROW(…))`. Pure.

It takes about half the time of their text. Values stand in it as they are sent where that is equal exactly when their texts
are: see `texts`. All others stand in it as text, and so do expressions, of which no type is known.
"""

from __future__ import annotations

from pytest_deploygate.comparison import texts

#: By type: the cast that makes its number the same on all servers, also of a domain. Without a length it changes no value.
#: Not among them is what holds numbers of types (arrays), or is sent in another form than it is written in.
_SENT = {
    "smallint": "int2",
    "integer": "int4",
    "bigint": "int8",
    "boolean": "bool",
    "numeric": "numeric",
    "real": "float4",
    "double precision": "float8",
    "text": "text",
    "character varying": "varchar",
    "character": "bpchar",
    "bytea": "bytea",
    "uuid": "uuid",
    "date": "date",
    "time without time zone": "time",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
}
_WHOLE = {"smallint", "integer", "bigint"}
_FLOATS = {"real", "double precision"}


def value(column: str, source: str, target: str, *, replaced: bool) -> str:
    """Return how a column stands in the row, from its types on both sides.

    `replaced`: `column` is an expression on one side or on both.
    """
    one, other = texts.base(source), texts.base(target)
    if not replaced and {one, other} <= _WHOLE:
        return f"({column})::{_SENT[one] if one == other else 'int8'}"
    if replaced or one != other or one not in _SENT:
        return f"({column})::text"
    cast = f"({column})::{_SENT[one]}"
    # NaN has many bit patterns and one text.
    return f"CASE WHEN {cast} = 'NaN' THEN 'NaN' ELSE {cast} END" if one in _FLOATS else cast


def record(values: list[str]) -> str:
    """Return the expression of a row's bytes."""
    return f"record_send(ROW({', '.join(values)}))"
