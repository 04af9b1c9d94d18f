"""A stop ends what runs in the lab within a second, and what it began is gone: load, restore, writes, pressure, a corpus."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_deploygate.lab import sql
from pytest_deploygate.lab.state import Lab
from pytest_deploygate.session import shipped

ROOT = Path(__file__).parents[2]
#: In place of seconds: once the restored server runs. How long copying takes depends on the machine.
RECOVERS = -1.0
#: Item, probe, seconds after its beginning.
RUNNING = [
    pytest.param("crit.p50", "load", 1.5, id="load"),
    pytest.param("db.restore", "restore", 0.5, id="restore-copies"),
    pytest.param("db.restore", "restore", RECOVERS, id="restore-recovers"),
    pytest.param("phase2.replication", "write load", 0.3, id="writes"),
    pytest.param("db.pooling", "pressure", 0.2, id="pressure"),
    pytest.param("guard.migration-lint", "rehearsal", 1.0, id="rehearsal"),
]
if (shipped.checklist().parent / "test_waf.py").is_file():
    RUNNING.append(pytest.param("sec.waf", "corpus", 0.05, id="corpus"))


def start(item: str, out: Path) -> subprocess.Popen[str]:
    words = ["--inventory", "lab", "--items", item, f"--deploygate-out={out}", "-p", "no:cacheprovider"]
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", *words],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
    )


def wait_for(probe: str, out: Path, process: subprocess.Popen[str]) -> None:
    ends = time.monotonic() + 120
    while time.monotonic() < ends and process.poll() is None:
        lines = [
            json.loads(line) for file in out.glob(".spent-*.jsonl") for line in file.read_text().splitlines()
        ]
        if any(line["what"] == "begin" and line["probe"] == probe for line in lines):
            return
        time.sleep(0.02)
    pytest.fail(
        f"{probe} did not begin: {process.communicate()[0] if process.poll() is not None else 'too late'}"
    )


def wait_for_server(lab: Lab, process: subprocess.Popen[str]) -> None:
    ends = time.monotonic() + 120
    while time.monotonic() < ends and process.poll() is None:
        if any(name.isdigit() for name in ours(lab)):
            return
        time.sleep(0.02)
    pytest.fail("no server of a restore was seen")


def ours(lab: Lab) -> list[str]:
    """Folders and processes of restores, and sessions and rows of write loads and pressure."""
    found = [str(path) for path in (lab.private / "scratch").glob("dgr-*")]
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with_scratch = str(lab.private / "scratch").encode()
        try:
            if with_scratch + b"/dgr-" in entry.read_bytes():
                found.append(entry.parent.name)
        except OSError:
            continue
    table = "deploygate.deploygate_replication"  # the first write load makes it
    there = sql.value(lab, f"SELECT to_regclass('{table}') IS NOT NULL")
    rows = sql.execute(lab, f"SELECT count(*) FROM {table}") if there else [(0,)]
    busy = sql.execute(
        lab,
        "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'deploygate%' AND state = 'active' AND pid <> pg_backend_pid()",
    )
    return [*found, *(["rows"] if rows[0][0] else []), *(["sessions"] if busy[0][0] else [])]


@pytest.mark.parametrize(("item", "probe", "after_s"), RUNNING)
def test_a_stop_ends_it_within_a_second(
    lab: Lab, tmp_path: Path, item: str, probe: str, after_s: float
) -> None:
    out = tmp_path / "out"
    with start(item, out) as process:
        try:
            wait_for(probe, out, process)
            if after_s == RECOVERS:
                wait_for_server(lab, process)
            else:
                time.sleep(after_s)
            if item == "crit.p50":
                os.kill(process.pid, signal.SIGUSR1)
            else:
                (out / "STOP").write_text("the platform lead\n")
            text, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    lines = [json.loads(line) for line in (out / "journal.jsonl").read_text().splitlines()]
    entry = next(
        e for line in lines if line["kind"] == "spent" for e in line["entries"] if e["probe"] == probe
    )
    assert entry["ended"][-1] == "stopped", text
    assert entry["stop_s"] <= 1.0
    assert entry["left"] == []
    verdicts = json.loads((out / "verdicts.json").read_text())["items"]
    verdict = next(v for v in verdicts if v["id"] == item)
    assert verdict["verdict"] == "inconclusive"
    assert "stopped by the stop file" in verdict["reason"]
    ends = time.monotonic() + 5  # a server notices a closed connection at its next statement
    while (left := ours(lab)) and time.monotonic() < ends:
        time.sleep(0.1)
    assert left == []
