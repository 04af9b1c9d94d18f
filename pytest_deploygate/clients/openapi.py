"""Read an OpenAPI document (3.0, 3.1): its operations with parameters, examples, security and responses. No request is sent here.

References within the document are followed; those into other files are not, so a document of several files has to be bundled.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urljoin

from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell

SAFE = ("get", "head")
METHODS = ("get", "head", "post", "put", "patch", "delete", "options", "trace")
#: A parameter, header or response may refer to another that refers to another.
_MOST_STEPS = 20
_VERSION = re.compile(r"3\.([01])(\.\d+)?")

#: An object of the document.
Node = Mapping[str, Any]


class _Nothing:
    """The type of `NOTHING`."""

    def __repr__(self) -> str:
        return "nothing"


#: In place of an example that is not there: None is a value.
NOTHING = _Nothing()


@dataclass(frozen=True)
class Parameter:
    """A parameter of an operation. `example` is NOTHING without one, `where` is path, query, header or cookie."""

    name: str
    where: str
    required: bool
    schema: Node
    example: Any
    style: str
    explode: bool


@dataclass(frozen=True)
class Operation:
    """An operation. `method` is in capitals; `secured` is whether each alternative of its security wants a login.

    `responses` are by status as written (`200`, `4XX`, `default`). `body` is the request's, by media type. `at` is where it
    stands in the document, as a JSON pointer.
    """

    method: str
    path: str
    id: str
    secured: bool
    parameters: tuple[Parameter, ...]
    body: Mapping[str, Node]
    responses: Mapping[str, Node]
    server: str
    at: str

    @property
    def safe(self) -> bool:
        """Whether it changes nothing, by its method."""
        return self.method.lower() in SAFE

    @property
    def name(self) -> str:
        """Its name in findings: `GET /api/orders/{id} (getOrder)`."""
        return f"{self.method} {self.path}" + (f" ({self.id})" if self.id else "")

    def answers_to(self, names: Sequence[str]) -> bool:
        """Whether one of these names is its id, or method and path."""
        return self.id in names or f"{self.method} {self.path}" in names


@dataclass(frozen=True)
class Document:
    """A document. `minor` is 0 for OpenAPI 3.0 and 1 for 3.1; `raw` is all of it."""

    title: str
    minor: int
    raw: Node
    operations: tuple[Operation, ...]


def parse(text: str, where: str) -> Document:
    """Read a document in JSON or YAML; `where` is its address, for messages and for relative servers.

    Raises CannotTell for a text that is no document of OpenAPI 3.0 or 3.1.
    """
    raw, minor = read(text, where)
    title = str(_mapping(raw.get("info")).get("title", ""))
    return Document(title, minor, raw, tuple(_operations(raw, where)))


def read(text: str, where: str) -> tuple[Node, int]:
    """Return a document in JSON or YAML, and the second part of its version. Raises CannotTell as `parse`."""
    raw = _loaded(text, where)
    version = str(raw.get("openapi", raw.get("swagger", "")))
    found = _VERSION.fullmatch(version)
    if not found:
        said = f"says version {version!r}" if version else "has no key `openapi`"
        raise CannotTell(f"{where} {said}; documents of OpenAPI 3.0 and 3.1 are read")
    return raw, int(found[1])


def resolved(raw: Node, node: Any) -> Node:
    """Follow `$ref` within the document. Raises CannotTell for one that leads nowhere, or into another file."""
    for _ in range(_MOST_STEPS):
        if not isinstance(node, Mapping):
            return {}
        reference = node.get("$ref")
        if not isinstance(reference, str):
            return node
        node = _at(raw, reference)
    raise CannotTell(f"the document's reference {reference} refers to itself")


def _loaded(text: str, where: str) -> Node:
    try:
        raw = json.loads(text)
    except ValueError:
        raw = _from_yaml(text, where)
    if not isinstance(raw, Mapping):
        raise CannotTell(f"{where} is no OpenAPI document: it is no object")
    return raw


def _from_yaml(text: str, where: str) -> Any:
    import yaml  # noqa: PLC0415 (most documents are JSON)

    from pytest_deploygate.files import yaml as yaml_files  # noqa: PLC0415 (same)

    try:
        return yaml_files.load(text)
    except (yaml.YAMLError, ValueError) as error:
        said = " ".join(str(error).split())[:120]
        raise CannotTell(f"{where} is neither JSON nor YAML that can be read ({said})") from None


def _at(raw: Node, reference: str) -> Any:
    if not reference.startswith("#"):
        raise CannotTell(
            f"the document refers to {reference}, outside of itself: bundle it into one file, and name that"
        )
    node: Any = raw
    for part in reference.lstrip("#").strip("/").split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        try:
            node = node[int(key)] if isinstance(node, list) else node[key]
        except (KeyError, IndexError, ValueError, TypeError):
            raise CannotTell(
                f"the document's reference {reference} leads nowhere: correct the document"
            ) from None
    return node


def _operations(raw: Node, where: str) -> Iterator[Operation]:
    for path, entry in _mapping(raw.get("paths")).items():
        item = resolved(raw, entry)
        for method in METHODS:
            if isinstance(found := item.get(method), Mapping):
                yield _operation(raw, where, str(path), method, item, found)


def _operation(raw: Node, where: str, path: str, method: str, item: Node, found: Node) -> Operation:
    parameters: dict[tuple[str, str], Parameter] = {}
    for node in [*_list(item.get("parameters")), *_list(found.get("parameters"))]:
        read = _parameter(raw, resolved(raw, node))
        parameters[read.where, read.name] = read
    responses = {
        str(status): resolved(raw, node) for status, node in _mapping(found.get("responses")).items()
    }
    return Operation(
        method=method.upper(),
        path=path,
        id=str(found.get("operationId", "")),
        secured=_secured(found.get("security", raw.get("security"))),
        parameters=tuple(parameters.values()),
        body=_mapping(resolved(raw, found.get("requestBody")).get("content")),
        responses=responses,
        server=_server(raw, where, item, found),
        at=f"/paths/{path.replace('~', '~0').replace('/', '~1')}/{method}",
    )


def _secured(security: Any) -> bool:
    """An empty alternative means that no login is wanted."""
    return bool(security) and not any(not alternative for alternative in _list(security))


def _server(raw: Node, where: str, item: Node, found: Node) -> str:
    servers: list[Any] = next(filter(None, (_list(each.get("servers")) for each in (found, item, raw))), [{}])
    first = _mapping(servers[0])
    variables = _mapping(first.get("variables"))
    url = str(first.get("url", "/"))
    for name, variable in variables.items():
        url = url.replace(f"{{{name}}}", str(_mapping(variable).get("default", "")))
    return urljoin(where, url)


def _parameter(raw: Node, node: Node) -> Parameter:
    where = str(node.get("in", ""))
    content: Any = next(iter(_mapping(node.get("content")).values()), {})
    schema = resolved(raw, node.get("schema", _mapping(content).get("schema", {})))
    style = str(node.get("style", "form" if where in ("query", "cookie") else "simple"))
    return Parameter(
        name=str(node.get("name", "")),
        where=where,
        required=bool(node.get("required")) or where == "path",
        schema=schema,
        example=first_example(raw, {**_mapping(content), **node}),
        style=style,
        explode=bool(node.get("explode", style == "form")),
    )


def first_example(raw: Node, node: Node) -> Any:
    """Return the first example of a parameter or media type: its own, or what its schema has; NOTHING without one."""
    if "example" in node:
        return node["example"]
    for each in _mapping(node.get("examples")).values():
        if "value" in (named := resolved(raw, each)):
            return named["value"]
    return _of_schema(raw, resolved(raw, node.get("schema", {})))


def _of_schema(raw: Node, schema: Node) -> Any:
    if "example" in schema:
        return schema["example"]
    for key in ("examples", "enum"):
        if values := _list(schema.get(key)):
            return values[0]
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if schema.get("type") == "array" and isinstance(schema.get("items"), Mapping):
        one = _of_schema(raw, resolved(raw, schema["items"]))
        return NOTHING if one is NOTHING else [one]
    return NOTHING


def _mapping(node: Any) -> Node:
    return node if isinstance(node, Mapping) else {}


def _list(node: Any) -> list[Any]:
    return node if isinstance(node, list) else []
