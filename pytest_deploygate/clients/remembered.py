"""Gather once for a whole cluster, judge many times: remembered answers, one for each cluster and subject."""

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
    """Return `gather()` of the first call. That it could not tell is remembered, too, and raised again."""
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
    """Drop what is remembered of a cluster: it was changed (a failover drill)."""
    with _guard:
        _answers.pop(cluster, None)
