"""Ask a GraphQL API for its schema by introspection, and then its queries (graphql-core reads the schema)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from pytest_deploygate.checks.api.facts import Attempt, Call, Found, Purpose, Untried
from pytest_deploygate.checks.api.probe.asking import Answer, Asker, Missing
from pytest_deploygate.checks.api.section import Api, GraphQl
from pytest_deploygate.clients.budget import Budget, Spending
from pytest_deploygate.clients.http import oauth
from pytest_deploygate.fields.oauth import TokenAccess
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell, NotReached
from pytest_deploygate.redaction import redact, shortened

if TYPE_CHECKING:
    from graphql import GraphQLField, GraphQLObjectType, GraphQLSchema, IntrospectionQuery

_PAUSE_S = 0.5
_GOOD_TYPES = ("application/json", "application/graphql-response+json")
_CONTROL = "{ __typename }"


@dataclass(frozen=True)
class _Place:
    asker: Asker
    url: str
    login: TokenAccess | None

    def post(self, query: str) -> Answer | Missing:
        """Post a query. Mutations and subscriptions never come here: their operation would not be `query`."""
        body = json.dumps({"query": query}).encode()
        headers = {"Content-Type": "application/json", "Accept": ", ".join(_GOOD_TYPES)}
        with self.asker.allowing("POST", self.url):
            return self.asker.ask("POST", self.url, self.login, headers=headers, body=body)


def asked(api: Api, graph: GraphQl, budget: Budget) -> Found:
    """Read the schema, then ask the named queries and each field of the query type that needs no arguments.

    Raises CannotTell if there is no schema to be had.
    """
    try:
        import graphql  # noqa: PLC0415 (only a GraphQL API needs it)
    except ImportError:
        raise CannotTell(
            "GraphQL is read with graphql-core, which is not installed here: pip install 'pytest-deploygate[api]'"
        ) from None
    timeout_s = api.timeout.total_seconds()
    access = oauth.logged_in(api, timeout_s)

    def place(spending: Spending) -> _Place:
        return _Place(Asker(api, timeout_s, spending), graph.url, access if access.login else None)

    with budget.probe(
        f"queries of {api.name}", unwatched="a few queries, each asked once or twice"
    ) as spending:
        there = place(spending)
        schema = _schema(there, graph.url)
        query_type = schema.query_type
        if query_type is None:
            raise CannotTell(f"the schema of {graph.url} has no query type: nothing can be asked there")
        calls = list[Call]()
        wrong = [f"its schema is invalid: {e.message}" for e in graphql.validate_schema(schema)[:3]]
        wrong += [
            f"its query type has no field `{name}`" for name in graph.fields if name not in query_type.fields
        ]
        covered = set[str]()
        for name, query in graph.queries.items():
            said = _refused(schema, query)
            if said.startswith("!"):
                raise CannotTell(f"the query {name} of {api.name} {said[1:]}")
            if said:
                wrong.append(f"the query {name} does not fit its schema: {said}")
            else:
                covered |= _fields(query)
                calls.append(_call(there, f"query {name}", query))
        untried = list[Untried]()
        for name, member in query_type.fields.items():
            made = _query(name, member)
            if name in covered:
                continue
            if made is None:
                said = "it needs arguments: name a query with it in `graphql.queries`"
                untried.append(Untried(f"field {name}", said, wanted=False))
            else:
                calls.append(_call(there, f"field {name}", made))
    return Found(
        where=graph.url,
        operations=len(query_type.fields),
        safe=len(query_type.fields),
        calls=tuple(calls),
        untried=tuple(untried),
        wrong=tuple(wrong),
    )


def _schema(place: _Place, url: str) -> GraphQLSchema:
    from graphql import build_client_schema, get_introspection_query  # noqa: PLC0415 (as above)

    answer = place.post(get_introspection_query(descriptions=False))
    if isinstance(answer, Missing):
        kind = NotReached if answer.ours else CannotTell
        raise kind(f"{url} gives no schema: {answer.said}; check that the API is up")
    try:
        said = json.loads(answer.body)
        data = said.get("data")
    except (ValueError, AttributeError):
        raise CannotTell(
            f"{url} answers {answer.status} without JSON ({answer.content_type or 'no content type'}): check the address"
        ) from None
    if not isinstance(data, dict) or "__schema" not in data:
        raise CannotTell(
            f"{url} does not give its schema ({answer.status}{_errors(said)}): allow introspection for our login"
        )
    try:
        return build_client_schema(cast("IntrospectionQuery", data))
    except (TypeError, KeyError, ValueError) as error:
        raise CannotTell(f"the schema of {url} cannot be read: {shortened(str(error), 120)}") from None


def _refused(schema: GraphQLSchema, query: str) -> str:
    """Return why a query does not fit the schema; after `!` why it is none. Empty if it can be sent."""
    from graphql import GraphQLError, OperationDefinitionNode, OperationType, parse, validate  # noqa: PLC0415

    try:
        document = parse(query)
    except GraphQLError as error:
        return f"!cannot be read: {error.message}; correct `graphql.queries`"
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode) and node.operation is not OperationType.QUERY:
            return f"!is a {node.operation.value}: only queries are sent"
    return "; ".join(error.message for error in validate(schema, document)[:3])


def _fields(query: str) -> set[str]:
    from graphql import FieldNode, OperationDefinitionNode, parse  # noqa: PLC0415

    return {
        field.name.value
        for node in parse(query).definitions
        if isinstance(node, OperationDefinitionNode)
        for field in node.selection_set.selections
        if isinstance(field, FieldNode)
    }


def _query(name: str, field: GraphQLField) -> str | None:
    """Return a query for one field with the plain values below it; None if it needs arguments."""
    from graphql import get_named_type, is_leaf_type, is_object_type, is_required_argument  # noqa: PLC0415

    if any(is_required_argument(argument) for argument in field.args.values()):
        return None
    kind = get_named_type(field.type)
    if is_leaf_type(kind):
        return f"{{ {name} }}"
    plain = list(_plain(kind)) if is_object_type(kind) else []
    return f"{{ {name} {{ {' '.join(plain) or '__typename'} }} }}"


def _plain(kind: GraphQLObjectType) -> Iterator[str]:
    from graphql import get_named_type, is_leaf_type, is_required_argument  # noqa: PLC0415

    for name, field in kind.fields.items():
        if is_leaf_type(get_named_type(field.type)) and not any(
            is_required_argument(argument) for argument in field.args.values()
        ):
            yield name


def _call(place: _Place, name: str, query: str) -> Call:
    attempts = [_attempt(place.post(query))]
    if attempts[0].status != 200 or attempts[0].differs:
        time.sleep(_PAUSE_S)
        attempts.append(_attempt(place.post(query)))
    return Call(name, Purpose.QUERY, tuple(attempts), ("200",), "own" if place.login else "")


def _attempt(answer: Answer | Missing) -> Attempt:
    if isinstance(answer, Missing):
        return Attempt(None, took_s=round(answer.took_s, 4), said=answer.said, ours=answer.ours)
    return Attempt(
        answer.status,
        answer.content_type,
        round(answer.took_s, 4),
        differs=tuple(_differs(answer)) if answer.status == 200 else (),
        error=answer.error,
    )


def _differs(answer: Answer) -> Iterator[str]:
    if answer.content_type not in _GOOD_TYPES:
        yield f"its answer has the content type {answer.content_type or '(none)'}, expected {_GOOD_TYPES[0]}"
        return
    try:
        said = json.loads(answer.body)
    except ValueError:
        yield "its answer is not JSON"
        return
    if not isinstance(said, dict) or not isinstance(said.get("data"), dict):
        yield f"its answer has no `data`{_errors(said)}"
    elif said.get("errors"):
        yield f"its answer has errors{_errors(said)}"


def _errors(said: Any) -> str:
    found = said.get("errors") if isinstance(said, Mapping) else None
    messages = [str(each.get("message", "")) for each in found or [] if isinstance(each, Mapping)]
    return f": {shortened(redact(messages[0]), 120)}" if messages else ""
