"""Functions that check or change the value of a field, before its type does or after.

As pydantic's `BeforeValidator` and `AfterValidator` for a function of one argument. Those look at the function's signature
for each field, hundreds of times in the start of a run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Before:
    """Annotates a type: `function` gets the value as it was written. Raises ValueError for a wrong one."""

    function: Callable[[Any], Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the schema of the type with the function before it."""
        return core_schema.no_info_before_validator_function(self.function, handler(source))


@dataclass(frozen=True)
class After:
    """Annotates a type: `function` gets a value of this type. Raises ValueError for a wrong one."""

    function: Callable[[Any], Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the schema of the type with the function after it."""
        return core_schema.no_info_after_validator_function(self.function, handler(source))
