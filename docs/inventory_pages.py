"""The reference of the inventory, made from its JSON Schema: a page for each key with sections of its own."""

from __future__ import annotations

import json
import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from markdown_tables import code, table

from pytest_deploygate.inventory import index
from pytest_deploygate.inventory.schema import json_schema

FOLDER = "reference/inventory"
#: The page of the sections that several keys use.
_SHARED = "shared"
_COLUMNS = ("key", "type", "default", "meaning")
#: Texts of a form of their own, by a part of the pattern that reads them.
_FORMS = {"(ms|s|min|m|h|d|w)": "duration", "[kKMGT]?i?B": "size", "^(env|file|keyring|lab|vault):": "secret"}
_FORMATS = {
    "date-time": "time",
    "date": "date",
    "path": "path",
    "file-path": "path",
    "directory-path": "path",
}
_BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "more than",
    "maximum": "at most",
    "exclusiveMaximum": "less than",
}
_LENGTHS = {
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} entries",
    "maxItems": "at most {} entries",
    "minProperties": "at least {} keys",
}
_REF = "$ref"
_ONLY_WHERE = "only_where"


def pages() -> Iterator[tuple[str, str]]:
    """Yield path and text of each page of the reference."""
    here = f"{FOLDER}/README.md"
    yield here, _front("Inventory") + _introduction() + table(_COLUMNS, list(_rows(_schema(), here))) + "\n"
    for key in (*_schema()["properties"], _SHARED):
        mine = [name for name, owner in _owners().items() if owner == key]
        if mine:
            yield f"{FOLDER}/{key}.md", _page(key, mine)


def page_of(key: str) -> str:
    """Return the path of the page that describes a key at the top of the inventory."""
    used = next(_references(_schema()["properties"][key]), "")
    owner = _owners().get(used, "")
    return f"{FOLDER}/{owner or 'README'}.md"


def rows_at(place: Sequence[str], here: str) -> list[tuple[str, ...]]:
    """Return the keys of the section at a place of the inventory, for a table on the page `here`."""
    node = _schema()
    for key in place:
        node = _object(node)["properties"][key]
    return list(_rows(_object(node), here)) if any(_references(node)) else []


def link(path: str, here: str) -> str:
    """Return the address of a page, from another page."""
    return posixpath.relpath(path, posixpath.dirname(here))


@cache
def _schema() -> dict[str, Any]:
    return json_schema()


@cache
def _owners() -> Mapping[str, str]:
    """Return the page of each section: the one key that leads to it, or `shared`."""
    owners: dict[str, set[str]] = {name: set() for name in _schema()["$defs"]}
    for key, node in _schema()["properties"].items():
        left = list(_references(node))
        while left:
            name = left.pop()
            if key not in owners[name]:
                owners[name].add(key)
                left += _references(_schema()["$defs"][name])
    return {name: next(iter(keys)) if len(keys) == 1 else _SHARED for name, keys in owners.items() if keys}


def _references(node: object) -> Iterator[str]:
    """Yield the names of the sections that a part of the schema leads to, in their order."""
    if isinstance(node, dict):
        if _REF in node:
            yield node[_REF].rpartition("/")[2]
        for inner in node.values():
            yield from _references(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _references(inner)


def _introduction() -> str:
    return (
        "# The inventory\n\nThese keys are at the top of an inventory. It is a YAML file; `deploygate schema` prints its"
        " JSON Schema, from which these pages are made. An unknown key is a mistake that ends the run with exit code 4 and"
        " the nearest name.\n\nA *duration* is a number with a unit (`30s`, `5m`, `1h30m`, `7d`), a *size* too (`16MB`). A"
        " *secret* is a reference such as `env:NAME`. Each section also takes `only_where`, for the lab.\n\n"
    )


def _front(title: str) -> str:
    return f"---\ntitle: {title}\n---\n\n"


def _page(key: str, names: Sequence[str]) -> str:
    here = f"{FOLDER}/{key}.md"
    parts = [f"# {'Sections that several keys use' if key == _SHARED else code(key)}"]
    if node := _schema()["properties"].get(key):
        subject = index.keys().get(("", key))
        checks = f" What is measured: [{subject}]({link(f'checks/{subject}.md', here)})." if subject else ""
        parts.append(f"{_sentence(str(node.get('description', '')))}{checks}")
        parts.append(f"Type: {_type(node, here)}.")
    parts += [_section(name, here) for name in sorted(names, key=lambda name: _order(key, name))]
    return _front("Shared sections" if key == _SHARED else key) + "\n\n".join(parts) + "\n"


def _order(key: str, name: str) -> tuple[int, str]:
    """Sort the section of the key itself first, then by name."""
    first = next(_references(_schema()["properties"].get(key, {})), "")
    return (name != first, _title(name).lower())


def _section(name: str, here: str) -> str:
    node = _schema()["$defs"][name]
    described = " ".join(str(node.get("description", "")).partition("\n\n")[0].split())
    short = [each for each in node.get("anyOf", ()) if each.get("type") == "string"]
    text = f"\n\nInstead of the keys, a text: {_limits(short[0]) or 'any'}." if short else ""
    rows = list(_rows(_object(node), here))
    keys = table(_COLUMNS, rows) if rows else f"One of {_type(node, here)}."
    return f"## {_title(name)}\n\n{described}{text}\n\n{keys}"


@cache
def _title(name: str) -> str:
    """Return the heading of a section; with its subject where two sections of a page have one name."""
    plain = {other: str(_schema()["$defs"][other].get("title", other)) for other in _owners()}
    plain = {
        other: title if "__" not in title else title.rpartition("__")[2] for other, title in plain.items()
    }
    same = Counter((_owners()[other], title) for other, title in plain.items())
    if same[_owners()[name], plain[name]] == 1:
        return plain[name]
    return f"{plain[name]} of {name.split('__')[2] if '__' in name else 'others'}"


def _object(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the part of a schema that has the keys: behind a reference, in a list, beside a short form."""
    if "properties" in node:
        return node
    if long_form := next((each for each in node.get("anyOf", ()) if "properties" in each), None):
        return long_form
    name = next(_references(node), "")
    return _object(_schema()["$defs"][name]) if name else {"properties": {}}


def _rows(node: Mapping[str, Any], here: str) -> Iterator[tuple[str, ...]]:
    required = set(node.get("required", ()))
    for key, said in node["properties"].items():
        if key == _ONLY_WHERE or said.get("deprecated"):
            continue
        meaning = str(said.get("description", ""))
        limits = _limits(said)
        yield (
            code(key),
            _type(said, here),
            _default(said, key in required),
            f"{meaning}; {limits}" if limits else meaning,
        )


def _default(said: Mapping[str, Any], required: bool) -> str:
    if required:
        return "required"
    value = said.get("default")
    if value is None:
        return "–"
    if value == {} and any(_references(said)):
        return "its own defaults"
    if isinstance(value, str):
        return code(value or '""')
    return code(json.dumps(value, ensure_ascii=False).replace('"', ""))


def _type(node: Mapping[str, Any], here: str) -> str:
    """Return the type of a key in words; sections are links."""
    if _REF in node:
        name = node[_REF].rpartition("/")[2]
        path = f"{FOLDER}/{_owners()[name]}.md"
        anchor = re.sub(r"[^\w\- ]", "", _title(name).lower()).replace(" ", "-")
        return f"[{_title(name)}]({'' if path == here else link(path, here)}#{anchor})"
    for several in ("anyOf", "oneOf", "allOf"):
        if several in node:
            words = [_type(one, here) for one in node[several] if one.get("type") != "null"]
            return " or ".join(dict.fromkeys(words))
    if "enum" in node:
        return ", ".join(code(value) for value in node["enum"])
    if "const" in node:
        return code(node["const"])
    match node.get("type"):
        case "array":
            return f"list of {_type(node.get('items', {}), here)}"
        case "object":
            values = node.get("additionalProperties") or next(
                iter(node.get("patternProperties", {}).values()), {}
            )
            return f"mapping of text to {_type(values if isinstance(values, dict) else {}, here)}"
        case "string":
            pattern = node.get("pattern", "")
            form = next((word for part, word in _FORMS.items() if part in pattern), "")
            return form or _FORMATS.get(node.get("format", ""), "text")
        case "integer" | "number" | "boolean" as plain:
            return str(plain)
        case _:
            return "any"


def _limits(node: Mapping[str, Any]) -> str:
    """Return the limits of a value in words; those of a value that may be left out, too."""
    parts = [node, *(one for one in node.get("anyOf", ()) if one.get("type") != "null" and _REF not in one)]
    found = []
    for part in parts:
        found += [f"{words} {part[bound]:g}" for bound, words in _BOUNDS.items() if bound in part]
        found += [words.format(part[bound]) for bound, words in _LENGTHS.items() if bound in part]
        pattern = str(part.get("pattern", ""))
        if pattern and not any(form in pattern for form in _FORMS):
            found.append(f"must match {code(pattern)}")
    return (
        ", ".join(dict.fromkeys(found))
        .replace("at least 1 characters", "not empty")
        .replace("at least 1 entries", "not empty")
    )


def _sentence(text: str) -> str:
    return (
        f"{text[:1].upper()}{text[1:]}."
        if text and not text.endswith(".")
        else f"{text[:1].upper()}{text[1:]}"
    )
