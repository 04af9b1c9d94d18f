"""Where an inventory is looser than the defaults: each is shown and counted like a waiver.

Which direction is the weaker one stands at the field, as `json_schema_extra={"weaker": …}`: `larger`, `smaller`,
`false` or `null`; what is left out keeps its default and is never weaker.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pytest_deploygate.inventory import sections
from pytest_deploygate.inventory.models import Inventory
from pytest_deploygate.model import words_for


def weakenings(inventory: Inventory) -> list[str]:
    """Return a sentence for each setting that is weaker than its default."""
    return list(_within(inventory, ""))


def _within(section: BaseModel, path: str) -> Iterator[str]:
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        where = f"{path}.{field.alias or name}" if path else (field.alias or name)
        if _is_weaker(field, value):
            yield f"{where} is {_said(value)}, by default {_said(field.get_default(call_default_factory=True))}"
        for label, inner in _sections(where, value):
            yield from _within(inner, label)


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
