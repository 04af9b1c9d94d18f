"""The texts in which unlike servers write values, and how a row becomes one text there. Pure.

A row is written value after value, each as the number of its characters, a colon and its text, and `N` for NULL: any server
can do that, and no two rows have the same text.
"""

from __future__ import annotations

from collections.abc import Sequence

from pytest_deploygate.comparison.described import Column, Form
from pytest_deploygate.comparison.texts import Pair, base

#: Servers do not agree on the shortest digits of doubles in this range, where a decimal may lie between two of them: they are
#: written as what they are beside 2^100, which is exact.
LARGE = (1e16, 1e40)
LARGE_FACTOR = 2.0**-100
LARGE_UNIT = " * 2^100"
#: Doubles that PostgreSQL writes with an exponent and MariaDB without one: small ones, and large ones with a fraction.
_DOUBLE = (
    f"CASE WHEN abs({{0}}) >= {LARGE[0]!r} AND abs({{0}}) < {LARGE[1]!r}"
    f" THEN trim_scale(({{0}} * {LARGE_FACTOR!r}::double precision)::text::numeric)::text || '{LARGE_UNIT}'"
    " WHEN {0} = 0 THEN '0'"  # MariaDB does not show the sign of -0
    " WHEN abs({0}) >= 1e-15 AND abs({0}) < 1e-4 OR abs({0}) >= 1e15 AND abs({0}) < 1e16 AND {0} <> trunc({0})"
    " THEN trim_scale({0}::text::numeric)::text ELSE replace({0}::text, 'e+', 'e') END"
)
_PADDED = "without the padding of character"


def counted(values: Sequence[str | None]) -> str:
    """Return a row as one text.

    >>> counted(["ab", None, ""])
    '2:abN0:'
    """
    return "".join("N" if value is None else f"{len(value)}:{value}" for value in values)


def parted(text: str) -> list[str | None]:
    """Return the values of a text that `counted` made. Raises ValueError where it is none."""
    found: list[str | None] = []
    at = 0
    while at < len(text):
        if text[at] == "N":
            found.append(None)
            at += 1
            continue
        colon = text.index(":", at)
        end = colon + 1 + int(text[at:colon])
        found.append(text[colon + 1 : end])
        at = end
    return found


def pair(source: Column, target: Column) -> Pair:
    """Return how to compare two columns of unlike servers: by the first text of the source that the target has as well."""
    theirs = {form.name: form for form in target.forms}
    for ours in source.forms:
        if other := theirs.get(ours.name):
            notes = dict.fromkeys(note for note in (ours.note, other.note) if note)
            said = f"{source.type} and {target.type} {', '.join(notes)}" if notes else ""
            return Pair(ours.sql, other.sql, said)
    why = source.problem or target.problem or "no text is known that equal values have on both sides"
    return Pair(
        problem=f"{why}; give an expression for both sides that is equal, or leave it out with a reason"
    )


def of_postgres(column: str, kind: str, *, enum: bool) -> tuple[Form, ...]:
    """Return the texts of a column of PostgreSQL: its quoted name, and its type as `format_type` names it."""
    text = f"({column})::text"
    name = base(kind)
    if enum:
        return (Form("text", text),)
    if name in {"smallint", "integer", "bigint"}:
        return Form("whole", text), Form("number", text)
    if name == "numeric":
        return (Form("number", f"trim_scale({column})::text", "as numbers, without their scale"),)
    if name in {"text", "character varying", "character", "name", "citext"}:
        note = _PADDED if name == "character" else ""
        return Form("text", text, note), Form("uuid", f"lower({text})", "in lower case")
    if name == "bit":
        length = kind.partition("(")[2].rstrip(")") or "1"
        return (Form(f"bits {length}", text),)
    one = _OF_POSTGRES.get(name)
    return (Form(one[0], one[1].format(column), one[2]),) if one else ()


#: By type: name of the form, expression, note.
_OF_POSTGRES = {
    "boolean": ("boolean", "({})::text", ""),
    "real": ("single", _DOUBLE.replace("{0}", "({0}::double precision)"), ""),
    "double precision": ("double", _DOUBLE, ""),
    "bytea": ("bytes", "encode({}, 'hex')", ""),
    "uuid": ("uuid", "({})::text", ""),
    "date": ("date", "({})::text", ""),
    "timestamp without time zone": ("datetime", "({})::text", ""),
    "timestamp with time zone": ("instant", "({})::text", ""),
    "time without time zone": ("time", "({})::text", ""),
    "json": (
        "text",
        "({})::text",
        "by the text of json that is stored, with its order of keys and its blanks",
    ),
    "jsonb": ("jsonb", "({})::text", ""),
}


def order_of_postgres(kind: str, *, bytewise: bool) -> str:
    """Return in which order ranges of such a column lie on every server: `whole`, `bytes`, or none."""
    name = base(kind)
    if name in {"smallint", "integer", "bigint"}:
        return "whole"
    return "bytes" if bytewise and name in {"text", "character varying"} else ""
