"""Inventory settings that are weaker than their defaults. Each is shown, and counts like a waiver.

The field defines which direction is weaker, as `json_schema_extra={"weaker": …}`: `larger`, `smaller`, `false`, `null` or
`any`. An omitted setting keeps its default and is never weaker.
"""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pytest_deploygate.inventory import sections, unconfirmed
from pytest_deploygate.inventory.models import Inventory
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import words_for

_MOST_SAID = 80


@dataclass(frozen=True)
class Weaker:
    """A setting weaker than its default: its path of field names, without entry names, and a sentence."""

    path: tuple[str, ...]
    text: str


def weaker(inventory: Inventory) -> list[Weaker]:
    """Return each setting that is weaker than its default, and each that a program found and nobody confirmed."""
    return [*_within(inventory, (), ""), *_unconfirmed(inventory.discovered)]


def _unconfirmed(places: Iterable[str]) -> Iterator[Weaker]:
    """Yield the expectations that are only what was seen: an item that passes by them proves that nothing has changed."""
    for place in places:
        text = f"{place} is as discovered; nobody has confirmed it (`deploygate confirm`)"
        yield Weaker(unconfirmed.keys_of(place), text)


def changes(before: Inventory, after: Inventory, name: str) -> list[Weaker]:
    """Return each setting that would be weaker, removed or another one in `after`; those that would be stricter are not.

    `name` is the name of what has `before`. Entries of lists are compared by their names. What does not apply is compared
    elsewhere.
    """
    added = [place for place in after.discovered if place not in before.discovered]
    return [*_changes(before, after, name, (), ""), *_unconfirmed(added)]


def _changes(
    before: BaseModel, after: BaseModel, name: str, path: tuple[str, ...], label: str
) -> Iterator[Weaker]:
    # What an inventory does not mention may not be among its fields: it has the default there.
    for key, field in {**type(after).model_fields, **type(before).model_fields}.items():
        old, new = (
            getattr(each, key, field.get_default(call_default_factory=True)) for each in (before, after)
        )
        if old == new or (not path and key in ("not_applicable", unconfirmed.KEY)):
            continue
        here = (*path, key)
        where = f"{label}.{field.alias or key}" if label else (field.alias or key)
        inside, was = dict(_sections(where, new)), dict(_sections(where, old))
        if was or inside:
            yield from (Weaker(here, f"{gone} is removed") for gone in was if gone not in inside)
            for inner_label, inner in inside.items():
                former = was.get(inner_label)
                if type(former) is type(inner):
                    yield from _changes(former, inner, name, here, inner_label)
                else:
                    yield from _within(inner, here, inner_label)
        elif _direction(field) is None or _is_weaker(field, new, than=old):
            yield Weaker(here, f"{where} is {_shortly(new)}, on {name} {_shortly(old)}")


def _shortly(value: object) -> str:
    text = _said(value)
    return text if len(text) <= _MOST_SAID else f"{text[: _MOST_SAID - 1]}…"


def _within(section: BaseModel, path: tuple[str, ...], label: str) -> Iterator[Weaker]:
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        here = (*path, name)
        where = f"{label}.{field.alias or name}" if label else (field.alias or name)
        default = field.get_default(call_default_factory=True)
        if _is_weaker(field, value, than=default):
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


def _direction(field: FieldInfo) -> object:
    """Return which direction is weaker; None if the field does not say."""
    return field.json_schema_extra.get("weaker") if isinstance(field.json_schema_extra, dict) else None


def _is_weaker(field: FieldInfo, value: Any, *, than: Any) -> bool:
    match _direction(field):
        case "larger":
            return value is not None and than is not None and bool(value > than)
        case "smaller":
            return value is not None and than is not None and bool(value < than)
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
    return "not set" if value in (None, "") else str(value).lower() if isinstance(value, bool) else str(value)
