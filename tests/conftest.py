from __future__ import annotations

import fcntl
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest
from lab_watch import watched
from long_ones import mark_long
from places import server_folder

from pytest_deploygate.clients import reach

pytest_plugins = ["pytester", "skipped"]
# No test is timed: on a busy machine an example may take long.
# A machine whose processors are taken by something else is slow, not wrong.
hypothesis.settings.register_profile(
    "deploygate", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("deploygate")
# A run that is terminated (CI's time limit) tears down as with Ctrl-C, or its servers would outlive it.
signal.signal(signal.SIGTERM, signal.default_int_handler)


#: The slowest tests run first under pytest-xdist, or one worker would finish long after the others.
_LONGEST = (
    "tests/faults/test_faults_together.py",
    "tests/faults/test_faults_of_application.py",
    "tests/faults/test_faults_of_monitoring.py",
    "tests/faults/",
    "tests/lab/",
    "tests/session/test_kill_nine.py",
    "tests/checks/load/test_probe_load.py",
    "tests/report/test_signoff_page.py",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what is not tried each time; under pytest-xdist, run the slowest tests first."""
    mark_long(items, config.rootpath)
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _rank(item.nodeid))


def _rank(nodeid: str) -> int:
    return next((rank for rank, those in enumerate(_LONGEST) if nodeid.startswith(those)), len(_LONGEST))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Keep tests with expensive shared fixtures on one worker: all of the lab's own tests, otherwise those of a file.

    Not by `xdist_group`: pytest-xdist 3.8 marks groups in node ids, which pytest 9 no longer lets it change.
    """
    from xdist.scheduler import LoadScopeScheduling  # an extra; only pytest-xdist calls this hook

    class ByLab(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "tests/lab/" if nodeid.startswith("tests/lab/") else nodeid.partition("::")[0]

    return ByLab(config, log)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let a test with the marker `alone` run while the other workers of pytest-xdist wait: it is about what takes time."""
    if not hasattr(item.config, "workerinput"):
        return (yield)
    how = fcntl.LOCK_EX if item.get_closest_marker("alone") else fcntl.LOCK_SH
    # Two files that are there anyway: locks need no file of their own.
    with (item.config.rootpath / "pyproject.toml").open() as door, Path(__file__).open() as room:
        # Who wants to be alone closes the door first, or the others would follow one another for ever.
        fcntl.flock(door, how)
        fcntl.flock(room, how)
        if how == fcntl.LOCK_SH:
            fcntl.flock(door, fcntl.LOCK_UN)
        return (yield)


@pytest.fixture(scope="session")
def lab_place() -> Iterator[Path]:
    """A separate folder for labs: servers run as another user, who must be able to reach it."""
    folder = server_folder("dglab-")
    folder.chmod(0o711)
    with watched(folder):  # an interrupted test leaves its lab behind, and a killed worker all of them
        yield folder


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    """Begin each test like a run: no address is known to be silent."""
    reach.begin()
