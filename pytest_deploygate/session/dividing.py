"""Which of the collected tests run here: all of them, or those of this run's shard."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pytest_deploygate.lazy import dataclass
from pytest_deploygate.session.bound import BoundTest, Collected
from pytest_deploygate.session.division import Divisible, digest, divide
from pytest_deploygate.session.manual import AttestedItem
from pytest_deploygate.session.settings import Settings


@dataclass(frozen=True)
class Here:
    """What is recorded of the bound tests, and the node ids of the tests that other shards run."""

    collected: Collected
    elsewhere: frozenset[str] = frozenset()


def here(tests: Sequence[BoundTest], collected: Sequence[pytest.Item], found: Settings) -> Here:
    """Divide the tests in scope, and those bound to no item; `tests` are those of `collected` that are bound to some.

    What the command line leaves out is divided too, so that all shards divide the same.
    """
    shard = found.shard
    if shard is None:
        return Here(Collected(tuple(tests)))
    scope = set(found.scope_items)
    idle = {each.test for each in tests if not scope & set(each.items)}
    parts = divide(
        (_divisible(item, found) for item in collected if item.nodeid not in idle), shard.of, shard.seconds
    )
    mine = tuple(each for each in tests if parts.get(each.test) == shard.index)
    elsewhere = frozenset(test for test, index in parts.items() if index != shard.index)
    disturbing = {item.nodeid for item in collected if _disturbs(item, found)}
    return Here(
        Collected(
            mine,
            tuple(sorted({each.test for each in tests} - {each.test for each in mine})),
            tuple(each.test for each in mine if each.test in disturbing),
            digest(parts),
        ),
        elsewhere,
    )


def _divisible(item: pytest.Item, found: Settings) -> Divisible:
    alone = item.get_closest_marker("alone") is not None or _disturbs(item, found)
    return Divisible(item.nodeid, alone, isinstance(item, AttestedItem))


def _disturbs(item: pytest.Item, found: Settings) -> bool:
    return found.allow_disruptive and item.get_closest_marker("disruptive") is not None
