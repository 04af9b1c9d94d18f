"""Which rows a plan would change, and which it only reads, from the plans that auto_explain writes to the log."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from pytest_deploygate.lazy import dataclass

_CONDITIONS = ("Index Cond", "Recheck Cond", "TID Cond", "Filter")
_JOINS = ("Nested Loop", "Hash Join", "Merge Join")


@dataclass(frozen=True)
class Target:
    """A table whose rows a plan changes; `conditions` are the server's words, `joined` if others decide as well."""

    schema: str
    table: str
    alias: str
    conditions: tuple[str, ...]
    joined: bool
    bounded: bool


@dataclass(frozen=True)
class Read:
    """A plan that changes nothing: its statement, the tables that it reads (schema, name), the functions that it calls."""

    text: str
    tables: tuple[tuple[str, str], ...]
    calls: frozenset[str]


#: As the server writes a call; after its keywords there is a blank.
_CALL = re.compile(r'([\w$]+|"(?:[^"]|"")+")\(')
#: What the checks of foreign keys ask. They read rows of their own accord, and decide nothing.
_FOREIGN_KEYS = re.compile(r"SELECT (1 FROM ONLY|fk\.)")


def read(record: str) -> Read | None:
    """Return what a plan in JSON reads; None if it changes rows, reads no table, or checks a foreign key."""
    try:
        whole = json.loads(record)
        nodes = list(_nodes(whole["Plan"]))
    except (ValueError, KeyError, TypeError):
        return None
    text = " ".join(str(whole.get("Query Text", "")).split()).rstrip("; ")
    tables = tuple(
        dict.fromkeys((n.get("Schema", ""), n["Relation Name"]) for n in nodes if "Relation Name" in n)
    )
    if not tables or _FOREIGN_KEYS.match(text) or any(n.get("Node Type") == "ModifyTable" for n in nodes):
        return None
    said = [str(value) for n in nodes for key, value in n.items() if key in ("Output", *_CONDITIONS)]
    return Read(text, tables, frozenset(name.strip('"') for one in said for name in _CALL.findall(one)))


def targets(record: str) -> Iterator[Target]:
    """Yield what a plan in JSON changes: by UPDATE, DELETE, MERGE, or INSERT … ON CONFLICT DO UPDATE."""
    try:
        plan = json.loads(record)["Plan"]
    except (ValueError, KeyError, TypeError):
        return
    for node in _nodes(plan):
        if node.get("Node Type") != "ModifyTable":
            continue
        if node.get("Operation") == "Insert":
            if node.get("Conflict Resolution") == "UPDATE":
                yield from _scans(node, None, joined=False, bounded=False)
            continue
        named = [node, *node.get("Target Tables", [])]
        wanted = {(t.get("Schema"), t.get("Relation Name"), t.get("Alias")) for t in named}
        yield from _scans(node, wanted, joined=False, bounded=False)


def _scans(
    node: dict[str, Any], wanted: set[tuple[Any, ...]] | None, *, joined: bool, bounded: bool
) -> Iterator[Target]:
    """Yield the scans of the tables wanted (None: of any table), and whether joins or limits are above them."""
    for child in node.get("Plans", []):
        if child.get("Parent Relationship") in ("InitPlan", "SubPlan"):
            continue
        kind = child.get("Node Type", "")
        if "Relation Name" in child and kind != "ModifyTable":
            key = (child.get("Schema"), child.get("Relation Name"), child.get("Alias"))
            if wanted is None or key in wanted:
                yield Target(
                    child.get("Schema", ""), child["Relation Name"], child.get("Alias", ""),
                    tuple(dict.fromkeys(_conditions(child))), joined, bounded,
                )  # fmt: skip
        joins = joined or (kind in _JOINS and not _is_product(child))
        limits = bounded or kind == "Limit" or (kind in _JOINS and _limited(child))
        yield from _scans(child, wanted, joined=joins, bounded=limits)


def _is_product(node: dict[str, Any]) -> bool:
    """Tell whether a join has no condition at all: each row of the one table is taken, unless the other is empty."""
    if node.get("Node Type") != "Nested Loop" or node.get("Join Type") != "Inner" or "Join Filter" in node:
        return False
    return not any(below.get(name) for below in _nodes(node) for name in _CONDITIONS)


def _limited(node: dict[str, Any]) -> bool:
    return any(below.get("Node Type") == "Limit" for below in _nodes(node))


def _conditions(node: dict[str, Any]) -> Iterator[str]:
    yield from (str(node[key]) for key in _CONDITIONS if node.get(key))
    for child in node.get("Plans", []):
        if child.get("Node Type", "").startswith("Bitmap"):
            yield from _conditions(child)


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", []):
        yield from _nodes(child)
