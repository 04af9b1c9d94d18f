"""`deploygate drill` on real servers: the plan, what is refused, a drill, its stop file, and taking back."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from scratch_cluster import GATE, SYNCHRONOUS, Scratch, scratch

from pytest_deploygate.checks.replication.probe.managed.steps import Step, Steps
from pytest_deploygate.cli import main


@pytest.fixture(scope="module")
def own() -> Iterator[Scratch]:
    with scratch() as made:
        made.sql("db1", f"GRANT EXECUTE ON FUNCTION pg_promote(boolean, integer) TO {GATE}")
        made.setting("db1", "synchronous_standby_names", SYNCHRONOUS)
        yield made


@pytest.fixture
def here(own: Scratch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with an inventory whose drill kills db1, and makes the stop file where a test says so."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    nodes = {name: {"name": name, "host": "127.0.0.1", "port": port} for name, port in own.ports.items()}
    stop = own.command("stop", "db1", "immediate")
    managed = {
        "manager": "plain", "restore": own.command("restore", "{node}"), "without_backup": "a test", "within": "10s",
        "rejoin_within": "10s", "record": str(tmp_path / "drill.json"),
        "faults": [{"fault": "killed", "do": f"test ! -e stop-it || touch out/STOP; {stop}", "undo": "true"}],
    }  # fmt: skip
    database = {
        "name": "postgres", "user": GATE, "sslmode": "disable", "primary": nodes["db1"],
        "replicas": [nodes["db2"], nodes["db3"]], "replication": {"managed_failover": managed},
    }  # fmt: skip
    inventory = {"name": "here", "database": database, "writes": {"schema": "deploygate"}}
    (tmp_path / "here.yml").write_text(json.dumps(inventory))
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ran(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["drill", *words, "--inventory", "here.yml"])
    return done.exit_code, " ".join(done.output.split())


def drill(folder: Path) -> subprocess.CompletedProcess[str]:
    words = [
        "drill",
        "run",
        "killed",
        "--inventory",
        "here.yml",
        "--allow-disruptive",
        "here",
        "--out",
        "out",
    ]
    command = [sys.executable, "-m", "pytest_deploygate", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


def test_the_plan_changes_nothing(here: Path) -> None:
    code, said = ran("plan")
    assert code == 0
    assert "Failover drills of db1, db2, db3 through plain" in said
    assert "clients cannot write for up to 10 s" in said
    assert not (here / "drill.json").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "kiled", "--allow-disruptive", "here"), "has no fault 'kiled'; did you mean 'killed'?"),
        (
            ("run", "killed", "--allow-disruptive", "there"),
            "--allow-disruptive names 'there', the inventory is 'here'",
        ),
        (("run", "killed"), "Missing option '--allow-disruptive'"),
        (("restore", "--allow-disruptive", "there"), "the inventory is 'here'"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_disturbed(
    here: Path, words: tuple[str, ...], said: str
) -> None:
    code, output = ran(*words)
    assert code == 2
    assert said in output
    assert not Steps(here / "drill.json").pending()


def test_an_inventory_without_drills_is_refused(here: Path) -> None:
    inventory = json.loads((here / "here.yml").read_text())
    del inventory["database"]["replication"]
    (here / "here.yml").write_text(json.dumps(inventory))
    code, said = ran("plan")
    assert code == 4
    assert "no `managed_failover` under `database.replication`" in said


def test_restore_takes_back_what_a_killed_drill_left(here: Path) -> None:
    assert ran("restore", "--allow-disruptive", "here") == (0, "no drill left anything")
    Steps(here / "drill.json").will(Step("killed", "db1", "touch taken-back"))
    code, said = ran("restore", "--allow-disruptive", "here")
    assert (code, said) == (
        0,
        "taking back what an earlier drill left: killed (db1) 1 change was taken back",
    )
    assert (here / "taken-back").exists()


def test_the_stop_file_ends_a_drill_and_the_cluster_is_restored_first(own: Scratch, here: Path) -> None:
    (here / "drill.json").write_text("an earlier one")
    (here / "stop-it").touch()
    done = drill(here)
    assert done.returncode == 21, done.stdout + done.stderr
    assert f"stopped by the stop file {here / 'out' / 'STOP'}" in done.stderr
    assert "Traceback" not in done.stderr
    assert "killed: begins" in done.stdout
    # What it changed was taken back, and the record of the drill before it stays.
    assert not Steps(here / "drill.json").pending()
    assert own.sql("db1", "SELECT pg_is_in_recovery()") == [(False,)]
    assert len(own.sql("db1", "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'")) == 2
    assert (here / "drill.json").read_text() == "an earlier one"
