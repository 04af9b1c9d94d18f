"""The tables of the inventory's keys: the keys of a subject, and those that several subjects share."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union

from markdown_tables import code, table, wrapped
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from pytest_deploygate import checks
from pytest_deploygate.fields.types import DatabaseKeys, InventoryKeys, Size
from pytest_deploygate.inventory.models import Inventory
from pytest_deploygate.redaction import Secret

SHARED = "shared-keys"
CHECKS = Path(__file__).parent / "checks"
_MADE = re.compile(r"<!-- made from the code: .*?<!-- end -->", re.DOTALL)
_COLUMNS = ("key", "type", "default", "meaning", "weaker when")
_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))
_SIZES = ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB"))
#: What tells a size from a plain number: the validator that reads `16MB`.
_READS_A_SIZE = typing.get_args(Size)[1]
_WEAKER = {"false": "`false`", "null": "left out", "any": "any value"}
_PLAIN: dict[object, str] = {
    timedelta: "duration",
    Secret: "secret",
    Path: "path",
    datetime: "time",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "text",
    dict: "mapping",
    Any: "any",
    object: "any",
}


def keys_tables(subject: str) -> str:
    """Return the keys that a subject adds to the inventory: a table for each section."""
    module = checks.part(subject, "section")
    roots = (
        []
        if module is None
        else [value for value in vars(module).values() if _adds_keys(value, module.__name__)]
    )
    if not roots:
        return "None."
    parts = []
    for kind, prefix in ((InventoryKeys, ""), (DatabaseKeys, "database.")):
        mine = [root for root in roots if issubclass(root, kind)]
        rows = [row for root in mine for row in _rows(root, subject, prefix)]
        parts += [table(_COLUMNS, rows)] if rows else []
        for root in mine:
            parts += _models_below(root, subject, prefix)
    return "\n\n".join(parts)


def shared_keys() -> str:
    """Return the keys of the inventory that belong to no subject, and the sections that several subjects use."""
    parts = [table(_COLUMNS, _rows(Inventory, "", ""))]
    parts += [*_models_below(Inventory, "", "")]
    done = {name for part in parts for name in re.findall(r"^### (\w+)$", part, re.MULTILINE)}
    shared = {model.__name__: model for subject in checks.subjects() for model in _shared_of(subject)}
    for name in sorted(set(shared) - done):
        parts.append(_model_part(shared[name], "", ()))
    return "\n\n".join(parts)


def _adds_keys(value: object, module: str) -> bool:
    return (
        isinstance(value, type)
        and issubclass(value, InventoryKeys | DatabaseKeys)
        and value.__module__ == module
    )


def _rows(model: type[BaseModel], subject: str, prefix: str) -> list[tuple[str, ...]]:
    return [
        (
            code(f"{prefix}{field.alias or name}"),
            _type(field.annotation, field.metadata, subject),
            _default(field),
            str(field.description or ""),
            _weaker(field),
        )
        for name, field in model.model_fields.items()
    ]


def _weaker(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    direction = str(extra.get("weaker", "")) if isinstance(extra, dict) else ""
    return _WEAKER.get(direction, direction)


def _models_below(root: type[BaseModel], subject: str, prefix: str) -> list[str]:
    """Return a part for each model that a section leads to and that this page describes, each once."""
    where: dict[type[BaseModel], list[str]] = {}
    for path, model in _walk(root, prefix, ()):
        where.setdefault(model, []).append(path)
    mine = [model for model in where if _page_of(model) == (subject or SHARED)]
    return [_model_part(model, subject, where[model]) for model in mine]


def _shared_of(subject: str) -> Iterator[type[BaseModel]]:
    module = checks.part(subject, "section")
    for root in [v for v in vars(module).values() if _adds_keys(v, module.__name__)] if module else []:
        yield from (model for _, model in _walk(root, "", ()) if _page_of(model) == SHARED)


def _model_part(model: type[BaseModel], subject: str, paths: Sequence[str]) -> str:
    described = " ".join((model.__doc__ or "").partition("\n\n")[0].split())
    shown = ", ".join(map(code, paths[:4])) + (" and elsewhere" if len(paths) > 4 else "")
    at = f" Stands at {shown}." if paths else ""
    return (
        f"### {_heading(model)}\n\n{wrapped(described + at)}\n\n{table(_COLUMNS, _rows(model, subject, ''))}"
    )


def _walk(
    model: type[BaseModel], prefix: str, above: tuple[type, ...]
) -> Iterator[tuple[str, type[BaseModel]]]:
    for name, field in model.model_fields.items():
        here = f"{prefix}{field.alias or name}"
        for inner in _models_in(field.annotation):
            if inner not in above:
                yield here, inner
                yield from _walk(inner, f"{here}.", (*above, inner))


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from _models_in(inner)


def _heading(model: type[BaseModel]) -> str:
    """Return the heading of a model: another one than those written by hand, or links would lead to those."""
    name = model.__name__
    return f"{name} section" if name.lower() in _headings(_page_of(model)) else name


@cache
def _headings(page: str) -> frozenset[str]:
    """Return the headings of a page written by hand; of a plugin's page, which is elsewhere, none."""
    file = CHECKS / f"{page}.md"
    text = _MADE.sub("", file.read_text(encoding="utf-8")) if file.is_file() else ""
    return frozenset(found.lower() for found in re.findall(r"^#+ (.*)$", text, re.MULTILINE))


def _page_of(model: type[BaseModel]) -> str:
    """Return the name of the page that describes a model."""
    package = f"{checks.__name__}."
    module = model.__module__
    return module.removeprefix(package).partition(".")[0] if module.startswith(package) else SHARED


def _type(annotation: object, metadata: Sequence[object], subject: str) -> str:
    """Return the type of a key in words; sections are links."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if _READS_A_SIZE in metadata:
        return "size"
    if origin is typing.Annotated:
        return _type(arguments[0], arguments[1:], subject)
    if origin in (Union, UnionType):
        members = [_type(member, (), subject) for member in arguments if member is not NoneType]
        return " or ".join(dict.fromkeys(members))
    if origin is Literal:
        return ", ".join(code(value) for value in arguments)
    if origin in (list, tuple):
        inside = _type(arguments[0], (), subject)
        return f"list of {inside}"
    if origin is dict:
        return f"mapping of {_type(arguments[0], (), subject)} to {_type(arguments[1], (), subject)}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        page_name = _page_of(annotation)
        here = "" if page_name == (subject or SHARED) else f"{page_name}.md"
        return f"[{annotation.__name__}]({here}#{_heading(annotation).lower().replace(' ', '-')})"
    return _PLAIN.get(annotation) or str(getattr(annotation, "__name__", annotation))


def _default(field: FieldInfo) -> str:
    """Return a default as an inventory would write it."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or value is PydanticUndefined:
        return "–"
    if _READS_A_SIZE in field.metadata:
        return code(next((f"{value // n}{unit}" for n, unit in _SIZES if value and value % n == 0), value))
    if isinstance(value, BaseModel):
        return "its own defaults"
    return code(_written(value))


def _written(value: object) -> str:
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
        whole = (
            f"{seconds / size:g}{unit}" for size, unit in _UNITS if seconds >= size and seconds % size == 0
        )
        return next(whole, f"{seconds * 1000:g}ms")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_written(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, BaseModel):
        return _written(value.model_dump(mode="json", exclude_none=True))
    return '""' if value == "" else str(value)
