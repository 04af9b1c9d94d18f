"""Many like cases: some are tried each time, the others with `bin/test --long`."""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

#: By file and test function, how many cases are tried each time.
TRIED = "tests/tried_each_time.toml"


def first(number: int, cases: Iterable[Any]) -> list[Any]:
    """Return the cases as parameters; those after the first ones have the marker `long`."""
    return [
        case if at < number else pytest.param(case, marks=pytest.mark.long) for at, case in enumerate(cases)
    ]


def mark_long(items: Iterable[pytest.Item], root: Path) -> None:
    """Give the marker `long` to the cases that are not tried each time; those that are spread evenly over all."""
    tried = tomllib.loads((root / TRIED).read_text(encoding="utf-8"))
    families: defaultdict[tuple[str, str], list[pytest.Item]] = defaultdict(list)
    for item in items:
        file, _, name = item.nodeid.partition("::")
        if not any(item.get_closest_marker(marker) for marker in ("long", "quiet")):
            families[file, name.partition("[")[0]].append(item)
    for (file, name), cases in families.items():
        number = tried.get(file, {}).get(name, len(cases))
        kept = {at * len(cases) // number for at in range(number)} if number else set()
        for at, item in enumerate(cases):
            if at not in kept:
                item.add_marker(pytest.mark.long)
