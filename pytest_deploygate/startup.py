"""Faster start and exit for programs that import a lot and run for seconds."""

from __future__ import annotations

import atexit
import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def quickly() -> Iterator[None]:
    """Pause garbage collection while hundreds of modules are imported, and exclude their objects from it afterwards.

    It finds nothing there, but takes a seventh of a run's start-up and a fifth of a command's total time.
    """
    collecting = gc.isenabled()
    gc.disable()
    atexit.register(gc.freeze)
    try:
        yield
    finally:
        gc.freeze()
        if collecting:
            gc.enable()
