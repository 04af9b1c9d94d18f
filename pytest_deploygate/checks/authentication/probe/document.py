"""The operations of an OpenAPI document (3.0 or 3.1), with what is needed to ask for each without any effect."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from pytest_deploygate.clients import openapi
from pytest_deploygate.lazy import dataclass

#: Not OPTIONS: browsers ask that before a request from another origin, without any token (Fetch, CORS preflight).
_METHODS = ("get", "head", "put", "post", "delete", "patch", "trace")
_MOST_REFERENCES = 20
#: Names of objects that nobody has, by the type and format of the parameter.
_NOBODYS = {"integer": "2147483647", "number": "2147483647"}
_NOBODYS_UUID = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True)
class Operation:
    """One operation. `target` is its path and query with values; `lacks` says why it cannot be asked for.

    A `safe` one can be asked for as it is. Another one is asked for in a way that has no effect: for an object that nobody has,
    with a body that is no JSON. `bearer` is true if a bearer token opens it.
    """

    name: str
    id: str
    method: str
    target: str
    open: bool
    bearer: bool
    safe: bool
    body: bytes | None = None
    lacks: str = ""
    parameter: str = ""

    def called(self, name: str) -> bool:
        """Tell whether the inventory means this operation: by its operationId, or as `GET /path`."""
        return name in (self.id, self.name)

    def at(self, value: str) -> str:
        """Return its target for an object."""
        return self.name.partition(" ")[2].replace(f"{{{self.parameter}}}", quote(value, safe=""))


def operations(document: Mapping[str, Any], given: Mapping[str, str]) -> Iterator[Operation]:
    """Yield the operations; `given` are values of parameters by name.

    Raises ValueError if it is no OpenAPI 3 document, CannotTell if a path is described elsewhere.
    """
    if not str(document.get("openapi", "")).startswith("3.") or not isinstance(document.get("paths"), dict):
        raise ValueError("it is no OpenAPI document of version 3")
    base = _base(document)
    for path, unresolved in document["paths"].items():
        item = openapi.resolved(document, unresolved)
        for method in _METHODS:
            if isinstance(item.get(method), dict):
                yield _operation(document, base, path, method, item, given)


def _base(document: Mapping[str, Any]) -> str:
    """Return the path before all others. Only the path: a document may name another environment's address."""
    servers = document.get("servers")
    first = servers[0].get("url", "") if isinstance(servers, list) and servers else ""
    return urlsplit(first).path.rstrip("/") if "{" not in first else ""


def _operation(
    document: Mapping[str, Any],
    base: str,
    path: str,
    method: str,
    item: Mapping[str, Any],
    given: Mapping[str, str],
) -> Operation:
    described = item[method]
    safe = method in openapi.SAFE
    parameters = [
        _resolved(document, each) for each in [*item.get("parameters", []), *described.get("parameters", [])]
    ]
    by_place = {(each.get("in"), each.get("name")): each for each in parameters}
    target, lacks = base + path, ""
    names = re.findall(r"{([^}]+)}", path)
    for name in names:
        about = by_place.get(("path", name), {})
        value = _value(document, about, given.get(name)) if safe else _nobodys(document, about)
        if value is None:
            lacks = f"its parameter {name} has no example: add `parameters: {{{name}: …}}`"
        target = target.replace(f"{{{name}}}", quote(str(value), safe=""))
    query = {}
    for (place, name), about in by_place.items():
        if place == "query" and about.get("required"):
            value = _value(document, about, given.get(str(name)))
            if value is None:
                lacks = f"its parameter {name} has no example: add `parameters: {{{name}: …}}`"
            query[str(name)] = str(value)
    has_body = method != "delete" and not safe
    if has_body and "requestBody" not in described and not names:
        lacks = "it has neither a body nor a parameter, so it cannot be asked for without effect"
    if method == "trace":
        lacks = "the method TRACE is not tried"
    security = described.get("security", document.get("security"))
    return Operation(
        f"{method.upper()} {base}{path}",
        str(described.get("operationId", "")),
        method.upper(),
        f"{target}?{urlencode(query)}" if query else target,
        _is_open(security),
        _takes_bearer(document, security),
        safe,
        b"{" if has_body else None,
        lacks,
        names[0] if len(names) == 1 else "",
    )


def _resolved(document: Mapping[str, Any], value: Any) -> Mapping[str, Any]:
    """Return what a value refers to within the document; empty where that leads nowhere."""
    for _ in range(_MOST_REFERENCES):
        if not isinstance(value, dict):
            return {}
        reference = value.get("$ref")
        if not isinstance(reference, str):
            return value
        value = document
        for part in reference.removeprefix("#/").split("/") if reference.startswith("#/") else ["?"]:
            name = part.replace("~1", "/").replace("~0", "~")
            value = value.get(name) if isinstance(value, dict) else None
    return {}


def _value(document: Mapping[str, Any], about: Mapping[str, Any], given: str | None) -> Any:
    """Return an example of a parameter's value; None without one."""
    if given is not None:
        return given
    schema = _resolved(document, about.get("schema"))
    examples = about.get("examples")
    if isinstance(examples, dict) and examples:
        return _resolved(document, next(iter(examples.values()))).get("value")
    for holder in (about, schema):
        for key in ("example", "default", "const"):
            if key in holder:
                return holder[key]
    for key in ("examples", "enum"):
        if isinstance(schema.get(key), list) and schema[key]:
            return schema[key][0]
    return None


def _nobodys(document: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    schema = _resolved(document, about.get("schema"))
    kinds = schema.get("type")
    kind = next(iter(kinds), "") if isinstance(kinds, list) else kinds
    return _NOBODYS_UUID if schema.get("format") == "uuid" else _NOBODYS.get(str(kind), "deploygate-none")


def _is_open(security: Any) -> bool:
    """Tell whether anybody may use it: no requirement at all, or an empty one among others."""
    return not security or any(not requirement for requirement in security)


def _takes_bearer(document: Mapping[str, Any], security: Any) -> bool:
    components = document.get("components")
    schemes = components.get("securitySchemes", {}) if isinstance(components, dict) else {}
    for requirement in security or []:
        kinds = [_resolved(document, schemes.get(name)) for name in requirement]
        if len(kinds) == 1 and (
            kinds[0].get("type") in ("oauth2", "openIdConnect")
            or (kinds[0].get("type") == "http" and str(kinds[0].get("scheme")).lower() == "bearer")
        ):
            return True
    return False
