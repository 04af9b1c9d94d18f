"""One live line on a terminal: progress, the running test and for how long."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

_CLEAR = "\r\x1b[2K"
_TICK_S = 1.0


def terminal_of(config: pytest.Config) -> TextIO | None:
    """Open the terminal if pytest's output goes to one: pytest captures stdout while a test runs."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    try:
        return Path("/dev/tty").open("w", encoding="utf-8") if reporter and reporter.isatty else None
    except OSError:
        return None


class Progress:
    """Draws a line such as `12 of 38 · 1 fail · phase2.replication db2 · 3 s` and keeps it up to date."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._total = 0
        self._counts: Counter[str] = Counter()
        self._now: dict[str, float] = {}
        self._paused = False
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._tick, name="deploygate-progress", daemon=True)

    def start(self, total: int) -> None:
        """Begin to draw; `total` is the number of tests that will run."""
        self._total = total
        self._thread.start()

    def begin(self, test: str) -> None:
        """Show a test as running."""
        self._now[test] = time.monotonic()
        self._draw()

    def end(self, test: str, verdict: str) -> None:
        """Count a finished test."""
        self._now.pop(test, None)
        self._counts[verdict] += 1
        self._draw()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Draw nothing while something else uses the terminal."""
        with self._lock:
            self._paused = True
            self._stream.write(_CLEAR)
            self._stream.flush()
        try:
            yield
        finally:
            self._paused = False

    def close(self) -> None:
        """Stop and clear the line."""
        self._stop.set()
        with self._lock:
            self._stream.write(_CLEAR)
            self._stream.close()

    def line(self, width: int) -> str:
        """Return the line as it stands, cut to a width."""
        done = sum(self._counts.values())
        parts = [f"{done} of {self._total}" if self._total else f"{done} done"]
        parts += [f"{n} {verdict}" for verdict, n in self._counts.items() if verdict != "pass"]
        for test, since in list(self._now.items())[:1]:
            parts.append(f"{test.rpartition('::')[2]} · {time.monotonic() - since:.0f} s")
        return " · ".join(parts)[: max(10, width - 1)]

    def _tick(self) -> None:
        while not self._stop.wait(_TICK_S):
            self._draw()

    def _draw(self) -> None:
        with self._lock:
            if not self._stop.is_set() and not self._paused:
                self._stream.write(_CLEAR + self.line(shutil.get_terminal_size().columns))
                self._stream.flush()


#: The stash key of a run's line.
PROGRESS = pytest.StashKey[Progress]()
