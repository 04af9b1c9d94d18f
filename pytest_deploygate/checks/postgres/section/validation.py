"""Queries with the answers that they must return."""

from typing import Literal, Self

from pydantic import Field, model_validator

from pytest_deploygate.fields.names import RelationName
from pytest_deploygate.fields.types import Section


class Expectation(Section):
    """A range that a value must lie in."""

    min: float | None = Field(default=None, description="smallest value allowed")
    max: float | None = Field(default=None, description="largest value allowed")

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("set `min`, `max` or both")
        return self


class ValidationQuery(Section):
    """A query with the answer it must return. It runs in a read-only transaction."""

    name: str = Field(description="name used in findings")
    sql: str = Field(description="a query that returns one value, or rows when `expect` is nothing")
    expect: Literal["nothing"] | Expectation | bool | int | float | str = Field(
        description="the value, a range {min, max}, or `nothing`: no row at all"
    )
    empty_means: RelationName | None = Field(
        default=None,
        description="table that must have rows for the answer to mean anything; if empty, inconclusive until phase 4",
    )
