from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from places import server_folder

from pytest_deploygate.lab import leftovers

pytest_plugins = ["pytester"]
# A run that is told to end (CI's time limit) tears down as with Ctrl-C: its servers would outlive it.
signal.signal(signal.SIGTERM, signal.default_int_handler)


#: What takes longest, and so comes first under pytest-xdist: else one worker would end long after the others.
_LONGEST = (
    "tests/faults/",
    "tests/lab/",
    "tests/session/test_kill_nine.py",
    "tests/checks/load/test_probe_load.py",
    "tests/report/test_signoff_page.py",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let the longest come first, under pytest-xdist."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: not item.nodeid.startswith(_LONGEST))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Keep on one worker what shares something dear: all the lab's own tests, and else those of a file.

    Not by `xdist_group`: pytest-xdist 3.8 marks groups in node ids, which pytest 9 no longer lets it change.
    """
    from xdist.scheduler import LoadScopeScheduling  # an extra; this hook is called by pytest-xdist itself

    class ByLab(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "tests/lab/" if nodeid.startswith("tests/lab/") else nodeid.partition("::")[0]

    return ByLab(config, log)


@pytest.fixture(scope="session")
def lab_place() -> Iterator[Path]:
    """A folder of our own for labs: servers run as another user, who must be able to walk to it."""
    folder = server_folder("dglab-")
    folder.chmod(0o711)
    yield folder
    leftovers.end_all(folder)  # a test that was interrupted leaves its lab behind
    shutil.rmtree(folder, ignore_errors=True)
