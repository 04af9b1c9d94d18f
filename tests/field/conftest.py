"""The real server that most of these modules need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from places import server_folder
from scratch_cluster import Scratch


@pytest.fixture(scope="module")
def server() -> Iterator[Scratch]:
    """A primary alone, as `Scratch.create` makes it. A module that needs other settings or roles has a fixture of this name."""
    made = Scratch(server_folder("dgf-"))
    try:
        made.replica = lambda *_: None  # type: ignore[method-assign]
        made.create()
        yield made
    finally:
        made.destroy()
