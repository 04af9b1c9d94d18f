"""The text by which values of two types are compared: equal values must give equal text on both sides. Pure.

Values of one type are compared by their own text, with all settings of the session pinned. So -0.0 differs from 0.0, NFC
from NFD, and 1.0 from 1.00 where the type leaves the scale open; NaN equals NaN, and jsonb has no order of keys.
"""

from __future__ import annotations

import re

from pytest_deploygate.lazy import dataclass

_INTEGERS = {"smallint", "integer", "bigint"}
_TEXTS = {"text", "character varying", "character", "name", "citext"}
_MODIFIED = re.compile(r"\([^)]*\)")


@dataclass(frozen=True)
class Pair:
    """Expressions for both sides with `{}` in place of the column; `note` says what is compared in another form.

    `problem` says why values of these types have no equal text.
    """

    source: str = "{}"
    target: str = "{}"
    note: str = ""
    problem: str = ""


def base(name: str) -> str:
    """Return a type's name without its length, precision or scale: `timestamp with time zone`, `numeric`."""
    return _MODIFIED.sub("", name).strip()


def pair(source: str, target: str, *, source_enum: bool = False, target_enum: bool = False) -> Pair:
    """Return how to compare two types of PostgreSQL, named as `format_type` names them.

    Example: `pair("integer", "bigint")` compares the columns as they are, `pair("json", "jsonb")` both as jsonb.
    """
    one, other = base(source), base(target)
    if source == target or (source_enum and target_enum):
        return Pair()
    if one == other:
        return _of_one_type(one, source, target)
    kinds = {one, other}
    if kinds <= _INTEGERS:
        return Pair()
    if kinds <= _INTEGERS | {"numeric"}:
        return _both("trim_scale(({})::numeric)", f"{source} and {target} as numbers, without their scale")
    if kinds <= _TEXTS:
        return _both("({})::text", f"{source} and {target} as text, without the padding of character")
    if kinds == {"json", "jsonb"}:
        return _both("({})::jsonb", "json as jsonb, without its order of keys and its blanks")
    if (source_enum and other in _TEXTS) or (target_enum and one in _TEXTS):
        return _both("({})::text", f"{source} and {target} by the enum's labels")
    if "uuid" in kinds and kinds & _TEXTS:
        return _both("lower(({})::text)", f"{source} and {target} as text in lower case")
    if kinds == {"timestamp without time zone", "timestamp with time zone"}:
        return Pair(problem="say the zone of the one without: an expression such as (at AT TIME ZONE 'UTC')")
    if kinds == {"real", "double precision"}:
        return Pair(problem="the shorter one has lost digits: an expression such as value::real for both")
    return Pair(problem="give an expression for one side or for both")


def _of_one_type(name: str, source: str, target: str) -> Pair:
    if name == "numeric":
        return _both("trim_scale({})", f"{source} and {target} as numbers, without their scale")
    if name == "character":
        return _both("({})::text", f"{source} and {target} as text, without padding")
    return Pair()


def _both(expression: str, note: str) -> Pair:
    return Pair(expression, expression, note)
