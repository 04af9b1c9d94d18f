"""The JSON Schema of the inventory, for editors that complete and check while it is written.

It follows from the models. What only our own reader checks (paths that exist, variables that are set) is not in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from pytest_deploygate.fields.references import ONLY_WHERE
from pytest_deploygate.fields.types import Section
from pytest_deploygate.inventory.models import composed

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ONLY_WHERE = {
    "type": "string",
    "pattern": "^lab:.+",
    "description": "leave this out where the lab does without that value",
}
_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


class _AsPeopleWrite(GenerateJsonSchema):
    """Defaults in the forms that the inventory takes: `30s` instead of `PT30S`."""

    def encode_default(self, dft: Any) -> Any:
        """Return a default as it would stand in an inventory; of a section `{}`: its own defaults hold."""
        if isinstance(dft, timedelta):
            return _duration(dft)
        if isinstance(dft, BaseModel):
            return {}
        return super().encode_default(dft)


def json_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12) as plain data, keys in a stable order."""
    made = composed().model_json_schema(by_alias=True, schema_generator=_AsPeopleWrite)
    definitions = made.pop("$defs")
    for model in _sections(Section):
        if model.exactly_one and model.__name__ in definitions:
            definitions[model.__name__]["oneOf"] = [{"required": [key]} for key in model.exactly_one]
    for name, needed, examples in _SHORT_FORMS:
        definitions[name] = _with_short_form(definitions[name], needed, examples)
    for section in definitions.values():
        if "properties" in section:
            section["properties"][ONLY_WHERE] = _ONLY_WHERE
        for field in section.get("properties", {}).values():
            field.pop("weaker", None)  # for our own reports of weakened limits, nothing to an editor
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


#: Models that may be written as one text, what of them has no default, and how the text looks.
_SHORT_FORMS = (
    ("Node", "host", ["db1.example.com", "db1.example.com:5432"]),
    ("Endpoint", "host", ["app.example.com", "app.example.com:8443"]),
    ("NameServer", "address", ["192.0.2.53", "2001:db8::53"]),
)


def _with_short_form(node: dict[str, Any], needed: str, examples: list[str]) -> dict[str, Any]:
    """Return a model's schema with its short form, and the name that may be left out."""
    node["required"] = [needed]
    # A short form may have a port beside the host.
    pattern = node["properties"][needed].get("pattern", r"^[0-9A-Fa-f.:]+$").replace("._-]", "._:-]")
    short = {"type": "string", "pattern": pattern, "examples": examples}
    return {"title": node.pop("title"), "description": node.pop("description"), "anyOf": [short, node]}


def _duration(span: timedelta) -> str:
    seconds = span.total_seconds()
    for size, unit in _UNITS:
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds * 1000:g}ms"
