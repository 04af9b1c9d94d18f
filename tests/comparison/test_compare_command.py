"""`deploygate compare` as it is typed, on two real servers: exit codes, options, kills, and what a terminal shows."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import forked
import pytest

ROWS = 4000
DATA = f"""
DROP SCHEMA IF EXISTS shop CASCADE; CREATE SCHEMA shop;
CREATE TABLE shop.orders (id int PRIMARY KEY, note text, amount numeric(12,2));
INSERT INTO shop.orders SELECT n, nullif('note ' || n % 3, 'note 2'), n / 4.0 FROM generate_series(1, {ROWS}) n;
CREATE TABLE shop.people (code text PRIMARY KEY, mail text);
INSERT INTO shop.people SELECT 'k' || md5(n::text), 'n' || n FROM generate_series(1, 500) n;
CREATE TABLE shop.events (what text); INSERT INTO shop.events SELECT 'e' || n % 7 FROM generate_series(1, 700) n; ANALYZE
"""
MORE = f"""
INSERT INTO shop.orders SELECT n, nullif('note ' || n % 3, 'note 2'), n / 4.0 FROM generate_series({ROWS + 1}, {{rows}}) n; ANALYZE
"""
CHANGES = """
UPDATE shop.orders SET note = '' WHERE id % 400 = 2; DELETE FROM shop.people WHERE mail = 'n17'; INSERT INTO shop.events VALUES ('e1')
"""
INVENTORY = """
name: moved
database: {{name: plant, user: postgres, sslmode: disable, primary: {{name: new, host: 127.0.0.1, port: {target}}}}}
migration:
  source: {{name: plant, user: postgres, sslmode: disable, primary: {{name: old, host: 127.0.0.1, port: {source}}}}}
  tables: [{{source: shop.*}}]
  budget: {{rest: {rest}}}
  folder: {folder}
"""

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def moved(servers, tmp_path):
    """Both servers with the same rows, and an inventory of them."""
    for server in servers:
        server.sql(DATA)
    write_inventory(servers, tmp_path)
    yield servers
    for server in servers:
        server.sql("DROP SCHEMA IF EXISTS shop CASCADE")


def write_inventory(servers, folder: Path, rest: float = 0.0, port: int | None = None) -> None:
    text = INVENTORY.format(
        source=port or servers[0].port, target=servers[1].port, folder=folder / "records", rest=rest
    )
    (folder / "moved.yml").write_text(text)


@pytest.fixture
def compare(moved, tmp_path) -> Command:
    def run(*words: str) -> tuple[int, str, str]:
        done = forked.run(
            "pytest_deploygate", ["compare", "--inventory", tmp_path / "moved.yml", *words], cwd=tmp_path,
            env={**os.environ, "NO_COLOR": "1", "COLUMNS": "120"},
        )  # fmt: skip
        assert "Traceback" not in done.stdout + done.stderr
        return done.returncode, done.stdout, done.stderr

    return run


def test_equal_different_and_not_known(moved, compare, tmp_path):
    code, out, err = compare()
    assert (code, "5200 rows of 3 tables are equal" in out) == (0, True), out + err
    assert "comparing 3 tables, about " in err
    assert f"shop.orders: {ROWS} rows equal" in err
    moved[1].sql(CHANGES)
    code, out, err = compare()
    assert (code, "shop.orders: 10 of 4000 rows differ" in out) == (1, True)
    assert "shop.people: 1 rows differ" in err
    write_inventory(moved, tmp_path, port=1)
    code, out, err = compare()
    assert (code, out) == (21, "")
    assert err.startswith("Error: ")


def test_some_tables_as_json(moved, compare):
    moved[1].sql(CHANGES)
    code, out, err = compare("--tables", "shop.people", "--tables", "orders", "--json")
    said = json.loads(out)
    assert (code, err) == (1, "")
    assert {table["source"]: table["differences"] for table in said["tables"]} == {
        "shop.orders": 10,
        "shop.people": 1,
    }
    assert (said["verdict"], said["file"], said["certain"]) == ("fail", "differences.csv", True)
    code, out, _ = compare("--tables", "shop.order", "--json")
    assert code == 21
    assert "the source has no table shop.order; did you mean 'shop.orders'?" in json.loads(out)["reason"]


def test_shards_and_their_merge(moved, compare, tmp_path):
    moved[1].sql(CHANGES)
    assert compare()[0] == 1
    for number in (1, 2):
        code, *_ = compare("--shard", f"{number}/2", "--folder", str(tmp_path / f"shard{number}"), "--json")
        assert code in (0, 1)
    one, two = (str(tmp_path / f"shard{number}") for number in (1, 2))
    merged = tmp_path / "merged"
    code, out, _ = compare("--merge", one, "--merge", two, "--folder", str(merged), "--json")
    assert (code, json.loads(out)["differences"]) == (1, 12)
    assert (merged / "differences.csv").read_bytes() == (
        tmp_path / "records" / "differences.csv"
    ).read_bytes()
    compare("--shard", "1/3", "--folder", str(tmp_path / "foreign"), "--json")

    def refused(*words: str) -> str:
        code, out, err = compare(*words)
        assert (code, out) == (4, "")
        return " ".join(err.split())

    assert "shard 2 of 2 is missing: compare it, and name its folder" in refused("--merge", one)
    assert "is given more than once" in refused("--merge", one, "--merge", one, "--merge", two)
    assert "is one of 3 shards" in refused(
        "--merge", one, "--merge", two, "--merge", str(tmp_path / "foreign")
    )
    assert "'3/2' is not I/N with I from 1 to N" in refused("--shard", "3/2")
    assert "--merge goes with none of --tables, --shard and --resume" in refused("--merge", one, "--resume")


def kill_and_resume(moved, compare: Command, tmp_path: Path, kills: int) -> None:
    """Kill it each time that its journal has grown; there are more ranges than kills."""
    for server in moved:
        server.sql(MORE.format(rows=ROWS + 2000 * 2 * kills))
    moved[1].sql(CHANGES)
    assert compare("--folder", str(tmp_path / "whole"))[0] == 1
    write_inventory(moved, tmp_path, rest=0.95)
    journal = tmp_path / "killed" / "comparison.jsonl"
    command = [sys.executable, "-m", "pytest_deploygate", "compare", "--inventory", str(tmp_path / "moved.yml"),
               "--folder", str(tmp_path / "killed"), "--resume", "--json"]  # fmt: skip

    def size() -> int:
        return journal.stat().st_size if journal.exists() else 0

    killed = 0
    for _ in range(kills):
        before = size()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=tmp_path) as running:
            while running.poll() is None and size() <= before:
                time.sleep(0.002)
            if running.poll() is None:
                os.kill(running.pid, signal.SIGKILL)
                killed += 1
    assert killed == kills
    code, out, _ = compare("--folder", str(tmp_path / "killed"), "--resume", "--json")
    assert (code, json.loads(out)["resumed"]) == (1, True)
    for name in ("differences.csv", "result.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_killed_and_resumed(moved, compare, tmp_path):
    kill_and_resume(moved, compare, tmp_path, 2)


@pytest.mark.long
def test_killed_and_resumed_many_times(moved, compare, tmp_path):
    kill_and_resume(moved, compare, tmp_path, 20)


def test_a_terminal_shows_a_bar(moved, tmp_path):
    write_inventory(moved, tmp_path, rest=0.5)
    screen, terminal = pty.openpty()
    command = [
        sys.executable,
        "-m",
        "pytest_deploygate",
        "compare",
        "--inventory",
        str(tmp_path / "moved.yml"),
    ]
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "160"}
    for name in ("NO_COLOR", "CI"):
        env.pop(name, None)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=terminal, env=env, cwd=tmp_path) as running:
        os.close(terminal)
        shown = b""
        try:
            while block := os.read(screen, 4096):
                shown += block
        except OSError:  # Linux says EIO where the other end was closed
            pass
        out = running.stdout.read().decode()
    os.close(screen)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert running.returncode == 0
    assert "comparing" in text
    assert re.search(r"\d+ rows, \d+/s, \d of 3 tables", text)
    assert "3 tables, about" not in text  # no lines beside the bar
    assert "\x1b" not in out
