"""A quick start and a quick end for programs that import much and live for seconds."""

from __future__ import annotations

import atexit
import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def quickly() -> Iterator[None]:
    """Keep the garbage collector away while hundreds of modules are read, and from what they left: then and at the end.

    It finds nothing in them, and takes a seventh of a gate's start and a fifth of a command's whole time.
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
