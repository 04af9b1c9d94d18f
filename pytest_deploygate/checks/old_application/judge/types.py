"""Which changes of a column's type an application does not notice."""

from __future__ import annotations

import re

_FORM = re.compile(r"(?P<name>[^(]*?)\s*(?:\((?P<sizes>[\d, ]+)\))?")
#: A type, and those that take and give all of its values in the same writing.
_WIDER = {
    "smallint": ("integer", "bigint", "numeric"),
    "integer": ("bigint", "numeric"),
    "bigint": ("numeric",),
    "real": ("double precision",),
    "character varying": ("text",),
}


def fits(before: str, after: str) -> bool:
    """Tell whether all values of a type fit into another one, and read alike."""
    old, new = _FORM.fullmatch(before), _FORM.fullmatch(after)
    if before == after:
        return True
    if old is None or new is None:
        return False
    if old["name"] != new["name"]:
        return not new["sizes"] and new["name"] in _WIDER.get(old["name"], ())
    if new["sizes"] is None:
        return True
    if old["sizes"] is None:
        return False
    sizes = [[int(n) for n in each.split(",")] for each in (old["sizes"], new["sizes"])]
    was, now = sizes
    if len(was) != len(now):
        return False
    # Of numeric(p, s) the digits before and after the point.
    digits = [each[0] - (each[1] if len(each) > 1 else 0) for each in sizes]
    return digits[0] <= digits[1] and was[1:] <= now[1:]
