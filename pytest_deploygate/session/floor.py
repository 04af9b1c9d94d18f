"""Disruptive tests and those marked `alone` (load) run alone, also under pytest-xdist: others wait for them."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator

import pytest

from pytest_deploygate.model import CannotTell
from pytest_deploygate.session.settings import Settings

_FLOOR = pytest.StashKey[int]()


def hold_the_floor(item: pytest.Item, settings: Settings) -> Iterator[None]:
    """Hold the floor while a test runs: alone if it is disruptive or marked `alone`, else shared.

    A test marked `disruptive(otherwise="…")` has a harmless alternative if disruption is not allowed.
    Raises CannotTell for any other disruptive test that was not allowed.
    """
    marker = item.get_closest_marker("disruptive")
    if marker and not settings.allow_disruptive and "otherwise" not in marker.kwargs:
        raise CannotTell(
            "this check is disruptive and was not allowed; "
            f"run it with --allow-disruptive={settings.inventory.name} in a window agreed for it"
        )
    disturbs = marker is not None and settings.allow_disruptive
    alone = disturbs or item.get_closest_marker("alone") is not None
    if not hasattr(item.config, "workerinput"):
        yield  # no other process runs tests of this run
        return
    floor = _opened(item.config, settings)
    fcntl.flock(floor, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
    try:
        yield
    finally:
        fcntl.flock(floor, fcntl.LOCK_UN)


def _opened(config: pytest.Config, settings: Settings) -> int:
    """Return the file that all processes of a run lock, open until this one ends its run."""
    if _FLOOR not in config.stash:
        floor = config.stash[_FLOOR] = os.open(
            settings.out / ".floor", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644
        )
        config.add_cleanup(lambda: os.close(floor))
    return config.stash[_FLOOR]
