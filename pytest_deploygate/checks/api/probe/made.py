"""Make the request of an operation from its examples and from the inventory's values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from pytest_deploygate.checks.api.section import Values
from pytest_deploygate.clients.openapi import NOTHING, Operation, Parameter
from pytest_deploygate.lazy import dataclass

#: Ids that nothing has.
_NO_TEXT = "deploygate-not-there"
_NO_UUID = "00000000-0000-4000-8000-00000000dead"
_NO_NUMBER = 2_147_483_646


@dataclass(frozen=True)
class Made:
    """A request: the path with its values, the query, the headers."""

    path: str
    query: Mapping[str, Any]
    headers: Mapping[str, str]


def made(operation: Operation, values: Values | None) -> Made | str:
    """Return the request of an operation, or what it lacks: the name of a required parameter without a value."""
    path, query, headers = operation.path, dict[str, Any](), dict[str, str]()
    given = values or Values()
    for parameter in operation.parameters:
        value = _value(parameter, given)
        if value is NOTHING:
            if parameter.required:
                where = {"path": "path", "query": "query"}.get(parameter.where, "headers")
                return (
                    f"the document has no example for its parameter `{parameter.name}`: add one there, or "
                    f"`operations: {{{operation.id or operation.name}: {{{where}: {{{parameter.name}: …}}}}}}`"
                )
        elif parameter.where == "path":
            path = path.replace(f"{{{parameter.name}}}", quote(_text(value), safe=""))
        elif parameter.where == "query":
            query |= _query(parameter, value)
        elif parameter.where == "header":
            headers[parameter.name] = _text(value)
        elif parameter.where == "cookie":
            before = f"{headers['Cookie']}; " if "Cookie" in headers else ""
            headers["Cookie"] = f"{before}{parameter.name}={quote(_text(value))}"
    if "{" in path:
        return f"its path has a part that the document does not describe ({path}): correct the document"
    known = {parameter.name for parameter in operation.parameters if parameter.where == "query"}
    query |= {name: value for name, value in given.query.items() if name not in known}
    return Made(path, query, headers)


def with_no_id(operation: Operation, values: Values | None) -> Made | None:
    """Return the same request with an id that does not exist as its last path parameter; None if there cannot be one."""
    in_path = [parameter for parameter in operation.parameters if parameter.where == "path"]
    if not in_path:
        return None
    last = max(in_path, key=lambda parameter: operation.path.find(f"{{{parameter.name}}}"))
    absent = _absent(last.schema)
    if absent is None:
        return None
    given = values or Values()
    found = made(operation, given.model_copy(update={"path": {**given.path, last.name: absent}}))
    return None if isinstance(found, str) else found


def _value(parameter: Parameter, given: Values) -> Any:
    named = {"path": given.path, "query": given.query, "header": given.headers, "cookie": given.headers}.get(
        parameter.where, {}
    )
    if parameter.name in named:
        return named[parameter.name]
    return parameter.example if parameter.required else NOTHING


def _absent(schema: Mapping[str, Any]) -> Any:
    kinds = schema.get("type")
    if "enum" in schema or "const" in schema or "pattern" in schema:
        return None
    if "integer" in (kinds if isinstance(kinds, list) else [kinds]):
        largest = schema.get("maximum", _NO_NUMBER)
        return largest if isinstance(largest, int) and largest < _NO_NUMBER else _NO_NUMBER
    text = _NO_UUID if schema.get("format") == "uuid" else _NO_TEXT
    return text if len(text) <= schema.get("maxLength", len(text)) else None


def _query(parameter: Parameter, value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        separator = {"spaceDelimited": " ", "pipeDelimited": "|"}.get(parameter.style, ",")
        return {
            parameter.name: [_text(each) for each in value]
            if parameter.explode
            else separator.join(map(_text, value))
        }
    if isinstance(value, dict):
        if parameter.style == "deepObject":
            return {f"{parameter.name}[{name}]": _text(each) for name, each in value.items()}
        if parameter.explode:
            return {name: _text(each) for name, each in value.items()}
    return {parameter.name: _text(value)}


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ",".join(map(_text, value))
    return json.dumps(value)
