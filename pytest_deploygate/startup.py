"""Faster start and exit for programs that import a lot and run for seconds."""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib.util
import sys
import warnings
from collections.abc import Iterator

#: New objects that start a collection of the youngest ones; Python's default is 700.
_OBJECTS = 20_000


@contextlib.contextmanager
def quickly() -> Iterator[None]:
    """Import hundreds of modules without garbage collection and without pytest's rewriting of assertions.

    Collections find nothing there, but take a seventh of a run's start-up and a fifth of a command's total time; what
    was imported is excluded from later ones. Our modules have no assertions to rewrite, while pytest's import hook
    looks for the file of each of them a second time.
    """
    collecting = gc.isenabled()
    gc.disable()
    atexit.register(gc.freeze)
    finders = list(sys.meta_path)
    sys.meta_path[:] = [finder for finder in finders if not _rewrites(finder)]
    try:
        yield
    finally:
        sys.meta_path[:] = finders + [finder for finder in sys.meta_path if finder not in finders]
        gc.freeze()
        if collecting:
            gc.enable()


def keep() -> None:
    """Exclude what was collected from garbage collection, and collect less often for the rest of the run.

    The tests of a run, their reports and findings live until its end. Collections of all objects, each time their
    number grows by a quarter, find none of them, but take a tenth of a run with thousands of findings.
    """
    gc.freeze()
    gc.set_threshold(_OBJECTS, *gc.get_threshold()[1:])


def leave() -> None:
    """Spare the end of a run from looking at all that it kept: pytest collects garbage twice there, to warn about it.

    What tests left behind lately is collected here; what has survived several collections is left to the end of the process.
    """
    gc.collect(1)
    gc.freeze()


def let_go() -> None:
    """Close what a test held that was ended in the middle, without a warning: the ending may strike before a `with`.

    Python warns about each socket that is left, and where warnings are errors pytest would end with 1 for it, whatever was
    decided.
    """
    for name in ("last_exc", "last_type", "last_value", "last_traceback"):
        if hasattr(sys, name):
            delattr(sys, name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def first() -> list[str]:
    """Return the arguments with which pytest loads our plugin before all others, where the order of the others matters.

    pytest-ansible and the plugin of testinfra both have the option `--ansible-inventory`. pytest loads them in the order
    of a folder, and ends at the second one. Ours keeps them apart if it is loaded before that.
    """
    both = all(importlib.util.find_spec(name) for name in ("pytest_ansible", "testinfra"))
    return ["-p", "deploygate"] if both else []


def _rewrites(finder: object) -> bool:
    return type(finder).__module__.startswith("_pytest.")
