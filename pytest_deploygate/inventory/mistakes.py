"""pydantic's errors about an inventory, in our words: what is wrong, in which line, and the nearest valid name."""

import re
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from pytest_deploygate.fields.renamed import Renamed
from pytest_deploygate.fields.types import Section
from pytest_deploygate.files import yaml
from pytest_deploygate.inventory.models import composed
from pytest_deploygate.problems import Problem, nearest

Location = tuple[int | str, ...]
#: Our words for pydantic's errors; `{…}` are what it says of the limit.
_MUST_BE = {
    "string_type": "must be text; put it in quotes",
    "string_too_short": "is too short: at least {min_length} characters",
    "string_too_long": "is too long: at most {max_length} characters",
    "string_pattern_mismatch": "is not written as expected: it must match {pattern}",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "is too large a number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "finite_number": "must be a number",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "too_short": "has too few entries: at least {min_length} are needed",
    "too_long": "has too many entries: at most {max_length}",
    "is_instance_of": "is of another kind than expected here",
    "none_required": "must be left out here",
    "date_type": "must be a day, for example 2026-12-01",
    "date_parsing": "must be a day, for example 2026-12-01",
    "date_from_datetime_parsing": "must be a day, for example 2026-12-01",
    "date_from_datetime_inexact": "must be a day without a time, for example 2026-12-01",
    "datetime_type": "must be a time with its zone, for example 2026-12-24T00:00:00Z, in quotes",
    "datetime_parsing": "must be a time with its zone, for example 2026-12-24T00:00:00Z, in quotes",
    "datetime_from_date_parsing": "must be a time with its zone, for example 2026-12-24T00:00:00Z, in quotes",
    "timezone_aware": "needs a time zone, for example 2026-12-24T00:00:00Z, in quotes",
    "tuple_type": "must be a list: lines beginning with a dash, or [one, two]",
    "set_type": "must be a list: lines beginning with a dash, or [one, two]",
    "list_type": "must be a list: lines beginning with a dash, or [one, two]",
    "model_type": "must be a mapping of keys to values",
    "dict_type": "must be a mapping of keys to values",
}


def problems(error: ValidationError, document: yaml.Mapping, shown: str) -> list[Problem]:
    """Translate pydantic's errors into our messages, in file order.

    A cause shared by many places (the lab is not running) is reported once.
    """
    found: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for kind, location, message, limits in _without_unions(error, document):
        line, path = line_at(document, location), dotted(location)
        text = _text(kind, location, message, document, limits)
        found.setdefault((text, "" if kind == "value_error" else path), []).append((line, path))
    problems = []
    for (text, _), places in found.items():
        line, path = places[0]
        others = ", ".join(str(line) for line, _ in places[1:6]) + (" …" if len(places) > 6 else "")
        more = f" (also in line {others})" if others else ""
        problems.append(Problem(shown, line, f"{path}: {text}{more}" if path else f"{text}{more}"))
    return sorted(problems, key=lambda problem: problem.line)


#: Kind, place, pydantic's words, and the limits in them.
_Error = tuple[str, Location, str, tuple[tuple[str, object], ...]]


def _without_unions(error: ValidationError, document: yaml.Mapping) -> list[_Error]:
    """Return pydantic's errors; for a value of a union type only one, not one per type.

    If the value is a mapping, the errors are those of the type with keys.
    """
    found: list[_Error] = []
    for detail in error.errors(include_url=False, include_input=False):
        location = _real(detail["loc"], document)
        kind = detail["type"]
        is_mapping = isinstance(_at(document, location), Mapping)
        if detail["loc"][-1:] == ("[key]",):  # a key of a mapping whose keys are words of ours
            found.append(("key", detail["loc"][:-1], "", tuple(detail.get("ctx", {}).items())))
        elif location == detail["loc"] or kind in ("extra_forbidden", "missing", "value_error"):
            limits = tuple(
                (name, f"{limit:g}" if isinstance(limit, float) else str(limit))
                for name, limit in detail.get("ctx", {}).items()
            )
            found.append((kind, location, detail["msg"], limits))
        elif not is_mapping:
            found.append(("union", location, "", ()))
    # A reference that cannot be resolved is the only cause: its value could not be tried against other types.
    explained = {location for kind, location, *_ in found if kind == "value_error"}
    return [e for e in dict.fromkeys(found) if e[0] != "union" or e[1] not in explained]


def _real(location: Location, document: object) -> Location:
    """Return a location as it stands in the file: with its old keys, and without the names of a union's members."""
    kept: list[int | str] = []
    for number, part in enumerate(location):
        held = _at(document, tuple(kept))
        last = number == len(location) - 1
        stands_there = last and isinstance(held, Mapping) and str(part) in map(str, held)
        if isinstance(part, int) or part in _valid_keys(tuple(kept)) or stands_there:
            kept.append(_as_written(part, held, tuple(kept)))
    return tuple(kept)


def _as_written(part: int | str, held: object, location: Location) -> int | str:
    """Return a section's key as the file has it, which may be a former one."""
    if not isinstance(held, Mapping) or part in held:
        return part
    former = (old for old, new in _former_keys(location).items() if new.to == part and old in held)
    return next(former, part)


def _text(
    kind: str, location: Location, message: str, document: yaml.Mapping, limits: Sequence[tuple[str, object]]
) -> str:
    if kind == "extra_forbidden":
        if new := _former_keys(location[:-1]).get(str(location[-1])):
            return f"this is the old name of `{new.to}`, which is also set; remove it"
        return f"no such key{nearest(str(location[-1]), _valid_keys(location[:-1]))}"
    if kind == "key":
        valid = re.findall(r"'([^']*)'", str(dict(limits).get("expected", "")))
        return f"no such key{nearest(str(location[-1]), valid)}"
    if kind == "missing":
        field = _fields(location[:-1]).get(str(location[-1]))
        about = f" ({field.description})" if field and field.description else ""
        return f"is missing{about}"
    if kind == "too_short" and str(dict(limits).get("min_length", "1")) == "1":
        return "is empty; add at least one entry, or remove the key (its items are then not covered)"
    if kind == "string_pattern_mismatch" and location[-1] == "host":
        return "is not a host name or address (user, password and database have keys of their own)"
    if kind in ("model_type", "dict_type") and _at(document, location) is None:
        return "has no value; add its keys or remove the line"
    if kind == "union":
        return f"must be {_description(location)}"
    if kind == "literal_error":
        wanted = str(dict(limits)["expected"])
        valid = re.findall(r"'([^']*)'", wanted)
        near = nearest(str(_at(document, location)), valid)
        return f"must be {wanted}{near if near.startswith('; did you') else ''}"
    if kind in _MUST_BE:
        return _MUST_BE[kind].format_map(dict(limits))
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    return f"must be {_description(location)}"


def _description(location: Location) -> str:
    """Return a key's description from the models."""
    name = str(next(part for part in reversed(location) if isinstance(part, str)))
    by_key = {field.alias or key: field for key, field in _fields(location[:-1]).items()}
    return str(by_key[name].description) if name in by_key else "another value"


def dotted(location: Location) -> str:
    """Format a location as `database.replicas[1].host`."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def line_at(document: object, location: Location) -> int:
    """Return the line (from 1) of the deepest part of `location` that is in the file."""
    line = 1
    node = document
    for part in location:
        try:
            if isinstance(node, yaml.Mapping):
                part = next(key for key in node if str(key) == str(part))  # noqa: PLW2901 (a key may be a number)
                line = line_of(node, part)
            elif isinstance(node, yaml.Sequence) and isinstance(part, int) and part < len(node):
                line = node.lines[part]
            else:
                break
            node = node[part]
        except (KeyError, TypeError, StopIteration):
            break
    return line


def _at(document: object, location: Location) -> object:
    node = document
    for part in location:
        try:
            node = node[part]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            return None
    return node


def _valid_keys(location: Location) -> list[str]:
    return [field.alias or name for name, field in _fields(location).items()]


def _fields(location: Location) -> dict[str, Any]:
    model = _model(location)
    return dict(model.model_fields) if model else {}


def _former_keys(location: Location) -> dict[str, Renamed]:
    model = _model(location)
    return model.former_keys() if model and issubclass(model, Section) else {}


def _model(location: Location) -> type[BaseModel] | None:
    """Return the model at a place of the inventory, by following the models' own annotations."""
    model: type[BaseModel] | None = composed()
    for part in location:
        if isinstance(part, int) or model is None:
            continue
        by_key = {field.alias or name: field for name, field in model.model_fields.items()}
        former = model.former_keys().get(part) if issubclass(model, Section) else None
        if part not in by_key and former:
            part = former.to  # noqa: PLW2901 (the file has the old key)
        if part in by_key:
            model = _model_in(by_key[part].annotation)
    return model


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, typing.get_args(annotation))), None)


def line_of(node: yaml.Mapping, key: Any) -> int:
    """Return the line of a key; that of its mapping if the key comes from another one (`<<: *anchor`)."""
    return node.lines.get(key, node.line)
