"""The gate and the commands, each run in its own process with modules already loaded.

Starting Python and importing the modules takes more than half the time of a small run, and the tests make hundreds
of runs. So each is a fork of a process that has done nothing but imports. Tests of the start itself use `subprocess`.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pkgutil
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from _pytest.assertion import rewrite

from pytest_deploygate import checks
from pytest_deploygate.session import fixtures

TESTS = Path(__file__).parent

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(
    [
        "pytest",
        "hypothesis",  # its pytest plugin imports it at the end of every run
        "alembic",
        "redis",
        "pytest_deploygate.cli",
        "pytest_deploygate.session.hooks",
        "pytest_deploygate.session.incident_actions",
        "pytest_deploygate.session.sign_off",
        *(
            module.name
            for package in (fixtures, checks)
            for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        ),
        "frozen",
    ]
)


def run(
    module: str,
    arguments: Sequence[object],
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    timeout: float = 120,
) -> subprocess.CompletedProcess[str]:
    """Run the equivalent of `python -m MODULE ARGUMENTS`. `env` is the whole environment; default: that of this process.

    Raises subprocess.TimeoutExpired, after killing the process, if it does not exit in time.
    """
    command = [module, *map(str, arguments)]
    with tempfile.TemporaryDirectory(prefix="run-") as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        out.touch()
        err.touch()
        given = dict(os.environ if env is None else env)
        process = _forks.Process(target=_run, args=(command, cwd, given, out, err))
        with _tests_on_the_path():
            process.start()
        try:
            process.join(timeout)
        finally:  # also when the tests are ended by a signal: Python waits for such processes at its end
            late = process.exitcode is None
            if late:
                process.kill()
                process.join()
        if late:
            raise subprocess.TimeoutExpired(command, timeout, out.read_text(), err.read_text())
        return subprocess.CompletedProcess(command, process.exitcode, out.read_text(), err.read_text())


@contextlib.contextmanager
def _tests_on_the_path() -> Iterator[None]:
    """Make `frozen` importable in the fork server, which the first run starts: Python 3.11 does not pass on sys.path."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(TESTS), *([before] if before else [])])
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def _run(command: list[str], cwd: Path, env: dict[str, str], out: Path, err: Path) -> None:
    for descriptor, file in ((1, out), (2, err)):
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = command
    # A user's run does not have the folders that pytest added for these tests.
    sys.path[:] = [
        str(cwd),
        *(place for place in sys.path if place and TESTS not in (Path(place), *Path(place).parents)),
    ]
    # pytest rewrites the asserts of plugins, and warns about plugins that were imported before.
    rewrite.AssertionRewritingHook._warn_already_imported = lambda *_: None  # type: ignore[method-assign]
    runpy.run_module(command[0], run_name="__main__", alter_sys=True)
