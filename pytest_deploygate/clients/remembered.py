"""Gather once for a whole cluster, judge many times: cached answers, one for each cluster and subject."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar, cast
from weakref import WeakKeyDictionary

from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import CannotTell, NotCovered

T = TypeVar("T")
_guard = threading.Lock()
_locks: WeakKeyDictionary[Cluster, threading.RLock] = WeakKeyDictionary()
_answers: WeakKeyDictionary[Cluster, dict[str, object]] = WeakKeyDictionary()


def once(cluster: Cluster, subject: str, gather: Callable[[], T]) -> T:
    """Return the result of the first `gather()`. CannotTell and NotCovered are cached too, and raised again."""
    with _guard:
        lock = _locks.setdefault(cluster, threading.RLock())
        answers = _answers.setdefault(cluster, {})
    with lock:
        if subject not in answers:
            try:
                answers[subject] = gather()
            except (CannotTell, NotCovered) as unknown:
                answers[subject] = unknown
    answer = answers[subject]
    if isinstance(answer, CannotTell | NotCovered):
        raise type(answer)(str(answer))
    return cast("T", answer)


def forget(cluster: Cluster) -> None:
    """Clear the cache of a cluster after it was changed (a failover drill)."""
    with _guard:
        _answers.pop(cluster, None)
