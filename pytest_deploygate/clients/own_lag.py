"""How late this process is while a probe times something: a thread that should wake often says by how much it does not.

The load engine measures its own lag in its loop (`checks/load/probe/engine.py`); this is for everything else.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from pytest_deploygate.judging.own_lag import OwnLag
from pytest_deploygate.lazy import dataclass

_STEP_S = 0.02
#: A thread never wakes to the microsecond.
_USUAL_S = 0.002
#: Enough for half an hour; of a longer time the end is known.
_MOST = 90_000
#: Counting runnable tasks reads a file for each of our threads, so not every sample does.
_COUNT_EVERY = 5
_LOAD = Path("/proc/loadavg")
_OURS = Path("/proc/self/task")


@dataclass(frozen=True)
class _Sample:
    at: float
    late_s: float
    cpu_s: float
    runnable: int | None


class Lag:
    """The samples of a time in which something is measured. Times are those of `time.monotonic`."""

    def __init__(self) -> None:
        self._samples: deque[_Sample] = deque(maxlen=_MOST)
        self._began, self._cpu_s = time.monotonic(), time.process_time()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="own-lag", daemon=True)
        self._thread.start()

    def since(self, began: float | None = None) -> OwnLag:
        """Return what delayed us from `began`, or from the start, until now."""
        first, now = self._began if began is None else began, time.monotonic()
        samples = list(self._samples)
        mine = [sample for sample in samples if sample.at > first]
        # What is late at this moment has not been counted yet.
        overdue = max(0.0, now - (samples[-1].at if samples else self._began) - _STEP_S)
        before = [sample.cpu_s for sample in samples if sample.at <= first]
        wanted = [sample.runnable for sample in mine if sample.runnable is not None]
        return OwnLag(
            over_s=round(now - first, 3),
            late_s=round(sum(sample.late_s for sample in mine) + (overdue if overdue > _USUAL_S else 0.0), 3),
            cpu_s=round(time.process_time() - (before[-1] if before else self._cpu_s), 3),
            runnable=round(sum(wanted) / len(wanted), 2) if wanted else None,
            processors=_processors(),
        )

    def fair_s(self, began: float) -> float:
        """Return the seconds since `began` without our own delay, at least a third of them: a wait ends when these are over."""
        lag = self.since(began)
        return max(lag.over_s - lag.delay_s, lag.over_s / 3)

    def end(self) -> None:
        """End the thread."""
        self._over.set()
        self._thread.join(1.0)

    def _sample(self) -> None:
        for number in itertools.count():
            if self._over.is_set():
                return
            asleep = time.monotonic()
            time.sleep(_STEP_S)
            now = time.monotonic()
            late = now - asleep - _STEP_S
            wanted = None if number % _COUNT_EVERY else _runnable()
            self._samples.append(_Sample(now, late if late > _USUAL_S else 0.0, time.process_time(), wanted))


@contextlib.contextmanager
def watching() -> Iterator[Lag]:
    """Sample while a block runs."""
    lag = Lag()
    try:
        yield lag
    finally:
        lag.end()


def _runnable() -> int | None:
    """Return how many tasks of other processes want a processor now; None if the system does not report it.

    Our own threads are left out: they wait for each other, which shows in how late this one is.
    """
    try:
        every = int(_LOAD.read_text().split()[3].partition("/")[0])
        return max(0, every - sum(map(_runs, _OURS.iterdir())))
    except (OSError, IndexError, ValueError):
        return None


def _runs(task: Path) -> bool:
    with contextlib.suppress(OSError):  # a thread that has just ended
        return (task / "stat").read_text().rpartition(")")[2].split()[0] == "R"
    return False


def _processors() -> int:
    with contextlib.suppress(AttributeError, OSError):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1
