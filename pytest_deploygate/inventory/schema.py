"""The JSON Schema of the inventory, for completion and validation in editors.

It is generated from the models. It omits what only the loader can check: existing paths, variables that are set.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from pytest_deploygate.fields.references import ONLY_WHERE, only_where_pattern
from pytest_deploygate.fields.renamed import Renamed
from pytest_deploygate.fields.types import Section, ShortForm
from pytest_deploygate.inventory.models import composed

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ONLY_WHERE = {
    "type": "string",
    "pattern": only_where_pattern(),
    "description": "ignore this section or entry if the lab does not have that value",
}
_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


class _AsPeopleWrite(GenerateJsonSchema):
    """Defaults in the form used in inventories: `30s` instead of `PT30S`."""

    def encode_default(self, dft: Any) -> Any:
        """Return a default as written in an inventory; for a section `{}`: its own defaults apply."""
        if isinstance(dft, timedelta):
            return _duration(dft)
        if isinstance(dft, BaseModel):
            return {}
        return super().encode_default(dft)


def json_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12) as plain data, keys in a stable order."""
    made = composed().model_json_schema(by_alias=True, schema_generator=_AsPeopleWrite)
    definitions = made.pop("$defs")
    # A section with keys of other subjects follows the one that it extends, which has the same name.
    for name, model in {model.__name__: model for model in _sections(Section)}.items():
        if name in definitions:
            _add_rules(definitions[name], model)
            definitions[name]["properties"][ONLY_WHERE] = _ONLY_WHERE
            if model.short_form:
                definitions[name] = _with_short_form(definitions[name], model.short_form)
    _add_rules(made, composed())
    return {
        "$schema": DIALECT,
        "$id": "urn:pytest-deploygate:inventory",
        **made,
        "title": "pytest-deploygate inventory",
        "$defs": definitions,
    }


def _sections(model: type[Section]) -> Iterator[type[Section]]:
    for inner in model.__subclasses__():
        yield inner
        yield from _sections(inner)


def _add_rules(node: dict[str, Any], model: type[Section]) -> None:
    """Add what only a section's class variables define: mutually exclusive keys, and former keys."""
    properties, former = node.setdefault("properties", {}), model.former_keys()
    for field in properties.values():
        field.pop("weaker", None)  # used by our reports of weakened limits, not by editors
    rules: list[dict[str, Any]] = []
    if model.exactly_one:
        rules.append({"oneOf": [_has(key, former) for key in model.exactly_one]})
    required = node.pop("required", [])
    renamed = {new.to for new in former.values()}
    rules += [_has(key, former) for key in required if key in renamed]
    if kept := [key for key in required if key not in renamed]:
        node["required"] = kept
    for old, new in former.items():
        if new.unless:
            # Together with that key the old name has its own meaning, so it is not deprecated there.
            both = {"not": {"required": [old, new.to]}}
            deprecated = {"properties": {old: {"deprecated": True}}} | both
            rules.append({"if": {"not": {"required": [new.unless]}}, "then": deprecated})
            continue
        about = {key: value for key, value in properties[new.to].items() if key != "default"}
        properties[old] = {**about, "description": f"old name of `{new.to}`", "deprecated": True}
        rules.append({"not": {"required": [old, new.to]}})
    if len(rules) == 1:
        node |= rules[0]
    elif rules:
        node["allOf"] = rules


def _has(key: str, former: Mapping[str, Renamed]) -> dict[str, Any]:
    """Require a key of a section, under its name or a former one."""
    names = [key, *(old for old, new in former.items() if new.to == key and not new.unless)]
    each: list[dict[str, Any]] = [{"required": [name]} for name in names]
    return each[0] if len(each) == 1 else {"anyOf": each}


def _with_short_form(node: dict[str, Any], form: ShortForm) -> dict[str, Any]:
    """Return a section's schema with its short form; in the long form only one key is required."""
    node["required"] = [form.key]
    short = {"type": "string", "pattern": form.pattern, "examples": list(form.examples)}
    return {"title": node.pop("title"), "description": node.pop("description"), "anyOf": [short, node]}


def _duration(span: timedelta) -> str:
    seconds = span.total_seconds()
    for size, unit in _UNITS:
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds * 1000:g}ms"
