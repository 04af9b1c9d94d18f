"""The key `database.patroni`: the cluster's members, and what Patroni must say of them."""

from typing import Annotated

from pydantic import Field

from pytest_deploygate.fields.patroni import Patroni
from pytest_deploygate.fields.types import DatabaseKeys, Given

__all__ = ["Patroni"]


class InDatabase(DatabaseKeys):
    """The key `database.patroni`."""

    patroni: Annotated[
        Patroni | None,
        Given(
            "patroni",
            "patroni: {members: [{name: db1, url: 'http://db1.example.com:8008'}, …]}",
            optional=True,
        ),
    ] = Field(default=None, description="the cluster's manager, if that is Patroni")
