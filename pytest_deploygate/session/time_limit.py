"""The time that a run may take (`policy.time_limit`). What is left out is inconclusive, never silent."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from types import FrameType

import pytest

from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell, words_for

TIME_LIMIT = pytest.StashKey["TimeLimit"]()
_AGAIN = "run it again with --resume, which keeps what was good, or raise `policy.time_limit`"
_SIGNAL = signal.SIGUSR2  # SIGALRM belongs to pytest-timeout


class TimeUp(BaseException):
    """Raised in a running test when the time is up. No probe may take it for an answer, so it is no Exception."""


@dataclass(frozen=True)
class TimeLimit:
    """When the run began (monotonic) and how long it may take; None: no limit."""

    began: float
    limit: timedelta | None

    @property
    def left_s(self) -> float | None:
        """The seconds that are left, negative when the time is up; None without a limit."""
        return None if self.limit is None else self.began + self.limit.total_seconds() - time.monotonic()

    def check(self) -> None:
        """Raise CannotTell if the time is up: the next test does not start."""
        if self.left_s is not None and self.left_s <= 0:
            raise CannotTell(f"left out: the {self._words} was reached before its turn; {_AGAIN}")

    @contextlib.contextmanager
    def ends(self) -> Iterator[None]:
        """End the block with TimeUp when the time is up. Other threads than the main one cannot be ended."""
        left_s = self.left_s
        if left_s is None or threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(_SIGNAL, self._end)
        main = threading.main_thread().ident or 0
        timer = threading.Timer(max(left_s, 0.0), signal.pthread_kill, (main, _SIGNAL))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()
            signal.signal(_SIGNAL, before)

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        raise TimeUp(f"ended before it was done: the {self._words} was reached; {_AGAIN}")

    @property
    def _words(self) -> str:
        return f"run's time limit of {words_for(self.limit or 0.0)}"
