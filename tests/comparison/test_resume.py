"""A comparison that is killed goes on from its journal, and gives the same files as one that was not."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_deploygate.comparison import engine, journal
from pytest_deploygate.comparison.differences import NAME
from pytest_deploygate.comparison.spec import Budget, Shard

CHANGES = """
UPDATE app.everything SET v = 'other' WHERE id % 97 = 0; DELETE FROM app.by_text WHERE v % 1000 = 7;
INSERT INTO app.no_key VALUES ('new', 1); UPDATE app.by_two SET v = 0 WHERE site = 2 AND v % 500 = 2
"""


def files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in (NAME, engine.RESULT)}


def lines(folder: Path) -> int:
    try:
        return (folder / journal.NAME).read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


def test_twenty_kills_give_the_same_files_byte_for_byte(both, sides, tables, tmp_path):
    both[1].sql(CHANGES)
    wanted = tables()
    whole = tmp_path / "whole"
    engine.compare(wanted, *sides, whole)
    steps = lines(whole)
    killed = tmp_path / "killed"
    fork = multiprocessing.get_context("fork")
    seen = set()
    for number in range(20):
        child = fork.Process(
            target=engine.compare,
            args=(wanted, *sides, killed),
            kwargs={"resume": True, "budget": Budget(rest=0.5)},
        )
        child.start()
        until = lines(killed) + 1 + number % 3
        deadline = time.monotonic() + 30
        while child.is_alive() and lines(killed) < min(until, steps - 1) and time.monotonic() < deadline:
            time.sleep(0.002)
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        seen.add(lines(killed))
        with (killed / journal.NAME).open("ab") as half:  # a line that was not written to its end
            half.write(b'{"side":"source","tab')
    outcome = engine.compare(wanted, *sides, killed, resume=True)
    assert outcome.resumed
    assert len(seen) > 10
    assert files(killed) == files(whole)
    assert not list((killed / "differences").iterdir())


def test_what_was_read_is_not_read_again(both, sides, tables, tmp_path):
    both[1].sql(CHANGES)
    engine.compare(tables(), *sides, tmp_path)
    before, size = files(tmp_path), (tmp_path / journal.NAME).stat().st_size
    again = engine.compare(tables(), *sides, tmp_path, resume=True)
    assert again.resumed
    assert (tmp_path / journal.NAME).stat().st_size == size
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("ALTER TABLE app.by_two ALTER v TYPE numeric(9, 2)", "table app.by_two changed"),
        ("ALTER TABLE app.empty ADD COLUMN more int", "table app.empty changed"),
        ("ALTER TABLE app.by_text DROP CONSTRAINT by_text_pkey", "table app.by_text changed"),
    ],
)
def test_a_changed_schema_is_no_resumption(both, sides, tables, tmp_path, change, named):
    engine.compare(tables("by_two", "empty", "by_text"), *sides, tmp_path)
    for server in both:
        server.sql(change)
    with pytest.raises(engine.CannotResume, match=named):
        engine.compare(tables("by_two", "empty", "by_text"), *sides, tmp_path, resume=True)


def test_another_shard_or_server_is_no_resumption(both, sides, tables, tmp_path):
    engine.compare(tables("by_two"), *sides, tmp_path)
    with pytest.raises(engine.CannotResume, match="of shard 1/1, not of 2/3"):
        engine.compare(tables("by_two"), *sides, tmp_path, resume=True, shard=Shard(2, 3))
    with pytest.raises(engine.CannotResume, match="the source, the target changed"):
        engine.compare(tables("by_two"), *reversed(sides), tmp_path, resume=True)


MEMORY = """
import sys
from pathlib import Path
from pytest_deploygate.comparison import engine, matching
from pytest_deploygate.comparison.sides import PostgresServer
from pytest_deploygate.comparison.spec import Budget, Wanted
from pytest_deploygate.fields.postgres import ConnectionSettings
def settings(port):
    return ConnectionSettings.model_validate({"name": "plant", "user": "postgres", "sslmode": "disable",
        "primary": {"name": port, "host": "127.0.0.1", "port": int(port)}})
source, target = (PostgresServer(settings(p), s, 60.0) for p, s in zip(sys.argv[1:3], ("source", "target")))
name = ("app", "wide")
table = matching.matched(Wanted(name, name), source.catalog().tables[name], target.catalog().tables[name])
outcome = engine.compare([table], source, target, Path(sys.argv[3]), budget=Budget(most_written=10_000))
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]
print(outcome.differences, outcome.written, outcome.cut, peak)
"""


def test_memory_stays_small_when_every_row_differs(both, tmp_path):
    for side, value in zip(both, ("a", "b"), strict=True):
        side.sql(
            "CREATE TABLE app.wide (id bigint PRIMARY KEY, v text, w text);"
            f"INSERT INTO app.wide SELECT n, repeat('{value}', 3000), '{value}' || n FROM generate_series(1, 15000) n; ANALYZE app.wide"
        )
    argv = [sys.executable, "-c", MEMORY, *(str(s.port) for s in both), str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120)
    differences, written, cut, peak_kb = done.stdout.split()
    assert (differences, written, cut) == ("15000", "10000", "True")
    assert int(peak_kb) < 64 * 1024
    result = json.loads((tmp_path / engine.RESULT).read_text())
    assert (result["differences"], result["cut"]) == (15000, True)
