"""What a tool lists is not what is there: folders that are gone, other clusters, a second repository, WAL that was cut off."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from places import server_folder
from scratch_cluster import Scratch

from pytest_deploygate.checks.backups import judge
from pytest_deploygate.checks.backups.probe import archiving
from pytest_deploygate.checks.backups.probe.pgbackrest import lacking_repositories, parse_backups
from pytest_deploygate.checks.backups.probe.seen import Backups, repository, verified
from pytest_deploygate.checks.backups.probe.wal import whole
from pytest_deploygate.checks.backups.section import Backup
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import Judgement, Verdict


class Repo:
    """A server with a stanza of the real pgBackRest, and plain base backups beside it."""

    def __init__(self, server: Scratch) -> None:
        self.server = server
        self.folder = server.folder
        self.cluster = Cluster(server.database(), "deploygate")

    def sh(self, script: str) -> str:
        prefix = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        done = subprocess.run(
            [*prefix, "sh", "-ec", script], cwd=self.folder, capture_output=True, text=True, check=False, timeout=150
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def pgbackrest(self, *words: str, config: str = "pgb.conf") -> None:
        self.sh(f"pgbackrest --config={self.folder}/{config} --stanza=p {' '.join(words)}")

    def backups(self, config: str = "pgb.conf", **more: object) -> Backups:
        section = {
            "tool": "pgbackrest", "server": "p", "config": str(self.folder / config), "user": self.server.user,
            "encrypted": False, "min_free": "1MB", "archived_within": "10s", **more,
        }  # fmt: skip
        return Backups(Backup.model_validate(section), cluster=self.cluster)

    def plain(self) -> Backups:
        more = {
            "tool": "base-backup",
            "repository": str(self.folder / "plain"),
            "archive": str(self.folder / "archive"),
        }
        return self.backups(**more)

    @property
    def stored(self) -> Path:
        return self.folder / "repo/backup/p"

    def final(self, backups: Backups, *, full: bool = True) -> Judgement:
        judged = judge.judge_final if full else judge.judge_night
        return judged(verified(backups, full=full), backups.criteria)


@pytest.fixture(scope="module")
def repo() -> Iterator[Repo]:
    if shutil.which("pgbackrest") is None:
        pytest.skip("pgbackrest is not installed")
    made = Scratch(server_folder("dgi-"))
    here = made.folder
    lines = (
        f"[global]\nrepo1-path={here}/repo\nlog-level-file=off\nlock-path={here}/lock\nrepo1-retention-full=9\n"
        f"compress-type=none\nspool-path={here}/spool\n[p]\npg1-path={here}/db1\npg1-port={made.ports['db1']}\n"
        f"pg1-socket-path={here}\n"
    )
    try:
        for name, text in (
            ("pgb.conf", lines),
            ("two.conf", lines.replace("[p]", f"repo2-path={here}/repo2\nrepo2-retention-full=1\n[p]")),
        ):
            (here / name).write_text(text)
        made.replica = lambda *_: None  # type: ignore[method-assign]
        push = f"pgbackrest --config={here}/pgb.conf --stanza=p archive-push %p && cp %p {here}/archive/%f"
        one = Repo(made)
        one.sh(f"mkdir {here}/archive {here}/plain")
        made.create("archive_mode = on", f"archive_command = '{push}'", "archive_timeout = 60")
        made.sql("db1", "GRANT EXECUTE ON FUNCTION pg_switch_wal() TO gate")
        one.pgbackrest("stanza-create")
        one.pgbackrest("--type=full", "--start-fast", "backup")
        one.pgbackrest("--type=full", "--start-fast", "backup")
        one.pgbackrest("--type=incr", "--start-fast", "backup")
        made.run(
            "pg_basebackup", "-D", "plain/one", "-h", "127.0.0.1", "-p", str(made.ports["db1"]), "-U", "postgres", "-c", "fast"
        )  # fmt: skip
        yield one
        one.cluster.close()
    finally:
        made.destroy()


def test_whole_backups_verify(repo: Repo) -> None:
    for each in (
        repo.final(repo.backups()),
        repo.final(repo.backups(), full=False),
        repo.final(repo.plain()),
    ):
        assert each.verdict is Verdict.PASS, each.reason
    found = repository(repo.backups())
    assert judge.judge_repository(found, repo.backups().criteria).verdict is Verdict.PASS


def test_a_backup_whose_folder_is_gone_does_not_verify(repo: Repo) -> None:
    """`info` still lists it; `verify` says nothing about it. An incremental one needs its full one too."""
    full = max(p.name for p in repo.stored.iterdir() if p.name.endswith("F"))
    (repo.stored / full).rename(repo.folder / "away")
    try:
        gone, incremental = repo.final(repo.backups()), repo.final(repo.backups(), full=False)
    finally:
        (repo.folder / "away").rename(repo.stored / full)
    assert gone.verdict is Verdict.FAIL
    assert f"{full}: verify does not name it" in gone.reason
    assert incremental.verdict is Verdict.FAIL
    assert f"{full}, which it needs: verify does not name it" in incremental.reason


def test_an_incremental_backup_whose_own_folder_is_gone(repo: Repo) -> None:
    newest = max(p.name for p in repo.stored.iterdir() if p.name.endswith("I"))
    (repo.stored / newest).rename(repo.folder / "away")
    try:
        judged = repo.final(repo.backups(), full=False)
        full = repo.final(repo.backups())
    finally:
        (repo.folder / "away").rename(repo.stored / newest)
    assert judged.verdict is Verdict.FAIL, judged.reason
    assert full.verdict is Verdict.PASS, full.reason


def test_an_older_full_backup_that_is_gone(repo: Repo) -> None:
    """Nothing newer needs it, so the newest ones verify."""
    oldest = min(p.name for p in repo.stored.iterdir() if p.name.endswith("F"))
    (repo.stored / oldest).rename(repo.folder / "away")
    try:
        full, incremental = repo.final(repo.backups()), repo.final(repo.backups(), full=False)
    finally:
        (repo.folder / "away").rename(repo.stored / oldest)
    assert full.verdict is Verdict.PASS, full.reason
    assert incremental.verdict is Verdict.PASS, incremental.reason


def test_a_differential_backup_whose_full_one_is_gone(repo: Repo) -> None:
    repo.pgbackrest("--type=diff", "--start-fast", "backup")
    newest = max(p.name for p in repo.stored.iterdir() if p.name.endswith("D"))
    full = newest.partition("_")[0]
    try:
        good = repo.final(repo.backups(), full=False)
        (repo.stored / full).rename(repo.folder / "away")
        try:
            gone = repo.final(repo.backups(), full=False)
        finally:
            (repo.folder / "away").rename(repo.stored / full)
    finally:
        repo.pgbackrest("expire", f"--set={newest}")
    assert good.verdict is Verdict.PASS, good.reason
    assert gone.verdict is Verdict.FAIL
    assert f"{full}, which it needs: verify does not name it" in gone.reason


def test_backups_of_another_cluster(repo: Repo) -> None:
    """A new initdb and `stanza-upgrade`: recent backups, all of the old cluster."""
    server = repo.server
    server.stop("db1")
    (repo.folder / "db1").rename(repo.folder / "old")
    try:
        server.run("initdb", "-D", "db1", "-U", "postgres", "-A", "trust", "-N", "--no-instructions")
        shutil.copy(repo.folder / "old/postgresql.conf", repo.folder / "db1/postgresql.conf")
        server.start("db1")
        server.sql("db1", "CREATE ROLE gate LOGIN; GRANT pg_monitor TO gate")
        repo.pgbackrest("stanza-upgrade")
        repo.cluster.close()
        found = [
            repo.final(repo.backups()),
            repo.final(repo.plain()),
            judge.judge_repository(repository(repo.backups()), repo.backups().criteria),
            judge.judge_repository(repository(repo.plain()), repo.plain().criteria),
        ]
        server.stop("db1")
        unknown = repo.final(repo.backups())
    finally:
        server.stop("db1")
        shutil.rmtree(repo.folder / "db1")
        (repo.folder / "old").rename(repo.folder / "db1")
        server.start("db1")
        repo.cluster.close()
        repo.pgbackrest("stanza-upgrade")
    for each in found:
        assert each.verdict is Verdict.FAIL, each.reason
        assert "is of another cluster: its system identifier is" in each.reason
    assert unknown.verdict is Verdict.INCONCLUSIVE, unknown.reason
    assert "is of the live cluster is unknown" in unknown.reason


def test_a_second_repository_without_a_backup_is_named(repo: Repo) -> None:
    """The first one's backups are still judged."""
    repo.pgbackrest("stanza-create", config="two.conf")
    found = repository(repo.backups("two.conf"))
    judged = judge.judge_repository(found, repo.backups().criteria)
    assert judged.verdict is Verdict.FAIL
    assert "repository 2 of 2: no valid backups" in judged.reason
    assert "cannot be reached" not in judged.reason
    assert repo.final(repo.backups("two.conf")).verdict is Verdict.PASS


@pytest.mark.parametrize("size", ["0", "8M"])
@pytest.mark.parametrize("tool", ["pgbackrest", "plain"])
def test_a_segment_that_is_empty_or_cut_off_is_missing(repo: Repo, tool: str, size: str) -> None:
    backups = repo.plain() if tool == "plain" else repo.backups()
    with closing(Cluster(repo.server.database(), "deploygate")) as cluster:
        first = archiving.archive_marker(cluster, backups)
        assert (first.stored, first.gap) == (True, ())
        folder = repo.folder / ("archive" if tool == "plain" else "repo/archive/p")
        file = next(p for p in folder.rglob(f"{first.mark.segment}*") if p.is_file())
        kept = file.read_bytes()
        repo.sh(f"truncate -s {size} {file}")
        try:
            found = archiving.archive_marker(cluster, backups)
        finally:
            file.write_bytes(kept)
    assert found.gap == (first.mark.segment,)
    judged = judge.judge_archiving(found, backups.criteria)
    assert judged.verdict is Verdict.FAIL
    assert "missing from the archive, or not whole" in judged.reason


@pytest.mark.parametrize(
    ("sizes", "there"),
    [
        ({"0" * 24: 16}, 1),
        ({"0" * 24: 16, "1" * 24: 8}, 1),
        ({"0" * 24: 16, "1" * 24: 0}, 1),
        ({"0" * 24 + ".gz": 3, "1" * 24: 16}, 2),
        ({"0" * 24 + "-abc.zst": 0, "1" * 24 + "-abc.zst": 5}, 1),
        ({}, 0),
    ],
)
def test_sizes_of_segments(sizes: dict[str, int], there: int) -> None:
    assert len(whole(sizes)) == there


@pytest.mark.parametrize(
    ("states", "lacking"),
    [
        ([(0, "ok"), (0, "ok")], []),
        ([(2, "no valid backups"), (0, "ok")], ["repository 1 of 2: no valid backups"]),
        ([(0, "ok"), (0, "ok"), (3, "missing stanza data")], ["repository 3 of 3: missing stanza data"]),
    ],
)
def test_each_repository_is_told(states: list[tuple[int, str]], lacking: list[str]) -> None:
    """Shape of `info` from pgBackRest's user guide, "Multiple Repositories"."""
    repos = [{"key": n, "status": {"code": c, "message": m}} for n, (c, m) in enumerate(states, 1)]
    stanza = {"name": "p", "status": {"code": 4, "message": "different across repos"}, "backup": [], "db": []}
    said = lacking_repositories(stanza | {"repo": repos})
    assert len(said) == len(lacking)
    assert all(words in one for words, one in zip(lacking, said, strict=True))


def test_repositories_that_differ_are_told_one_by_one() -> None:
    """Shape of `info` from pgBackRest's user guide, "Multiple Repositories"."""
    good, bad = {"code": 0, "message": "ok"}, {"code": 2, "message": "no valid backups"}
    stanza = {"name": "p", "status": {"code": 4, "message": "different across repos"}, "backup": [], "db": []}
    both = stanza | {"repo": [{"key": 1, "status": good}, {"key": 2, "status": bad}]}
    assert "repository 2 of 2: no valid backups" in lacking_repositories(both)[0]
    assert lacking_repositories(stanza | {"repo": [{"key": 1, "status": bad}]}) == ()
    assert parse_backups([both], "p") == ()
