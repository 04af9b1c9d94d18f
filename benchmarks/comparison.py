"""How fast two databases are compared: `python benchmarks/comparison.py [ROWS] [--rounds N] [--reladiff PROGRAM] [--majors 13 18]`.

Creates two scratch servers with ROWS rows each (default 1,000,000), and runs in turns, several rounds in one run:

- limit: `bit_xor(hashtextextended(ROW(…)::text, 0))` over the whole table, on both sides at once. No comparison that
  hashes all values can be faster;
- equal: `deploygate compare` of equal tables;
- seven: the same with seven differences: lost, extra and changed row, NULL for an empty text, a shifted time, -0 for 0, and
  a text with another normal form;
- reladiff (with `--reladiff`, the path of its program): the same seven, with two threads.

Prints the median of the wall clock, the processor seconds of both servers and of the client, the peak memory of the client,
and what was found. It needs a machine that does nothing else; 5,000,000 rows need 2 GB in /dev/shm or /var/tmp, 50,000,000 need 20 GB.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import psutil

_ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(_ROOT / "tests"))
from two_servers import Server

_TABLE = """
CREATE SCHEMA app;
CREATE TABLE app.readings (id bigint PRIMARY KEY, sensor int NOT NULL, at timestamptz NOT NULL, value double precision, state text,
  amount numeric(12,2), note text);
INSERT INTO app.readings SELECT n, n % 1000, '2026-01-01Z'::timestamptz + n * interval '1 second', n * 7919 % 1000003 / 97.0,
  (ARRAY['ok', 'warn', 'stop'])[1 + n % 3], n % 100000 / 100.0, CASE n % 5 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE 'café ' || n END
  FROM generate_series(1, {rows}::bigint) n;
UPDATE app.readings SET value = 0 WHERE id = {rows} / 2;
"""
_SEVEN = """
DELETE FROM app.readings WHERE id = {rows} / 7; INSERT INTO app.readings (id, sensor, at) VALUES ({rows} + 100, 1, '2026-01-01Z');
UPDATE app.readings SET amount = amount + 0.01 WHERE id = {rows} / 6; UPDATE app.readings SET note = '' WHERE id = {rows} / 50 * 5;
UPDATE app.readings SET at = at + interval '1 hour' WHERE id = {rows} / 4; UPDATE app.readings SET value = '-0' WHERE id = {rows} / 2;
UPDATE app.readings SET note = 'cafe\u0301 ' || id WHERE id = {rows} / 50 * 5 + 2
"""
_LIMIT = """
SET jit = off; SET max_parallel_workers_per_gather = 0; SET timezone = 'UTC';
SELECT bit_xor(hashtextextended(ROW(id, sensor, at, value, state, amount, note)::text, 0)) FROM app.readings
"""
#: PostgreSQL 13 has no bit_xor.
_LIMIT_OLD = _LIMIT.replace("bit_xor", "sum")
_INVENTORY = """
name: bench
database: {{name: plant, user: postgres, sslmode: disable, primary: {{name: new, host: 127.0.0.1, port: {new}}}}}
migration:
  source: {{name: plant, user: postgres, sslmode: disable, primary: {{name: old, host: 127.0.0.1, port: {old}}}}}
  tables: [{{source: app.*}}]
  folder: {folder}
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("rows", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--reladiff", metavar="PROGRAM")
    parser.add_argument("--majors", nargs=2, type=int, default=(13, 18))
    given = parser.parse_args()
    servers = [Server(name, major) for name, major in zip(("old", "new"), given.majors, strict=True)]
    try:
        for server in servers:
            server.start()
            for statement in _TABLE.format(rows=given.rows).split(";"):
                server.sql(statement)
            server.sql("VACUUM ANALYZE app.readings")
        _measure(servers, given)
    finally:
        for server in servers:
            server.stop()


def _measure(servers: list[Server], given: argparse.Namespace) -> None:
    found: dict[str, list[tuple[float, float, float, float, str]]] = defaultdict(list)
    ways: dict[str, Callable[[], tuple[float, str]]] = {
        "limit": lambda: _limit(servers),
        "equal": lambda: _ours(servers),
    }
    seven: dict[str, Callable[[], tuple[float, str]]] = {"seven": lambda: _ours(servers)}
    if given.reladiff:
        seven["reladiff"] = lambda: _reladiff(servers, given.reladiff)
    _limit(servers)  # the first one reads from the disk
    for _ in range(given.rounds):
        _rounds(ways, servers, found)
    for statement in _SEVEN.format(rows=given.rows).split(";"):
        servers[1].sql(statement)
    servers[1].sql("ANALYZE app.readings")
    for _ in range(given.rounds):
        _rounds({"limit": ways["limit"], **seven}, servers, found)
    limit = statistics.median(one[0] for one in found["limit"])
    print(
        f"{given.rows} rows, PostgreSQL {given.majors[0]} and {given.majors[1]}, medians of {given.rounds} rounds"
    )
    print(f"{'':10} {'wall s':>8} {'of limit':>9} {'servers s':>10} {'client s':>9} {'client MB':>10}  found")
    for way, runs in found.items():
        wall, cpu, own, peak = (statistics.median(run[n] for run in runs) for n in range(4))
        print(
            f"{way:10} {wall:8.2f} {wall / limit:9.2f} {cpu:10.2f} {own:9.2f} {peak:10.0f}  {runs[-1][4]}",
        )


def _rounds(
    ways: dict[str, Callable[[], tuple[float, str]]],
    servers: list[Server],
    found: dict[str, list[tuple[float, float, float, float, str]]],
) -> None:
    for way, run in ways.items():
        before, own, began = _cpu_s(servers), _own_cpu_s(), time.monotonic()
        peak, said = run()
        wall = time.monotonic() - began
        time.sleep(0.2)  # sessions that have ended are counted with the postmaster
        spent = (wall, _cpu_s(servers) - before, _own_cpu_s() - own, peak, said)
        print(way, *spent, file=sys.stderr, flush=True)
        found[way].append(spent)


def _own_cpu_s() -> float:
    """Return the processor seconds of all clients that have ended."""
    used = os.times()
    return used.children_user + used.children_system


def _cpu_s(servers: list[Server]) -> float:
    """Return the processor seconds of all sessions that have ended."""
    total = 0.0
    for server in servers:
        pid = int((server.folder / "data" / "postmaster.pid").read_text().split()[0])
        times = psutil.Process(pid).cpu_times()
        total += times.children_user + times.children_system
    return total


def _limit(servers: list[Server]) -> tuple[float, str]:
    threads = []
    for server in servers:
        old = server.sql("SHOW server_version_num")[0][0] < "140000"
        threads.append(threading.Thread(target=server.sql, args=(_LIMIT_OLD if old else _LIMIT,)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 0.0, ""


def _ours(servers: list[Server]) -> tuple[float, str]:
    with tempfile.TemporaryDirectory() as folder:
        inventory = Path(folder, "bench.yml")
        ports = {"old": servers[0].port, "new": servers[1].port}
        inventory.write_text(_INVENTORY.format(folder=Path(folder, "out"), **ports))
        words = [
            sys.executable,
            "-m",
            "pytest_deploygate",
            "compare",
            "--inventory",
            str(inventory),
            "--json",
        ]
        peak, out = _run(words, folder)
    found = json.loads(out)
    return peak, f"{found['verdict']}, {found['differences']} rows"


def _reladiff(servers: list[Server], program: str) -> tuple[float, str]:
    sides = [w for s in servers for w in (f"postgresql://postgres@127.0.0.1:{s.port}/plant", "app.readings")]
    columns = [w for name in ("sensor", "at", "value", "state", "amount", "note") for w in ("-c", name)]
    peak, out = _run([program, *sides, "-k", "id", *columns, "-j", "2", "--json", "--skip-sort-results"], "/")
    keys = {json.loads(line)[1][0] for line in out.splitlines() if line.startswith("[")}
    return peak, f"{len(keys)} rows"


def _run(words: list[str], folder: str) -> tuple[float, str]:
    """Run a client; return its peak memory in MB (VmHWM) and its output."""
    with tempfile.TemporaryFile("w+") as out:  # reladiff breaks lines at the width of a terminal
        client = subprocess.Popen(
            words, stdout=out, stderr=sys.stderr, cwd=folder, env={**os.environ, "COLUMNS": "10000"}
        )
        peak = 0.0
        while client.poll() is None:
            try:
                status = Path(f"/proc/{client.pid}/status").read_text()
            except OSError:
                break
            lines = [line for line in status.splitlines() if line.startswith("VmHWM")]
            peak = max([peak, *(float(line.split()[1]) / 1024 for line in lines)])
            time.sleep(0.02)
        client.wait()
        out.seek(0)
        return peak, out.read()


if __name__ == "__main__":
    main()
