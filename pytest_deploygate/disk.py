"""Bringing what was written to the disk, also while the program goes on."""

from __future__ import annotations

import os
import threading
import time

#: A disk that answers within this time is waited for at once: to hand over to a thread takes longer.
QUICK_S = 0.0004


class BackgroundSync:
    """Brings what was written to an open file to the disk while the program goes on.

    Once the disk has been slow, a thread does it. What is written while the thread waits for the disk is taken along by
    its next turn, so that a slow disk costs one wait for many writes.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._changed = threading.Condition()
        self._written = self._synced = 0
        self._error: OSError | None = None
        self._ended = False
        self._quick = True
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Start to bring to the disk what has been written so far. Raises the OSError that prevented it before."""
        with self._changed:
            if self._error is not None:
                raise self._error
            self._written += 1
            if self._quick and self._synced == self._written - 1:
                try:
                    self._bring()
                except OSError as error:
                    self._error = error
                    raise
                self._synced = self._written
                return
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="journal to disk", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        time.sleep(0)  # lets the thread begin now, not when the interpreter next switches threads (5 ms)

    def wait(self) -> None:
        """Wait until all for which `begin` was called is on the disk. Raises the OSError that prevented it."""
        with self._changed:
            self._changed.wait_for(lambda: self._error or self._synced == self._written)
            if self._error is not None:
                raise self._error

    def close(self) -> None:
        """End the thread; the file can be closed then."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ended or self._written > self._synced)
                if self._ended:
                    return
                written = self._written
            try:
                self._bring()
            except OSError as error:
                with self._changed:
                    self._error = error
                    self._changed.notify_all()
                return
            with self._changed:
                self._synced = written
                self._changed.notify_all()

    def _bring(self) -> None:
        began = time.perf_counter()
        to_disk(self._descriptor)
        self._quick = time.perf_counter() - began < QUICK_S


def to_disk(descriptor: int) -> None:
    """Wait until what was written to a file is on the disk, with its size. Raises OSError."""
    getattr(os, "fdatasync", os.fsync)(descriptor)  # macOS has no fdatasync
