"""Ids kept as bits are a set, in little memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_deploygate.judging.histories.ids import Ids

SOME = st.sets(st.integers(0, 300_000), max_size=40)


@given(SOME, SOME)
def test_they_are_a_set(one, other):
    ids = Ids(one)
    assert set(ids) == one
    assert list(ids) == sorted(one)
    assert len(ids) == len(one)
    assert set(ids - other) == one - other
    assert set(other - ids) == other - one
    for each in other:
        ids.discard(each)
    assert set(ids) == one - other
    assert len(ids) == len(one - other)
    assert not any(each in ids for each in other)


def test_a_million_take_a_bit_each_and_a_negative_one_is_none():
    ids = Ids(range(1_000_000))
    assert len(ids) == 1_000_000
    assert ids.held_bytes < 140_000
    with pytest.raises(ValueError, match="0 or more, not -1"):
        ids.add(-1)
