"""Sources that are written to meanwhile, and servers that hide rows, wait or fail."""

from __future__ import annotations

import threading
import time

import psycopg

from pytest_deploygate.comparison import engine, position
from pytest_deploygate.comparison.sides import PostgresServer
from pytest_deploygate.comparison.spec import Budget, Live


def test_rows_that_arrive_late_are_transient(both, compare):
    """The source is ahead of the target in some rows; one difference stays."""
    both[1].sql("DELETE FROM app.by_two WHERE v IN (5, 6); UPDATE app.by_two SET v = 0 WHERE v = 7")

    def arrive() -> None:
        time.sleep(1.0)
        both[1].sql(
            "INSERT INTO app.by_two SELECT n % 3, '2026-01-01Z'::timestamptz + n * interval '1 minute', n FROM (VALUES (5), (6)) AS v(n)"
        )

    late = threading.Thread(target=arrive)
    late.start()
    outcome = compare("by_two", live=Live(0.7, times=4))
    late.join()
    assert (outcome.differences, outcome.tables[0].changed, outcome.certain) == (1, 1, True)


def test_rows_that_never_settle_are_unknown(both, compare):
    """A row whose values change all the time is neither equal nor different."""
    both[1].sql("UPDATE app.by_two SET v = 0 WHERE v = 7")
    ended = threading.Event()

    def change() -> None:
        where = f"host=127.0.0.1 port={both[1].port} user=postgres dbname=plant"
        with psycopg.connect(where, autocommit=True) as connection:
            while not ended.wait(0.01):
                connection.execute("UPDATE app.by_two SET v = -random() * 10000 WHERE site = 1 AND v <= 0")

    busy = threading.Thread(target=change)
    busy.start()
    try:
        outcome = compare("by_two", live=Live(1.0, times=2))
    finally:
        ended.set()
        busy.join()
    assert (outcome.differences, outcome.tables[0].unsettled, outcome.certain) == (0, 1, False)


def test_a_row_policy_that_hides_rows_is_an_error(both, sides, tables, tmp_path):
    both[1].sql(
        "CREATE ROLE reader LOGIN; GRANT USAGE ON SCHEMA app TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA app TO reader;"
        "ALTER TABLE app.by_two ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON app.by_two USING (v > 10);"
        "REVOKE SELECT ON app.empty FROM reader"
    )
    target = PostgresServer(both[1].settings(user="reader"), "target", 60.0)
    try:
        outcome = engine.compare(tables("by_two", "empty", "by_text"), sides[0], target, tmp_path)
    finally:
        both[1].sql("DROP OWNED BY reader")
    hidden, denied, whole = outcome.tables
    assert "row-level security" in hidden.problem
    assert "denies permission" in denied.problem
    assert (whole.problem, whole.differences) == ("", 0)
    assert not outcome.certain


def test_broken_connections_are_opened_again(both, sides, tables, tmp_path):
    """Where that is not enough the table has a problem; nothing is found that is not there."""
    wanted = tables()
    killer = threading.Thread(target=_kill, args=(both[1],))

    class Begun(engine.Nobody):
        """The first connections ask for settings and checksums: without them there is no comparison."""

        def planned(self, tables: int, rows: int) -> None:  # noqa: ARG002 (of `Watch`)
            killer.start()

    outcome = engine.compare(wanted, *sides, tmp_path, budget=Budget(rest=0.8), watch=Begun())
    killer.join()
    assert outcome.differences == 0
    assert outcome.certain is not any(table.problem for table in outcome.tables)
    again = engine.compare(wanted, *sides, tmp_path, budget=Budget(), resume=True)
    assert (again.certain, again.differences) == (True, 0)


def _kill(server) -> None:
    for _ in range(5):
        server.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'deploygate'"
        )
        time.sleep(0.05)


def test_rows_are_late_until_the_target_has_confirmed_them(both, sides, tables, tmp_path):
    """A real subscription that is held up: unknown while it has not confirmed, then only what really differs."""
    source, target = both
    where = f"host=127.0.0.1 port={source.port} user=postgres dbname=plant"
    source.sql("CREATE PUBLICATION moved FOR TABLE app.by_two")
    target.sql(f"CREATE SUBSCRIPTION moving CONNECTION '{where}' PUBLICATION moved WITH (copy_data = false)")
    try:
        target.sql("UPDATE app.by_two SET v = -1 WHERE v = 7")
        by_slot = position.by_slot(source.settings(), "moving")

        def released(seconds: float, stopped: threading.Event) -> None:
            holder.close()  # the rows were read, and are late
            by_slot(seconds, stopped)

        bounded = Live(10.0, times=6, caught_up=released)
        short = Live(0.2, times=1, caught_up=by_slot)
        holder = psycopg.connect(f"host=127.0.0.1 port={target.port} user=postgres dbname=plant")
        holder.execute("LOCK TABLE app.by_two IN SHARE MODE")
        source.sql("UPDATE app.by_two SET v = v + 0.5 WHERE v IN (11, 12)")
        late = engine.compare(tables("by_two"), *sides, tmp_path / "late", live=short)
        assert "the target has confirmed" in late.tables[0].problem
        assert (late.certain, late.differences) == (False, 0)
        found = engine.compare(tables("by_two"), *sides, tmp_path / "found", live=bounded)
        # Both late rows, or one: the other may be looked at after the subscription was released.
        assert (found.certain, found.tables[0].changed, found.tables[0].transient > 0) == (True, 1, True)
        nobody = Live(0.2, times=1, caught_up=position.by_slot(source.settings(), "nothing"))
        unknown = engine.compare(tables("by_two"), *sides, tmp_path / "none", live=nobody)
        assert "has no replication slot nothing" in unknown.tables[0].problem
    finally:
        target.sql("ALTER SUBSCRIPTION moving DISABLE")
        target.sql("DROP SUBSCRIPTION moving")
        source.sql("DROP PUBLICATION moved")
