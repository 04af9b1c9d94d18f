from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from shared_lab import shared_lab

from pytest_deploygate.lab.state import Lab


@pytest.fixture(scope="package")
def lab(lab_place: Path) -> Iterator[Lab]:
    """A lab that all tests of this folder share."""
    yield from shared_lab(lab_place)
