"""Many like cases: the first ones are tried each time, the others with `bin/test --long`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def first(number: int, cases: Iterable[Any]) -> list[Any]:
    """Return the cases as parameters; those after the first ones have the marker `long`."""
    return [
        case if at < number else pytest.param(case, marks=pytest.mark.long) for at, case in enumerate(cases)
    ]
