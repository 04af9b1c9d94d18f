"""The old side on a real server: rows since the cutover, writes during the measurement, and what prevents one."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from pytest_deploygate.checks.way_back.judge.old_side import judge_old_side
from pytest_deploygate.checks.way_back.probe import loss, old_side
from pytest_deploygate.checks.way_back.section.fence import Fence
from pytest_deploygate.checks.way_back.section.rollback import Loss
from pytest_deploygate.model import CannotTell, Verdict

CUTOVER = datetime.now(UTC) - timedelta(hours=1)
#: The columns that matter of `show stat`, as HAProxy's management guide has them (9.1).
STAT = "# pxname,svname,stot,req_tot,\nold,FRONTEND,5,{requests},\nold,BACKEND,5,,\n\n"


@pytest.fixture
def orders(nodes) -> Iterator[None]:
    nodes.sql("db1", "CREATE DATABASE legacy")
    with _superuser(nodes) as connection:
        connection.execute("CREATE TABLE orders (id int, placed_at timestamptz DEFAULT now())")
        connection.execute(
            "INSERT INTO orders VALUES (1, now() - interval '1 day'); GRANT SELECT ON orders TO gate"
        )
        # Otherwise its counters rise when this session ends, possibly during a measurement.
        connection.execute("SELECT pg_stat_force_next_flush()")
    yield
    nodes.sql("db1", "DROP DATABASE legacy WITH (FORCE)")


def _superuser(nodes) -> psycopg.Connection:
    return psycopg.connect(
        host="127.0.0.1", port=nodes.ports["db1"], dbname="legacy", user="postgres", autocommit=True
    )


def fence(nodes, **more) -> Fence:
    given = {
        "host": "127.0.0.1", "port": nodes.ports["db1"], "name": "legacy", "user": "gate", "sslmode": "disable",
        "count": "SELECT count(*) FROM orders WHERE placed_at >= %(cutover)s", "watch": "100ms",
    }  # fmt: skip
    return Fence.model_validate(given | more)


def test_a_quiet_old_side_passes_and_one_row_since_the_cutover_does_not(nodes, orders):
    wanted = fence(nodes)
    assert judge_old_side(old_side.old_side_writes(wanted, CUTOVER), wanted).verdict is Verdict.PASS
    with _superuser(nodes) as connection:
        connection.execute("INSERT INTO orders VALUES (2)")
    found = old_side.old_side_writes(wanted, CUTOVER)
    assert found.rows == (1, 1)
    assert judge_old_side(found, wanted).confirmed


def test_an_update_while_we_look_is_seen_although_no_row_is_new(nodes, orders, monkeypatch):
    """The clock of the watch writes: what a client does meanwhile, without waiting here."""
    sleep, mine = old_side.time.sleep, threading.get_ident()

    def update(seconds: float) -> None:
        if threading.get_ident() != mine:  # others wait, too
            sleep(seconds)
            return
        with _superuser(nodes) as connection:
            connection.execute("UPDATE orders SET id = id + 1")
            connection.execute("SELECT pg_stat_force_next_flush()")

    monkeypatch.setattr(old_side.time, "sleep", update)
    found = old_side.old_side_writes(fence(nodes), CUTOVER)
    assert (found.rows, found.written) == ((0, 0), (("public.orders", 1),))
    assert old_side.old_side_writes(fence(nodes, ignore=["public.ord*"]), CUTOVER).ignored == (
        "public.orders",
    )


def test_who_is_connected_and_whether_it_is_read_only(nodes, orders):
    assert not old_side.old_side_writes(fence(nodes), CUTOVER).read_only, (
        "our own read-only session proves nothing"
    )
    nodes.sql("db1", "ALTER DATABASE legacy SET default_transaction_read_only = on")
    with _superuser(nodes):
        found = old_side.old_side_writes(fence(nodes), CUTOVER)
    assert found.read_only
    assert [(c.role, c.address) for c in found.clients] == [("postgres", "127.0.0.1")]


@pytest.mark.parametrize(
    ("value", "read_only"),
    [("true", True), ("'yes'", True), ("'1'", True), ("off", False), ("'f'", False), ("DEFAULT", False)],
)
def test_read_only_in_any_writing(nodes, orders, value, read_only):
    """PostgreSQL keeps the value as it was written."""
    nodes.sql("db1", f"ALTER DATABASE legacy SET default_transaction_read_only = {value}")
    assert old_side.old_side_writes(fence(nodes), CUTOVER).read_only is read_only


@pytest.mark.parametrize(
    ("on", "off", "read_only"),
    [
        ("ALTER SYSTEM SET default_transaction_read_only = on", "ALTER SYSTEM RESET default_transaction_read_only", True),
        ("ALTER ROLE ALL SET default_transaction_read_only = on", "ALTER ROLE ALL RESET ALL", True),
        ("ALTER ROLE gate SET default_transaction_read_only = on", "ALTER ROLE gate RESET ALL", False),
    ],
)  # fmt: skip
def test_read_only_by_the_server_and_by_our_own_role_alone(nodes, orders, on, off, read_only):
    nodes.sql("db1", on)
    nodes.sql("db1", "SELECT pg_reload_conf(), pg_sleep(0.2)")
    try:
        found = old_side.old_side_writes(
            fence(nodes, count="SELECT count(*) FROM orders WHERE false"), CUTOVER
        )
    finally:
        with _superuser(nodes) as own:
            own.execute("SET default_transaction_read_only = off")
            own.execute(off)
            own.execute("SELECT pg_reload_conf()")
    assert found.read_only is read_only


def test_our_own_session_cannot_write(nodes, orders):
    """The count of the inventory is anybody's SQL."""
    nodes.sql("db1", "ALTER DATABASE legacy SET default_transaction_read_only = off")
    with _superuser(nodes) as connection:
        connection.execute("GRANT ALL ON orders TO gate")
    found = old_side.old_side_writes(
        fence(nodes, count="WITH d AS (DELETE FROM orders RETURNING 1) SELECT count(*) FROM d WHERE %(cutover)s < now()"), CUTOVER
    )  # fmt: skip
    assert found.rows is None
    assert "read-only transaction" in found.rows_problem


@pytest.mark.parametrize(
    ("count", "cutover", "words"),
    [
        ("SELECT count(*) FROM orders", None, "is unknown"),
        ("SELECT count(*) FROM nothing", CUTOVER, "count failed"),
        ("SELECT 'many'", CUTOVER, "which is not a number of rows"),
        ("SELECT -1", CUTOVER, "which is not a number of rows"),
    ],
)
def test_rows_that_cannot_be_counted_are_unknown(nodes, orders, count, cutover, words):
    wanted = fence(nodes, count=count)
    found = judge_old_side(old_side.old_side_writes(wanted, cutover), wanted)
    assert (found.verdict, words in found.reason) == (Verdict.INCONCLUSIVE, True), found.reason


def test_an_old_side_that_is_not_there_cannot_be_told_of(nodes):
    with pytest.raises(
        CannotTell, match=r"old side's database nothing .* so whether it is still written is unknown"
    ):
        old_side.old_side_writes(fence(nodes, name="nothing"), CUTOVER)


@pytest.fixture
def balancer() -> Iterator[str]:
    """Answers `show stat` as HAProxy documents it; it gets three more requests between two queries."""
    asked = []

    class Answer(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            asked.append(self.rfile.readline())
            self.wfile.write(STAT.format(requests=40 + 3 * len(asked)).encode())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
    assert set(asked) == {b"show stat\n"}


def test_requests_of_stale_clients_are_counted_at_the_old_balancer(nodes, orders, balancer):
    assert (
        old_side.old_side_writes(
            fence(nodes, front={"socket": balancer, "frontend": "old"}), CUTOVER
        ).requests
        == 3
    )
    found = old_side.old_side_writes(fence(nodes, front={"socket": balancer, "frontend": "new"}), CUTOVER)
    assert "no frontend 'new'" in found.front_problem


def test_the_loss_has_a_first_moment_and_a_place_to_be_saved(nodes, cluster, orders, tmp_path):
    """Counted on the new side's primary; here any of its tables will do."""
    asked = {"query": "SELECT 3", "first": "SELECT %(cutover)s::timestamptz", "export": "true"}
    found = loss.lost_since(cluster, Loss(**asked, export_to=tmp_path / "rows"), CUTOVER)
    assert (found.rows, found.first, found.export_problem) == (3, CUTOVER, "")
    assert (
        "no folder"
        in loss.lost_since(cluster, Loss(**asked, export_to=tmp_path / "x" / "y"), CUTOVER).export_problem
    )
    assert "is unknown" in loss.lost_since(cluster, Loss(**asked, export_to=tmp_path / "rows"), None).problem
    assert loss.lost_since(cluster, Loss(query="SELECT 3"), datetime.now(UTC) + timedelta(hours=1)).rows == 0
    assert (
        "not a time with a zone"
        in loss.lost_since(cluster, Loss(query="SELECT 3", first="SELECT 3"), CUTOVER).problem
    )
