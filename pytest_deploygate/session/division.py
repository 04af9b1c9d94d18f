"""Dividing the tests of a run among its shards: each shard computes the same division, and runs its part.

Tests that share something stay together. What must not be disturbed (load) and what disturbs runs in one shard. Other
tests with a target of their own (a host, a table, an endpoint) are divided one by one. Without a target, those of a file
stay together: they share what the file's subject has measured once, such as the restore of a backup.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from pytest_deploygate.lazy import dataclass

#: The seconds that a test is taken to last where none were recorded, and one that only reads what people attested.
_USUAL_S, _READS_S = 1.0, 0.01
#: What all tests share that disturb others or must not be disturbed.
_ALONE = "alone"


@dataclass(frozen=True)
class Divisible:
    """A test as the division sees it. `alone`: it disturbs others, or must not be disturbed. `reads`: only records."""

    test: str
    alone: bool = False
    reads: bool = False


def divide(tests: Iterable[Divisible], of: int, seconds: Mapping[str, float]) -> dict[str, int]:
    """Return the shard of each test, from 1 to `of`: the longest first, to the shard that has the least so far.

    That is at most a third longer than the best division (R. L. Graham, Bounds on Multiprocessing Timing Anomalies,
    1969). `seconds` are those that were recorded; it depends on nothing but the arguments, and not on their order.
    """
    units: dict[str, list[Divisible]] = {}
    for unit, test in _shared(sorted(tests, key=lambda test: test.test)):
        units.setdefault(unit, []).append(test)
    usual = median(seconds.values()) if seconds else _USUAL_S
    lasting = {
        unit: sum(seconds.get(one.test, _READS_S if one.reads else usual) for one in its)
        for unit, its in units.items()
    }
    load = [0.0] * of
    found: dict[str, int] = {}
    for unit in sorted(units, key=lambda unit: (-lasting[unit], unit)):
        least = load.index(min(load))
        load[least] += lasting[unit]
        found |= dict.fromkeys((one.test for one in units[unit]), least + 1)
    return found


def digest(divided: Mapping[str, int]) -> str:
    """Return a digest of a division, which all shards of a run have in common."""
    return hashlib.sha256(json.dumps(sorted(divided.items())).encode()).hexdigest()


def _shared(tests: Sequence[Divisible]) -> list[tuple[str, Divisible]]:
    """Return each test with the name of what it shares with others."""
    alone = {_file(test.test) for test in tests if test.alone and not _has_target(test.test)}
    found = []
    for test in tests:
        file, by_itself = _file(test.test), test.reads or _has_target(test.test)
        if test.alone or (file in alone and not by_itself):
            found.append((_ALONE, test))
        else:
            found.append((test.test if by_itself else file, test))
    return found


def _file(test: str) -> str:
    return test.partition("::")[0]


def _has_target(test: str) -> bool:
    return "[" in test
