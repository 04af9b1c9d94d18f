"""A lab ends with the process that tests, also where nothing could tear it down."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

TESTS = """
import sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from lab_watch import watched
with watched(Path({folder!r})):
    print("watched", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("killed", [signal.SIGKILL, signal.SIGTERM])
def test_a_lab_ends_with_a_killed_worker(tmp_path, killed):
    folder = tmp_path / "lab"
    folder.mkdir()
    # The lab's servers are found by their names.
    server = folder / "postgres"
    shutil.copy(shutil.which("sleep"), server)
    code = TESTS.format(tests=str(Path(__file__).parent), folder=str(folder))
    with (
        subprocess.Popen((server, "60"), cwd=folder, start_new_session=True) as running,
        subprocess.Popen((sys.executable, "-c", code), stdout=subprocess.PIPE, text=True) as worker,
    ):
        assert worker.stdout.readline() == "watched\n"
        assert running.poll() is None
        worker.send_signal(killed)
        worker.wait(20)
        running.wait(30)
    for _ in range(200):
        if not folder.exists():
            break
        time.sleep(0.05)
    assert not folder.exists()
