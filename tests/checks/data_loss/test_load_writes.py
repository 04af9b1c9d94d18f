"""`deploygate load --writes` on a real cluster: its account, its memory, a stop, and an account after `kill -9`."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from pytest_deploygate.checks.data_loss.facts import Steadily
from pytest_deploygate.cli import main
from pytest_deploygate.cli.show.writes import limit
from pytest_deploygate.clients.writers import ledger_file
from pytest_deploygate.clients.writers.ledger_file import About, LedgerFile
from pytest_deploygate.judging.histories.checking import checked
from pytest_deploygate.judging.histories.history import Kind, Outcome
from pytest_deploygate.model import CannotTell

ABOUT = About("deploygate", "deploygate_writes_x", 4, "pgbouncer", "2026-11-30T01:00:00+00:00", "here")


def inventory(folder: Path, nodes, **data_loss) -> None:
    (folder / "pytest.ini").write_text("[pytest]\n")
    where = {name: {"name": name, "host": "127.0.0.1", "port": port} for name, port in nodes.ports.items()}
    (folder / "here.yml").write_text(
        json.dumps(
            {
                "name": "here",
                "database": {
                    "name": "postgres",
                    "user": "gate",
                    "sslmode": "disable",
                    "primary": where["db1"],
                    "replicas": [where["db2"], where["db3"]],
                    "data_loss": {"allow": "here", "load": {"writers": 3, "duration": "60s"}} | data_loss,
                },
                "writes": {"schema": "deploygate"},
            }
        )
    )


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pytest_deploygate", "load", "--inventory", "here.yml", *words]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(folder: Path, *words: str) -> tuple[int, str, str]:
    with start(folder, *words) as process:
        out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def writing_began(folder: Path, process: subprocess.Popen[str]) -> Path:
    """Wait until each writer and the reader have had answers; return the ledger."""
    ends = time.monotonic() + 60
    while True:
        for file in folder.glob("deploygate-out/local/writes-*.ledger"):
            with contextlib.suppress(CannotTell):  # its first line is not there yet
                ledger_file.about(file)
                seen = [(client, kind) for client, _, _, kind, *_ in ledger_file.rows(file)]
                if len(set(seen)) == 4 and len(seen) > 50:
                    return file
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < ends
        time.sleep(0.05)


def tables(nodes):
    return nodes.sql("db1", "SELECT tablename FROM pg_tables WHERE tablename LIKE 'deploygate_writes_%'")


def test_it_writes_and_finds_every_acknowledged_row(tmp_path, nodes):
    inventory(tmp_path, nodes)
    code, out, err = run(tmp_path, "--writes", "--duration", "1s", "--json")
    assert code == 0, out + err
    told = json.loads(out)
    seen = told["written"]["anomalies"]
    assert seen["acknowledged"] > 0
    assert told["written"]["steadily"]["ended"]
    assert seen["indeterminate"] < 3  # none for each of its writers that was merely not asked again
    assert [place["name"] for place in told["written"]["nodes"]] == ["db1", "db2", "db3"]
    assert all(place["presence"]["lost"]["count"] == 0 for place in told["written"]["nodes"])
    assert sum(told["written"]["steadily"]["acknowledged_per_100ms"]) == seen["acknowledged"]
    assert "acknowledged writes a second" in told["limit"]
    assert told["left_behind"] == []
    assert tables(nodes) == []
    assert json.loads(Path(tmp_path / told["ledger"]).with_suffix(".json").read_text()) == told


def test_after_kill_9_the_ledger_can_be_accounted_for(tmp_path, nodes):
    inventory(tmp_path, nodes)
    with start(tmp_path, "--writes") as process:
        file = writing_began(tmp_path, process)
        process.send_signal(signal.SIGKILL)
    assert len(tables(nodes)) == 1
    code, out, err = run(tmp_path, "--writes", "--account", str(file))
    assert code == 0, out + err
    assert "pass: all " in out
    assert tables(nodes) == []
    code, out, err = run(tmp_path, "--writes", "--account", str(file))
    assert code == 1
    assert "it was accounted for before, or the whole table is lost" in err


def test_a_row_that_is_lost_is_found_and_its_table_is_kept(tmp_path, nodes):
    inventory(tmp_path, nodes)
    with start(tmp_path, "--writes") as process:
        file = writing_began(tmp_path, process)
        process.send_signal(signal.SIGKILL)
    table = f"deploygate.{tables(nodes)[0][0]}"
    nodes.sql("db1", f"DELETE FROM {table} WHERE id = 1")
    nodes.sql("db1", f"INSERT INTO {table} VALUES (9000001)")
    try:
        code, out, _ = run(tmp_path, "--writes", "--account", str(file))
    finally:
        nodes.sql("db1", f"DROP TABLE {table}")
    assert code == 1
    assert "db1, db2 and db3 lack 1 of" in out
    assert "(ids 1)" in out
    assert "that no writer wrote, or that were refused (ids 9000001)" in out
    assert table in out


def test_the_stop_file_ends_it_and_says_how_to_account(tmp_path, nodes):
    inventory(tmp_path, nodes)
    with start(tmp_path, "--writes") as process:
        file = writing_began(tmp_path, process)
        (file.parent / "STOP").touch()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 21
    assert "nothing was compared" in err
    assert f"--account {file}" in err
    (file.parent / "STOP").unlink()
    code, out, err = run(tmp_path, "--writes", "--account", str(file))
    assert code == 0, out + err


@pytest.mark.parametrize(
    ("section", "words", "said"),
    [
        ({"allow": "other"}, ("--writes",), "`allow` is 'other'"),
        ({"allow": ""}, ("--writes",), "add data_loss: {allow: here}"),
        ({"through": "pool"}, ("--writes",), "names the pooler pool, which the inventory does not have"),
        ({"max_per_second": 100}, ("--writes", "--rate", "200"), "--rate 200 is not from 1 to 100"),
        ({}, ("--writes", "--cold"), "--cold is about requests"),
        ({}, ("--writers", "3"), "--writers goes with --writes only"),
    ],
)
def test_what_is_refused_says_why(tmp_path, nodes, monkeypatch, section, words, said):
    inventory(tmp_path, nodes, **section)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["load", "--inventory", "here.yml", *words])
    assert done.exit_code == 4
    assert said in " ".join(done.output.split())


def test_a_ledger_that_is_none_is_told(tmp_path, nodes, monkeypatch):
    inventory(tmp_path, nodes)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").write_text("{}\n")
    for name, said in (("x", "x is no ledger"), ("y", "there is no ledger y")):
        done = CliRunner().invoke(main, ["load", "--inventory", "here.yml", "--account", name])
        assert done.exit_code == 1
        assert said in done.output


def test_a_record_is_16_bytes_and_what_is_cut_off_is_left_out(tmp_path):
    ledger = LedgerFile(tmp_path / "w", ABOUT)
    before = (tmp_path / "w").stat().st_size
    for number in range(1, 1001):
        ledger.add(
            (number - 1) % 4, number / 100, number / 100 + 0.004, Kind.WRITE, Outcome.ACKNOWLEDGED, number
        )
    ledger.close()
    assert (tmp_path / "w").stat().st_size - before == 16_000
    assert ledger_file.about(tmp_path / "w") == ABOUT
    assert sorted(ledger_file.unanswered(tmp_path / "w")) == [1001, 1002, 1003, 1004]
    with (tmp_path / "w").open("ab") as file:
        file.write(b"cut")
    checker = checked(ledger_file.rows(tmp_path / "w"))
    assert set(checker.acknowledged) == set(range(1, 1001))
    assert not checker.anomalies().found
    with pytest.raises(CannotTell, match="is there already: account for it"):
        LedgerFile(tmp_path / "w", ABOUT)


def test_an_id_whose_writer_never_got_an_answer_is_unanswered(tmp_path):
    LedgerFile(tmp_path / "w", ABOUT).close()
    assert sorted(ledger_file.unanswered(tmp_path / "w")) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("acknowledged", "busy", "said"),
    [(50_000, 0.3, "5,000 acknowledged writes a second, 5,000 asked for"), (20_000, 0.95, "the limit is its own"), (20_000, 0.2, "the limit is the server's")],
)  # fmt: skip
def test_it_says_what_limited_the_rate(acknowledged, busy, said):
    assert said in limit(Steadily(10.0, 10.0, 5000, acknowledged, 0, busy))
