"""The same objects by GraphQL, for programs that bring a token: `POST /graphql`."""

from __future__ import annotations

import json
from typing import Any

from graphql import GraphQLResolveInfo, build_schema, graphql
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pytest_deploygate.lab.application import api, live
from pytest_deploygate.lab.application.accounts import User

_Info = GraphQLResolveInfo[Any]

_SCHEMA = build_schema(
    """
    type Query {
      "The devices of the tenant"
      devices: [Device!]!
      device(id: ID!): Device
      "The newest alerts, the newest first"
      alerts(limit: Int = 100): [Alert!]!
    }
    type Device {
      id: ID!
      name: String!
      unit: String!
      highLimit: Float!
      lastValue: Float
    }
    type Alert {
      id: ID!
      device: ID!
      value: Float!
      highLimit: Float!
      state: String!
      raisedAt: String!
      clearedAt: String
    }
    """
)
_DEVICES = """
SELECT d.id, d.name, d.unit, d.high_limit AS "highLimit", r.value AS "lastValue" FROM devices d
LEFT JOIN LATERAL (SELECT value FROM readings WHERE device = d.id ORDER BY sent_at DESC LIMIT 1) AS r ON true
WHERE d.tenant = %(tenant)s ORDER BY d.id
"""


class _Root:
    """The queries of one user."""

    def __init__(self, request: Request, user: User) -> None:
        self._request, self._user = request, user

    async def devices(self, _info: _Info) -> list[dict[str, Any]]:
        """Return the devices of the tenant."""
        return await self._request.app.state.store.rows(_DEVICES, {"tenant": self._user.tenant})  # type: ignore[no-any-return]

    async def device(self, info: _Info, id: str) -> dict[str, Any] | None:  # noqa: A002 (its name in the schema)
        """Return one device."""
        return next((found for found in await self.devices(info) if found["id"] == id), None)

    async def alerts(self, _info: _Info, limit: int) -> list[dict[str, Any]]:
        """Return the newest alerts."""
        rows = await api.newest_alerts(self._request.app.state.store, self._user, min(max(limit, 1), 1000))
        return [{_camel(name): value for name, value in api.alert(row).items()} for row in rows]


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)


async def answer(request: Request) -> Response:
    """Answer a query. Mistakes in it are told in `errors`."""
    user = await live.user_of(request)
    if user is None:
        raise HTTPException(401, "a token is needed", {"WWW-Authenticate": "Bearer"})
    try:
        told = json.loads(await request.body())
        query, variables = told["query"], told.get("variables")
    except (ValueError, TypeError, KeyError):
        raise HTTPException(400, "the body is no JSON with a query") from None
    result = await graphql(
        _SCHEMA,
        query,
        _Root(request, user),
        variable_values=variables,
        operation_name=told.get("operationName"),
    )
    return JSONResponse(result.formatted, 400 if result.data is None else 200)


ROUTES = [Route("/graphql", answer, methods=["POST"])]
