"""Real base backups, real Barman and real dumps of a real server: listed, verified, restored, compared; and what a kill -9 leaves behind."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from places import server_folder
from scratch_cluster import Scratch, wait

from pytest_deploygate.checks.backups.probe import archiving, drill, scratch, trial
from pytest_deploygate.checks.backups.probe.seen import Backups, verified
from pytest_deploygate.checks.backups.section import Backup
from pytest_deploygate.clients.host.place import Place
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import CannotTell

ROOT = Path(__file__).parents[3]


@dataclass
class Archived:
    """A server whose WAL goes to a folder (and to Barman's), with places for backups and scratch servers."""

    server: Scratch
    cluster: Cluster

    def path(self, name: str) -> str:
        return str(self.server.folder / name)

    def sh(self, script: str) -> str:
        prefix = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        done = subprocess.run(
            [*prefix, "sh", "-ec", script], cwd="/", capture_output=True, text=True, check=False, timeout=150
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def backups(self, tool: str, **more: object) -> Backups:
        own = {
            "tool": tool,
            "user": self.server.user,
            "rto": "2m",
            "rpo": "10m",
            "archived_within": "10s",
            **more,
        }
        own.setdefault(
            "scratch", {"folder": self.path("scratch"), "programs": str(self.server.bin), "spare": "1MB"}
        )
        return Backups(Backup.model_validate(own))

    def base(self, **more: object) -> Backups:
        return self.backups(
            "base-backup", repository=self.path("backups"), archive=self.path("archive"), **more
        )


@pytest.fixture(scope="module")
def archived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archived]:

    made = Scratch(server_folder("dgb-"))
    here = made.folder
    try:
        store = f"cp %p {here}/archive/%f && (test ! -d {here}/barman/main/incoming || cp %p {here}/barman/main/incoming/%f)"
        settings = ["archive_mode = on", f"archive_command = '{store}'", "archive_timeout = 60"]
        made.replica = lambda *_: None  # type: ignore[method-assign]
        made.create(*settings)
        one = Archived(made, Cluster(made.database(), "deploygate"))
        one.sh(f"mkdir {here}/archive {here}/backups {here}/scratch {here}/dumps")
        made.sql("db1", "GRANT EXECUTE ON FUNCTION pg_switch_wal() TO gate; GRANT pg_read_all_data TO gate")
        made.sql("db1", "CREATE EXTENSION IF NOT EXISTS amcheck")
        made.sql("db1", "CREATE TABLE public.part (id int PRIMARY KEY, at timestamptz, note text)")
        made.sql(
            "db1",
            "INSERT INTO public.part SELECT n, now() - interval '2 day', md5(n::text) FROM generate_series(1, 20000) n",
        )
        made.run(
            "pg_basebackup",
            "-D",
            "backups/one",
            "-h",
            "127.0.0.1",
            "-p",
            str(made.ports["db1"]),
            "-U",
            "postgres",
            "-c",
            "fast",
        )
        yield one
        one.cluster.close()
    finally:
        made.destroy()


def leftovers(archived: Archived) -> list[str]:
    return [p.name for p in (archived.server.folder / "scratch").iterdir()]


def test_base_backup_is_listed_verified_and_restored_while_the_source_is_written(archived: Archived) -> None:
    """A restore to a marker equals its source up to that marker, whatever is written meanwhile; nothing is left behind."""
    backups = archived.base()
    assert [b.label for b in backups.listed()] == ["one"]
    assert verified(backups, full=True).verification.problems == ()  # type: ignore[union-attr]
    over = threading.Event()

    def write() -> None:
        number = 100_000
        while not over.is_set():
            number += 1
            archived.server.sql("db1", f"INSERT INTO public.part VALUES ({number}, now(), 'new')")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        found = drill.restore_drill(archived.cluster, backups).record
    finally:
        over.set()
        writer.join()
    assert found is not None
    assert found.outcome == "good", found.reason
    facts = found.facts
    assert (facts.differs, facts.catalog_differs, facts.marker_found) == ((), (), True)
    assert facts.rows >= 20_000
    assert (facts.isolation["listen_addresses"], facts.isolation["archive_mode"]) == ("", "off")
    assert facts.indexes
    assert leftovers(archived) == []


def test_a_flipped_byte_is_found_by_the_manifest(archived: Archived) -> None:
    """pg_verifybackup names the file."""
    archived.sh(f"cp -a {archived.path('backups')}/one {archived.path('backups')}/two")
    file = next(Path(archived.path("backups/two/base")).rglob("1259"))
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 1
    file.write_bytes(raw)
    try:
        found = verified(archived.base(), full=True)
        sets = {b.label for b in archived.base().listed()}
        both = [archived.base().tool.verify(b).problems for b in archived.base().listed() if b.label == "two"]
    finally:
        archived.sh(f"rm -rf {archived.path('backups')}/two")
    assert found.backup is not None
    assert sets == {"one", "two"}
    assert "1259" in str(both)


def test_a_missing_segment_is_a_gap_and_ends_the_recovery(archived: Archived) -> None:
    """Both the listing and the restore notice a missing segment."""
    first = archiving.archive_marker(archived.cluster, archived.base())
    assert (first.stored, first.gap) == (True, ())
    segment = first.mark.segment
    archived.sh(f"mv {archived.path('archive')}/{segment} {archived.path('kept')}")
    try:
        backups = archived.base()
        found = archiving.archive_marker(archived.cluster, backups)
        restored = drill.restore_drill(archived.cluster, backups).record
    finally:
        archived.sh(f"mv {archived.path('kept')} {archived.path('archive')}/{segment}")
    assert found.gap == (segment,)
    assert restored is not None
    assert restored.outcome == "marker", restored
    assert leftovers(archived) == []


def test_no_restore_begins_without_room_for_it(archived: Archived) -> None:
    """The refusal names the free and the needed space, and nothing was created."""
    backups = archived.base(
        scratch={"folder": archived.path("scratch"), "programs": str(archived.server.bin), "spare": "900TB"}
    )
    with pytest.raises(CannotTell, match=r"no restore was started.*free"):
        drill.restore_drill(archived.cluster, backups)
    assert leftovers(archived) == []


def test_root_cannot_run_a_restored_server(archived: Archived) -> None:
    """If we are root, the drill names the key that sets another user."""
    if os.getuid() != 0:
        pytest.skip("only root has this problem")
    backups = archived.base(user=None)
    with pytest.raises(CannotTell, match=r"root.*backup\.scratch\.user"):
        drill.restore_drill(archived.cluster, backups)


def test_programs_of_another_version_are_refused(archived: Archived) -> None:
    """A server of another major version cannot start on this data."""
    place = Place("local://", archived.server.user)
    with pytest.raises(CannotTell, match="PostgreSQL 99"):
        scratch.programs(place, str(archived.server.bin), 99)


def test_a_killed_drill_leaves_nothing(archived: Archived) -> None:
    """After kill -9 of the run in the middle, the guard stops the restored server and removes its folder."""
    node = f"127.0.0.1:{archived.server.ports['db1']}"
    database = {"name": "postgres", "user": "gate", "sslmode": "disable", "primary": node}
    backup = {
        "tool": "base-backup", "user": archived.server.user, "repository": archived.path("backups"),
        "archive": archived.path("archive"),
        "scratch": {"folder": archived.path("scratch"), "programs": str(archived.server.bin), "spare": "1MB"},
    }  # fmt: skip
    script = textwrap.dedent(f"""
        import time
        from pytest_deploygate.checks.backups.section import Backup
        from pytest_deploygate.fields.postgres import ConnectionSettings
        from pytest_deploygate.checks.backups.probe import drill, scratch
        from pytest_deploygate.checks.backups.probe.seen import Backups
        from pytest_deploygate.clients.postgres.cluster import Cluster
        scratch.Instance.wait_paused = lambda *_: time.sleep(120)
        database = ConnectionSettings.model_validate({database!r})
        backup = Backup.model_validate({backup!r})
        drill.restore_drill(Cluster(database, "deploygate"), Backups(backup))
    """)
    run = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stderr=subprocess.PIPE, start_new_session=True
    )
    folder = archived.server.folder / "scratch"
    try:
        wait(lambda: run.poll() is not None or list(folder.glob("dgr-*/data/postmaster.pid")), 90)
        assert run.poll() is None, (run.stderr.read() if run.stderr else b"").decode()[-2000:]
        server = int(next(folder.glob("dgr-*/data/postmaster.pid")).read_text().splitlines()[0])
    finally:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        if run.stderr:
            run.stderr.close()
    wait(lambda: not any(leftovers(archived)), 60)
    wait(lambda: not Path(f"/proc/{server}").exists(), 60)


def test_what_a_crashed_host_left_is_removed_by_the_next_drill(archived: Archived) -> None:
    """A folder whose guard has ended is swept; one whose guard is running is left alone."""
    place = Place("local://", archived.server.user)
    dead = archived.path("scratch/dgr-dead0000")
    # The id in the file belongs to another server by now, as can happen after a reboot.
    other = archived.sh(f"head -n 1 {archived.path('db1')}/postmaster.pid").strip()
    left = f"mkdir -p {dead}/data && echo 999999 >{dead}/guard && echo {other} >{dead}/data/postmaster.pid"
    archived.sh(f"{left} && touch -d '1 hour ago' {dead}")
    with scratch.Instance(place, archived.path("scratch")) as living:
        wait((Path(living.root) / "guard").exists, 60)
        assert scratch.sweep(place, archived.path("scratch")) == (dead,)
        assert Path(living.root).exists()
    assert leftovers(archived) == []
    assert archived.server.sql("db1", "SELECT 1") == [(1,)]


def test_a_small_backup_by_the_inventorys_command(archived: Archived) -> None:
    """Its exit code and output are what counts; a missing command is reported."""
    good = archived.base(take=f"touch {shlex.quote(archived.path('taken'))}")
    assert trial.take_backup(good).problem == ""
    assert "no space" in trial.take_backup(archived.base(take="echo no space >&2; exit 3")).problem
    with pytest.raises(CannotTell, match="take: "):
        trial.take_backup(archived.base())


@pytest.fixture(scope="module")
def barman(archived: Archived) -> Backups:
    """Real Barman with the server `main`, which receives WAL by archive_command."""
    import shutil

    if shutil.which("barman") is None:
        pytest.skip("barman is not installed")
    home = archived.path("barman")
    conninfo = f"host=127.0.0.1 port={archived.server.ports['db1']} user=postgres dbname=postgres"
    text = textwrap.dedent(f"""
        [barman]
        barman_user = {archived.server.user}
        barman_home = {home}
        configuration_files_directory = {home}/conf.d
        log_file = {home}/barman.log
        compression = gzip
        [main]
        description = test
        conninfo = {conninfo}
        streaming_conninfo = {conninfo}
        backup_method = postgres
        archiver = on
        path_prefix = {archived.server.bin}
        retention_policy = REDUNDANCY 2
        backup_options = concurrent_backup
    """)
    archived.sh(
        f"mkdir -p {home}/conf.d {home}/main/incoming && cat >{home}/barman.conf <<'EOF'\n{text}\nEOF"
    )
    # A backup is refused before a first segment has arrived: cron would fetch it in the background, this waits for it.
    waits = "switch-wal --force --archive --archive-timeout 50 main"
    archived.sh(
        f"cd {home}; barman -c barman.conf cron; barman -c barman.conf {waits}; barman -c barman.conf backup main"
    )
    return archived.backups("barman", server="main", config=f"{home}/barman.conf")


@pytest.mark.long
def test_barman_is_listed_verified_and_restored(archived: Archived, barman: Backups) -> None:
    """Barman's newest backup reaches a marker written just before, with WAL from its own archive."""
    newest = barman.listed()[-1]
    assert (newest.kind, len(newest.first_wal)) == ("full", 24)
    store = barman.tool.store()
    assert store.retention
    assert store.free_bytes
    found = archiving.archive_marker(archived.cluster, barman)
    assert (found.stored, found.gap) == (True, ())
    record = drill.restore_drill(archived.cluster, barman).record
    assert record is not None
    assert record.outcome == "good", record.reason
    assert record.facts.marker_found
    assert leftovers(archived) == []


def test_barman_takes_a_backup_now(barman: Backups) -> None:
    """The new backup is in its list."""
    found = trial.take_backup(barman)
    assert (found.problem, bool(found.label)) == ("", True)


def test_a_barman_server_that_is_not_there_is_said(archived: Archived, barman: Backups) -> None:
    """A misspelt server name is not an empty list."""
    wrong = archived.backups("barman", server="mian", config=str(barman.criteria.config))
    with pytest.raises(CannotTell, match="mian"):
        wrong.listed()


def test_dump_is_verified_and_loaded(archived: Archived) -> None:
    """A dump equals its source in the tables that did not change since; a truncated one is found."""
    dump = f"{archived.server.bin}/pg_dump -h 127.0.0.1 -p {archived.server.ports['db1']} -U postgres -Fc postgres"
    archived.sh(f"{dump} -f {archived.path('dumps')}/a.dump")
    backups = archived.backups("pg-dump", repository=archived.path("dumps"))
    assert verified(backups, full=True).verification.problems == ()  # type: ignore[union-attr]
    record = drill.restore_drill(archived.cluster, backups).record
    assert record is not None
    assert (record.outcome, record.facts.rows >= 20_000) == ("good", True), record
    assert record.facts.rpo_s is not None
    assert leftovers(archived) == []
    archived.sh(
        f"head -c 60000 {archived.path('dumps')}/a.dump >{archived.path('dumps')}/b.dump; touch {archived.path('dumps')}/b.dump"
    )
    again = archived.backups("pg-dump", repository=archived.path("dumps"))
    broken = next(b for b in again.listed() if b.label == "b.dump")
    assert again.tool.verify(broken).problems


def test_reading_all_of_it_takes_few_statements(archived: Archived, monkeypatch: pytest.MonkeyPatch) -> None:
    """For one marker the primary is queried for its state before, after, and while waiting: nothing per segment."""
    asked: list[str] = []
    rows = Cluster.rows
    monkeypatch.setattr(Cluster, "rows", lambda self, *a: asked.append(str(a[1])) or rows(self, *a))
    began = time.monotonic()
    archiving.archive_marker(archived.cluster, archived.base())
    waited = (time.monotonic() - began) / 0.1
    assert len(asked) <= 3 + waited
