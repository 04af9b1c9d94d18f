"""The inventory's `apis`: documents of the platform's APIs, and how their operations are asked."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, WithJsonSchema, model_validator

from pytest_deploygate.fields import references
from pytest_deploygate.fields.http import Url
from pytest_deploygate.fields.oauth import TokenAccess
from pytest_deploygate.fields.types import (
    Duration,
    Each,
    ExistingPath,
    InventoryKeys,
    Section,
    Text,
    Words,
)
from pytest_deploygate.fields.validating import Before
from pytest_deploygate.problems import nearest

#: In the body of an operation that creates something, this becomes a text by which the gate knows what it made.
MARK = "{mark}"


def _url_or_path(value: object) -> object:
    """A document is at an address, or in a file."""
    found = references.filled_in(value, instead="http://127.0.0.1:1/")
    if isinstance(found, str) and re.match(r"https?://", found):
        return found
    return references.as_existing_path(found)


#: An address with http:// or https://, or the path of a file.
Document = Annotated[
    str | Path, Before(_url_or_path), WithJsonSchema({"type": "string", "format": "uri-reference"})
]


class Values(Section):
    """What an operation is asked with, in place of the examples in the document."""

    path: dict[str, Any] = Field(default={}, description="values of path parameters")
    query: dict[str, Any] = Field(default={}, description="values of query parameters")
    headers: dict[str, str] = Field(
        default={}, description="values of header and cookie parameters; no secrets"
    )
    login: str | None = Field(
        default=None, description="name of the login in `logins` that this operation needs"
    )
    skip: Words | None = Field(
        default=None,
        json_schema_extra={"weaker": "any"},
        description="why this operation is not tried",
    )


class Created(Section):
    """An operation that creates something, and the one that removes it again."""

    create: str = Field(description="operationId of the operation that creates")
    body: dict[str, Any] = Field(
        default={},
        description=f"its body instead of the document's example; the text `{MARK}` must be a value in it, and marks what is made",
    )
    undo: str = Field(description="operationId of the operation that removes it, with one path parameter")
    id: str = Field(default="/id", description="where the answer has the id, as a JSON pointer")
    list: str = Field(
        description="operationId of the operation that lists what there is: what a run that crashed left is removed first"
    )

    @model_validator(mode="after")
    def _is_marked(self) -> Self:
        if not has_mark(self.body):
            raise ValueError(
                f"`body` of {self.create} needs the text {MARK} in a value, so that what was made can be found again"
            )
        return self


class Writes(Section):
    """Operations that change something. They are asked in one synthetic tenant, which the API itself must confirm."""

    tenant: Text = Field(description="the synthetic tenant")
    ask: str = Field(description="operationId of the operation that says which tenant the login belongs to")
    at: str = Field(default="/tenant", description="where its answer has the tenant, as a JSON pointer")
    login: str | None = Field(default=None, description="name of the login in `logins` that is used")
    operations: list[Created] = Field(min_length=1, description="what is created and removed again")
    opt_in: str = Field(
        default="", description="the inventory's name: this environment may be written to, in this tenant"
    )


class Fuzz(Section):
    """Generated requests besides the examples, by schemathesis (extra `fuzz`): valid ones only, of safe operations."""

    examples: int = Field(
        default=10,
        ge=1,
        le=1000,
        json_schema_extra={"weaker": "smaller"},
        description="most generated requests for an operation",
    )


class GraphQl(Section):
    """A GraphQL API. Its schema is asked for by introspection."""

    url: Url = Field(description="address that queries are posted to")
    queries: dict[str, str] = Field(default={}, description="queries that must be answered, by name")
    fields: list[str] = Field(
        default=[], description="fields that the query type must have, for example [devices, alerts]"
    )


class Grpc(Section):
    """A gRPC server with the standard health service (`grpc.health.v1.Health`)."""

    address: Text = Field(pattern=r"^\S+:\d+$", description="host:port")
    services: list[str] = Field(
        default=[""],
        min_length=1,
        description="names of services that must be serving; empty for the whole server",
    )
    tls: bool = Field(
        default=True, json_schema_extra={"weaker": "false"}, description="whether the connection is over TLS"
    )


class Api(TokenAccess):
    """One API: an OpenAPI document, a GraphQL schema, or a gRPC server."""

    exactly_one = ("openapi", "graphql", "grpc")
    instead = "say what it is: exactly one of `openapi`, `graphql`, `grpc`"

    name: str = Field(description="name used in findings")
    openapi: Document | None = Field(
        default=None, description="URL or file of the OpenAPI document (3.0 or 3.1, JSON or YAML)"
    )
    graphql: GraphQl | None = Field(default=None, description="a GraphQL API")
    grpc: Grpc | None = Field(default=None, description="a gRPC server")
    url: Url | None = Field(
        default=None, description="base URL of the operations, instead of the document's `servers`"
    )
    logins: dict[str, TokenAccess] = Field(
        default={}, description="further logins by name, for operations that others may not use"
    )
    operations: dict[str, Values] = Field(
        default={},
        description="what operations are asked with, by operationId or `GET /path`, where the document has no example",
    )
    writes: Writes | None = Field(default=None, description="operations that change something")
    fuzz: Fuzz | None = Field(default=None, description="generated requests besides the examples")
    timeout: Duration = Field(default=timedelta(seconds=10), description="longest time for an answer")
    ca_file: ExistingPath | None = Field(
        default=None, description="file with certificates to trust instead of the system's (PEM)"
    )

    @model_validator(mode="after")
    def _logins_are_known(self) -> Self:
        wanted = {name: values.login for name, values in self.operations.items()}
        if self.writes:
            wanted["writes"] = self.writes.login
        for where, login in wanted.items():
            if login is not None and login not in self.logins:
                raise ValueError(
                    f"{where} names the login {login!r}, which is not in `logins`{nearest(login, list(self.logins))}"
                )
        if self.openapi is None and (self.operations or self.writes or self.fuzz or self.url):
            raise ValueError(
                "`url`, `operations`, `writes` and `fuzz` belong to an OpenAPI document (`openapi`)"
            )
        return self


def has_mark(value: object) -> bool:
    """Whether the mark is in one of the texts of a body."""
    if isinstance(value, dict):
        return any(has_mark(each) for each in value.values())
    if isinstance(value, list):
        return any(has_mark(each) for each in value)
    return isinstance(value, str) and MARK in value


class Keys(InventoryKeys):
    """The key `apis`."""

    apis: Annotated[
        list[Api], Each("api", "apis: [{name: platform, openapi: 'https://app.example.com/openapi.json'}]")
    ] = Field(default=[], description="the platform's APIs")

    @model_validator(mode="after")
    def _apis_have_names_of_their_own(self) -> Self:
        names = [api.name for api in self.apis]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"apis: two are named {twice!r}")
        return self
