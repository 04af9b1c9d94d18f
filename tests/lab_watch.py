"""Ends the labs of tests that were killed: `python tests/lab_watch.py FOLDER`, with a pipe of the tests' process as input."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def watched(folder: Path) -> Iterator[None]:
    """End what runs in a folder and remove it, as soon as this process is gone: a worker of pytest-xdist tears nothing down."""
    watch = subprocess.Popen(
        (sys.executable, __file__, str(folder)), stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        yield
    finally:
        watch.communicate(timeout=60)


def main(folder: Path) -> None:
    """Wait until the tests' process has ended, in whatever way."""
    sys.stdin.buffer.read()
    from pytest_deploygate.lab import leftovers

    leftovers.end_all(folder)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
