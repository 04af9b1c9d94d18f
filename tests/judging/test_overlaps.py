"""Times in which two nodes took writes, from the spans of each."""

from __future__ import annotations

import pytest

from pytest_deploygate.judging.overlaps import overlaps


@pytest.mark.parametrize(
    ("spans", "found"),
    [
        ([], []),
        ([("db1", 0.0, 5.0)], []),
        ([("db1", 0.0, 5.0), ("db1", 4.0, 6.0)], []),
        ([("db1", 0.0, 2.0), ("db2", 2.0, 4.0)], []),
        ([("db1", 0.0, 2.0), ("db2", 3.0, 3.0)], []),
        ([("db1", 0.0, 2.5), ("db2", 2.0, 4.0)], [(2.0, 2.5, ("db1", "db2"))]),
        ([("db1", 0.0, 9.0), ("db2", 2.0, 4.0)], [(2.0, 4.0, ("db1", "db2"))]),
        (
            [("db1", 0.0, 9.0), ("db2", 2.0, 4.0), ("db3", 3.0, 5.0)],
            [(2.0, 3.0, ("db1", "db2")), (3.0, 4.0, ("db1", "db2", "db3")), (4.0, 5.0, ("db1", "db3"))],
        ),
        (
            [("db1", 0.0, 9.0), ("db1", 3.0, 5.0), ("db2", 2.0, 4.0)],
            [(2.0, 4.0, ("db1", "db2"))],
        ),
    ],
)
def test_two_at_once(spans, found):
    assert overlaps(spans) == found
