"""Ask an API what its document says that it answers; never sees a limit."""

from __future__ import annotations

from pytest_deploygate.checks.api.facts import Found
from pytest_deploygate.checks.api.probe import graphql, grpc_health, openapi
from pytest_deploygate.checks.api.section import Api
from pytest_deploygate.clients.budget import Budget

__all__ = ["answers"]


def answers(api: Api, budget: Budget, inventory: str, *, allowed: bool) -> Found:
    """Ask every safe operation of an API once, and once more where its answer is not as documented.

    Operations that change something are asked only where `writes` names them, with `allowed` or if the inventory opts in.
    Raises CannotTell if the document cannot be read or nobody can log in.
    """
    if api.graphql is not None:
        return graphql.asked(api, api.graphql, budget)
    if api.grpc is not None:
        return grpc_health.asked(api, api.grpc, budget)
    return openapi.asked(api, budget, inventory, allowed=allowed)
