"""Replicas that share name and address, slots that were lost, and a primary that is read-only for everybody."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from places import server_folder
from scratch_cluster import Scratch, wait

from pytest_deploygate.checks.replication import judge, probe
from pytest_deploygate.checks.replication.section import Replication
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import Judgement, Verdict

LIMITS = Replication.model_validate(
    {"slots": False, "synchronous": False, "marker_within": "10s", "max_lag_time": "10s"}
)


IN_STEP = "SELECT 1 FROM pg_stat_replication WHERE flush_lsn >= pg_current_wal_lsn()"


@pytest.fixture(scope="module")
def server() -> Iterator[Scratch]:
    """Both replicas call themselves walreceiver and have no slots."""
    made = Scratch(server_folder("dgl-"))
    try:
        made.create()
        for name in ("db2", "db3"):
            anonymous(made, name, "db1")
        made.sql("db1", "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
        yield made
    finally:
        made.destroy()


def anonymous(made: Scratch, name: str, upstream: str) -> None:
    conninfo = f"host=127.0.0.1 port={made.ports[upstream]} user=postgres"
    made.sql(name, f"ALTER SYSTEM SET primary_conninfo = '{conninfo}'")
    made.sql(name, "ALTER SYSTEM SET primary_slot_name = ''")
    made.sql(name, "SELECT pg_reload_conf()")
    sent = "SELECT 1 FROM pg_stat_replication WHERE application_name = 'walreceiver' AND state = 'streaming'"
    before = 0 if name == "db2" else 1
    wait(lambda: len(made.sql(upstream, sent)) > (before if upstream == "db1" else 0), 30)
    wait(
        lambda: (
            not made.sql(
                upstream, f"SELECT 1 FROM pg_replication_slots WHERE slot_name = '{name}' AND active"
            )
        ),
        30,
    )


def judged(server: Scratch, name: str) -> Judgement:
    with closing(Cluster(server.database(), "deploygate")) as cluster:
        if name == "cluster":
            return judge.judge_cluster(probe.primary(cluster, 10), LIMITS)
        node = next(n for n in cluster.replicas if n.name == name)
        return judge.judge_replica(probe.replica(cluster, node, 10), LIMITS)


@pytest.mark.parametrize("name", ["db2", "db3", "cluster"])
def test_replicas_that_nothing_tells_apart_stream(server: Scratch, name: str) -> None:
    found = judged(server, name)
    assert found.verdict is Verdict.PASS, found.reason
    assert not [note for note in found.notes if "does not name" in note]


def test_one_of_them_that_is_stopped_is_seen(server: Scratch) -> None:
    server.stop("db3")
    try:
        good, bad = judged(server, "db2"), judged(server, "db3")
    finally:
        server.start("db3")
        wait(lambda: server.sql("db3", "SELECT 1 FROM pg_stat_wal_receiver WHERE status = 'streaming'"))
    assert good.verdict is Verdict.PASS, good.reason
    assert bad.verdict is Verdict.FAIL, bad.reason


def test_one_of_them_that_follows_the_other_is_seen(server: Scratch) -> None:
    anonymous(server, "db3", "db2")
    try:
        good, bad = judged(server, "db2"), judged(server, "db3")
    finally:
        anonymous(server, "db3", "db1")
    assert good.verdict is Verdict.PASS, good.reason
    assert bad.verdict is Verdict.FAIL, bad.reason


def test_a_lost_slot_that_nobody_owns_fails(server: Scratch) -> None:
    server.setting("db1", "max_slot_wal_keep_size", "1MB")
    server.sql("db1", "SELECT pg_create_physical_replication_slot('old', true)")
    try:
        for _ in range(4):
            server.sql("db1", "CREATE TABLE IF NOT EXISTS public.w (t text)")
            server.sql("db1", "INSERT INTO public.w SELECT repeat('x', 1000) FROM generate_series(1, 20000)")
            server.sql("db1", "SELECT pg_switch_wal()")
            # The replicas have no slots: a checkpoint would remove what one that is late still needs, for good.
            wait(lambda: len(server.sql("db1", IN_STEP)) == 2, 60)
            server.sql("db1", "CHECKPOINT")
        assert server.sql("db1", "SELECT wal_status FROM pg_replication_slots WHERE slot_name = 'old'") == [
            ("lost",)
        ]
        found = judged(server, "cluster")
    finally:
        server.sql("db1", "SELECT pg_drop_replication_slot('old'); ")
        server.sql("db1", "DROP TABLE public.w")
        server.setting("db1", "max_slot_wal_keep_size", "256MB")
    assert found.verdict is Verdict.FAIL, found.reason
    assert "slot old on db1 is lost" in found.reason


@pytest.mark.parametrize("slot", ["db3", "db2", "moved_away"])
def test_an_inactive_slot_is_not_hidden_by_its_name(server: Scratch, slot: str) -> None:
    """Left by a replica that streams without it now, or that moved to another upstream: it holds WAL all the same."""
    for name in ("db2", "db3"):  # one that was moved or stopped by an earlier test may still be connecting
        wait(
            lambda name=name: server.sql(
                name, "SELECT 1 FROM pg_stat_wal_receiver WHERE status = 'streaming'"
            ),
            30,
        )
    server.sql("db1", f"SELECT pg_create_physical_replication_slot('{slot}', true)")
    try:
        found = [judged(server, name) for name in ("cluster", "db2", "db3")]
    finally:
        server.sql("db1", f"SELECT pg_drop_replication_slot('{slot}')")
    bad = [one for one in found if one.verdict is Verdict.FAIL]
    assert bad, [one.reason for one in found]
    assert f"slot {slot}" in " ".join(one.reason for one in bad)
    assert "inactive" in " ".join(one.reason for one in bad)


@pytest.mark.parametrize(
    ("on", "off", "verdict"),
    [
        (
            "ALTER DATABASE postgres SET default_transaction_read_only = on",
            "ALTER DATABASE postgres RESET ALL",
            Verdict.FAIL,
        ),
        ("ALTER ROLE gate SET default_transaction_read_only = on", "ALTER ROLE gate RESET ALL", Verdict.PASS),
        (
            "ALTER SYSTEM SET default_transaction_read_only = on",
            "ALTER SYSTEM RESET default_transaction_read_only",
            Verdict.FAIL,
        ),
        ("ALTER ROLE ALL SET default_transaction_read_only = on", "ALTER ROLE ALL RESET ALL", Verdict.FAIL),
        # The gate's role is read-only of its own accord, and so is everybody else.
        (
            "ALTER ROLE gate SET default_transaction_read_only = on; ALTER DATABASE postgres SET default_transaction_read_only = on",
            "ALTER ROLE gate RESET ALL; ALTER DATABASE postgres RESET ALL",
            Verdict.FAIL,
        ),
        (
            "ALTER ROLE gate SET default_transaction_read_only = off; ALTER ROLE ALL SET default_transaction_read_only = on",
            "ALTER ROLE gate RESET ALL; ALTER ROLE ALL RESET ALL",
            Verdict.FAIL,
        ),
        # What is more particular counts: for this database it is off.
        (
            "ALTER ROLE ALL SET default_transaction_read_only = on; ALTER DATABASE postgres SET default_transaction_read_only = off",
            "ALTER ROLE ALL RESET ALL; ALTER DATABASE postgres RESET ALL",
            Verdict.PASS,
        ),
        (
            "ALTER DATABASE postgres SET default_transaction_read_only = 'yes'",
            "ALTER DATABASE postgres RESET ALL",
            Verdict.FAIL,
        ),
        (
            "ALTER ROLE gate IN DATABASE postgres SET default_transaction_read_only = on",
            "ALTER ROLE gate IN DATABASE postgres RESET ALL",
            Verdict.PASS,
        ),
        (
            "ALTER DATABASE template1 SET default_transaction_read_only = on",
            "ALTER DATABASE template1 RESET ALL",
            Verdict.PASS,
        ),
    ],
)
def test_a_primary_that_is_read_only_for_everybody(
    server: Scratch, on: str, off: str, verdict: Verdict
) -> None:
    read_only(server, on)
    try:
        found = judged(server, "cluster")
    finally:
        read_only(server, off)
    assert found.verdict is verdict, found.reason
    if verdict is Verdict.FAIL:
        assert "users cannot write" in found.reason


def read_only(server: Scratch, change: str) -> None:
    """Change the settings, also while they keep everybody from writing."""
    with psycopg.connect(
        host="127.0.0.1", port=server.ports["db1"], user="postgres", dbname="postgres", autocommit=True,
        options="-c default_transaction_read_only=off",
    ) as own:  # fmt: skip
        for each in change.split("; "):
            own.execute(each.encode())
        own.execute("SELECT pg_reload_conf()")


def test_what_the_gates_own_role_hides_and_who_else_is_read_only_is_noted(server: Scratch) -> None:
    server.sql("db1", "CREATE ROLE app LOGIN; CREATE ROLE reports LOGIN")
    try:
        read_only(server, "ALTER ROLE gate SET default_transaction_read_only = on; ALTER ROLE app SET default_transaction_read_only = 'yes'; "
                  "ALTER ROLE reports SET default_transaction_read_only = off")  # fmt: skip
        found = judged(server, "cluster")
    finally:
        read_only(server, "ALTER ROLE gate RESET ALL; DROP ROLE app; DROP ROLE reports")
    assert found.verdict is Verdict.PASS, found.reason
    assert any("which hides that of the server" in note for note in found.notes), found.notes
    assert any("read_only is on for app, which cannot write" in note for note in found.notes), found.notes
