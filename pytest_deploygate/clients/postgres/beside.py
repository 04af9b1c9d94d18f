"""A harmless query beside what a probe does on the same server: whether the server still answers, and how fast.

It has a connection of its own. On the probe's it would wait for what the probe reads there, and that is no harm.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from pytest_deploygate.clients.postgres.cluster import Cluster, Connection


@contextlib.contextmanager
def asking(cluster: Cluster) -> Iterator[Callable[[], bool]]:
    """Yield a control of the primary: it raises, or returns False, when the answer is no good one."""
    held: list[Connection] = []
    over = False

    def ask() -> bool:
        if not held or held[-1].closed:
            held.append(cluster.connect(cluster.primary))
            if over:  # it took longer than the probe, so nobody else closes it
                held[-1].close()
                return False
        return held[-1].execute("SELECT true").fetchone() is not None

    try:
        yield ask
    finally:
        over = True
        for connection in held:
            with contextlib.suppress(Exception):  # it may be in use by a question that is not over
                connection.close()
