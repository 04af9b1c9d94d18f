"""Compare an answer with what the document says about it: status, headers, content type, schema.

openapi-schema-validator, the part of openapi-core that knows OpenAPI's schemas, checks bodies; it is imported when the
first one is checked. Sentences name where in the body, and types instead of values: values may be about people.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_deploygate.checks.api.probe.asking import Answer
from pytest_deploygate.clients.openapi import Document, Operation, resolved
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import shortened

#: So many ways in which one body differs are told apart.
_MOST = 5
_KINDS = {
    dict: "an object", list: "an array", str: "a text", bool: "true or false", int: "an integer", float: "a number",
    type(None): "null",
}  # fmt: skip


def differs(document: Document, operation: Operation, answer: Answer) -> tuple[str, ...]:
    """Return how an answer differs from the document. Raises CannotTell if the document cannot be followed there."""
    said = _said(operation, answer.status)
    if said is None:
        known = ", ".join(operation.responses) or "none"
        return (f"its status {answer.status} is not in the document (there: {known})",)
    return tuple(_differences(document, operation, answer, said))


def lacks(document: Document, operation: Operation) -> str:
    """Return what the schema of an operation's good answers lacks, so that it proves nothing; empty if it proves something."""
    for status, said in operation.responses.items():
        if not status.startswith("2") or not (content := said.get("content")):
            continue
        for kind, media in content.items():
            if _is_json(kind):
                return _lacks(document, media.get("schema"))
    bodiless = any(status in ("204", "205") for status in operation.responses)
    other = any(said.get("content") for status, said in operation.responses.items() if status[0] == "2")
    return "" if bodiless or other else "has no schema"


def _said(operation: Operation, status: int) -> Mapping[str, Any] | None:
    ranges = (str(status), f"{status // 100}XX", f"{status // 100}xx", "default")
    return next((operation.responses[each] for each in ranges if each in operation.responses), None)


def _differences(
    document: Document, operation: Operation, answer: Answer, said: Mapping[str, Any]
) -> Iterator[str]:
    for name, header in (said.get("headers") or {}).items():
        if resolved(document.raw, header).get("required") and name not in answer.headers:
            yield f"its answer {answer.status} has no header {name}, which the document requires"
    content = said.get("content")
    if not content or operation.method == "HEAD":
        return
    if not answer.body:
        yield f"its answer {answer.status} has no body, the document says {_kinds(content)}"
        return
    media = _media(content, answer.content_type)
    if media is None:
        yield (
            f"its answer {answer.status} has the content type {answer.content_type or '(none)'}, the document says {_kinds(content)}"
        )
    elif _is_json(answer.content_type) and answer.whole:
        yield from _of_body(document, answer, media.get("schema"))


def _of_body(document: Document, answer: Answer, schema: Any) -> Iterator[str]:
    try:
        body = json.loads(answer.body)
    except ValueError:
        yield f"its answer {answer.status} is not JSON, though its content type says so"
        return
    if schema is None:
        return
    found = dict.fromkeys(_words(error) for error in _errors(document, schema, body))
    for number, words in enumerate(found):
        if number == _MOST:
            yield f"its answer {answer.status} differs from its schema in {len(found) - _MOST} more points"
            return
        yield f"its answer {answer.status} {words}"


def _errors(document: Document, schema: Any, body: Any) -> Iterator[Any]:
    """Yield the validator's errors; of alternatives, none of which fits, that of the nearest one."""
    try:
        import openapi_schema_validator as schemas  # noqa: PLC0415 (only an API's document needs it)
        from jsonschema.exceptions import best_match  # noqa: PLC0415 (same)
        from referencing.exceptions import Unresolvable  # noqa: PLC0415 (same)
    except ImportError:
        raise CannotTell(
            "schemas are checked with openapi-schema-validator, which is not installed here: pip install 'pytest-deploygate[api]'"
        ) from None
    # References such as #/components/schemas/Order begin at the root of the document.
    root = {key: document.raw[key] for key in ("components", "paths", "webhooks") if key in document.raw}
    whole = {**root, "allOf": [schema]}
    of_version = schemas.OAS31Validator if document.minor else schemas.OAS30ReadValidator
    formats = schemas.oas31_format_checker if document.minor else schemas.oas30_format_checker
    try:
        for error in of_version(whole, format_checker=formats).iter_errors(body):
            yield (best_match(error.context) or error) if error.validator in ("anyOf", "oneOf") else error
    except Unresolvable as error:
        raise CannotTell(
            f"the document's reference {error.ref} leads nowhere: bundle the document into one file, or correct it"
        ) from None


def _words(error: Any) -> str:
    at = _place(error.absolute_path)
    match error.validator:
        case "required":
            missing = [name for name in error.validator_value if name not in error.instance]
            return f"lacks {', '.join(f'`{name}`' for name in missing)} at {at}, which the document requires"
        case "type":
            wanted = error.validator_value
            kinds = " or ".join(wanted if isinstance(wanted, list) else [wanted])
            return f"has {_KINDS.get(type(error.instance), 'a value')} at {at}, the document says {kinds}"
        case "format":
            return f"has a value at {at} that is no {error.validator_value}"
        case "enum" | "const":
            allowed = shortened(str(error.validator_value), 80)
            return f"has a value at {at} that is not {allowed}"
        case "additionalProperties" | "unevaluatedProperties":
            return f"has keys at {at} that the document does not allow"
        case limit if isinstance(error.validator_value, int | float):
            return f"has a value at {at} against {limit} {error.validator_value}"
        case rule:
            return f"has a value at {at} against `{rule}` of its schema"


def _place(path: Any) -> str:
    """Return where in a body, the same for all entries of a list: `$.items[].value`."""
    return "$" + "".join("[]" if isinstance(part, int) else f".{part}" for part in path)


def _media(content: Mapping[str, Any], kind: str) -> Mapping[str, Any] | None:
    known = {name.partition(";")[0].strip().lower(): media for name, media in content.items()}
    for name in (kind, f"{kind.partition('/')[0]}/*", "*/*"):
        if kind and name in known:
            return known[name] or {}
    return None


def _is_json(kind: str) -> bool:
    plain = kind.partition(";")[0].strip().lower()
    return plain == "application/json" or plain.endswith("+json")


def _kinds(content: Mapping[str, Any]) -> str:
    return " or ".join(content)


def _lacks(document: Document, node: Any, steps: int = 10) -> str:
    try:
        schema = resolved(document.raw, node)
    except CannotTell:
        return "refers to what is not there"
    if not schema:
        return "has no schema"
    if steps and isinstance(parts := schema.get("allOf"), list):
        return "" if any(not _lacks(document, part, steps - 1) for part in parts) else "requires no key"
    for key in ("anyOf", "oneOf"):
        if steps and isinstance(parts := schema.get(key), list):
            return next(filter(None, (_lacks(document, part, steps - 1) for part in parts)), "")
    kinds = schema.get("type")
    if steps and "array" in (kinds if isinstance(kinds, list) else [kinds]):
        return _lacks(document, schema.get("items"), steps - 1)
    is_object = kinds == "object" or (isinstance(kinds, list) and "object" in kinds) or "properties" in schema
    if is_object and not schema.get("required"):
        return "" if isinstance(schema.get("additionalProperties"), dict) else "requires no key"
    return ""
