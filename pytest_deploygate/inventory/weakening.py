"""Inventory settings that are weaker than their defaults. Each is shown, and counts like a waiver.

The field defines which direction is weaker, as `json_schema_extra={"weaker": …}`: `larger`, `smaller`, `false`, `null` or
`any`. An omitted setting keeps its default and is never weaker.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pytest_deploygate.inventory import sections
from pytest_deploygate.inventory.models import Inventory
from pytest_deploygate.model import words_for


@dataclass(frozen=True, slots=True)
class Weaker:
    """A setting weaker than its default: its path of field names, without entry names, and a sentence."""

    path: tuple[str, ...]
    text: str


def weaker(inventory: Inventory) -> list[Weaker]:
    """Return each setting that is weaker than its default."""
    return list(_within(inventory, (), ""))


def _within(section: BaseModel, path: tuple[str, ...], label: str) -> Iterator[Weaker]:
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        here = (*path, name)
        where = f"{label}.{field.alias or name}" if label else (field.alias or name)
        if _is_weaker(field, value):
            default = field.get_default(call_default_factory=True)
            yield Weaker(here, f"{where} is {_said(value)}, by default {_said(default)}")
        for inner_label, inner in _sections(where, value):
            yield from _within(inner, here, inner_label)


def _sections(where: str, value: object) -> Iterator[tuple[str, BaseModel]]:
    if isinstance(value, BaseModel):
        yield where, value
    elif isinstance(value, list):
        for entry in value:
            if isinstance(entry, BaseModel):
                yield f"{where}[{sections.label(entry)}]", entry


def _is_weaker(field: FieldInfo, value: object) -> bool:
    direction = field.json_schema_extra.get("weaker") if isinstance(field.json_schema_extra, dict) else None
    default = field.get_default(call_default_factory=True)
    match direction:
        case "larger":
            return bool(value is not None and value > default)
        case "smaller":
            return bool(value is not None and value < default)
        case "false":
            return value is False
        case "null":
            return value is None
        case "any":
            return bool(value)
    return False


def _said(value: object) -> str:
    if isinstance(value, timedelta):
        return words_for(value)
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "nothing"
    if isinstance(value, BaseModel):
        held = value.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        return ", ".join(f"{name} {held[name]}" for name in held) or "set"
    return "not set" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
