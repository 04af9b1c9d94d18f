"""Hosts asked at once: those that do not answer hold up nobody."""

from __future__ import annotations

import threading

import pytest

from pytest_deploygate.clients.host.side_by_side import side_by_side

#: For what should happen at once; a test that fails waits no longer.
_PATIENCE_S = 20.0


@pytest.mark.parametrize("dead", [{0, 1}, {3, 4}, {8, 9}])
def test_those_that_are_down_are_waited_for_beside_the_others(dead):
    """As many are down as may be asked at once: they answer only when all others have, and that must come to pass."""
    others = threading.Barrier(1 + len(dead))
    left, guard = set(range(10)) - dead, threading.Lock()
    all_there = threading.Event()

    def ask(host: int) -> str:
        if host in dead:
            others.wait(_PATIENCE_S)  # the dead ones are waited for at the same time, not one after the other
            return "dead"
        with guard:
            left.discard(host)
            if not left:
                all_there.set()
        return "here"

    def release() -> None:
        assert all_there.wait(_PATIENCE_S)
        others.wait(_PATIENCE_S)

    releasing = threading.Thread(target=release)
    releasing.start()
    answers = side_by_side(ask, range(10), at_once=2, late_s=0.05)
    releasing.join()
    assert answers == ["dead" if host in dead else "here" for host in range(10)]


@pytest.mark.parametrize(("late_s", "most"), [(60.0, 3), (0.0, 6)])
def test_no_more_are_asked_at_once_than_allowed(late_s, most):
    """If every answer is late, twice as many."""
    guard, now, seen = threading.Lock(), 0, 0
    full = threading.Event()

    def ask(_: int) -> None:
        nonlocal now, seen
        with guard:
            now += 1
            seen = max(seen, now)
            if now == most:
                full.set()
        full.wait(_PATIENCE_S)
        with guard:
            now -= 1

    side_by_side(ask, range(30), at_once=3, late_s=late_s)
    assert seen == most


def test_an_error_is_raised():
    def ask(host: int) -> int:
        raise LookupError(host)

    with pytest.raises(LookupError, match="0"):
        side_by_side(ask, range(3), at_once=2)
