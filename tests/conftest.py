from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_deploygate.cli.rehearsal import rehearse
from pytest_deploygate.lab import up
from pytest_deploygate.lab.state import Lab

pytest_plugins = ["pytester"]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep on one worker of pytest-xdist what shares something dear: the tests of the lab, and else those of a file.

    The lab's tests are the longest group, so they come first.
    """
    if not hasattr(config, "workerinput"):
        return
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))
    items.sort(key=lambda item: _group(item) != "lab")


def _group(item: pytest.Item) -> str:
    uses = getattr(item, "fixturenames", ())
    return "lab" if "lab" in uses else "labs-of-their-own" if "lab_place" in uses else item.path.stem


def _silently(_what: str, _seconds: float) -> None:
    """Say nothing of the lab's progress."""


@pytest.fixture(scope="session")
def lab_place() -> Iterator[Path]:
    """A folder of our own for labs: servers run as another user, who must be able to walk to it."""
    folder = Path(tempfile.mkdtemp(prefix="dglab-", dir="/var/tmp"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def lab(lab_place: Path) -> Iterator[Lab]:
    """A lab that all tests of a session share; DEPLOYGATE_LAB names it."""
    before = os.environ.get("DEPLOYGATE_LAB")
    folder = lab_place / "shared"
    os.environ["DEPLOYGATE_LAB"] = str(folder)
    try:
        running, _ = up.up(folder, _silently, lambda _: rehearse(_silently))
        yield running
    finally:
        up.down(folder)
        if before is None:
            del os.environ["DEPLOYGATE_LAB"]
        else:
            os.environ["DEPLOYGATE_LAB"] = before
