"""Recorded statements on a real server: an old and a new schema in two databases, and what each change breaks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest
from scratch_cluster import Scratch, scratch

from pytest_deploygate.checks.old_application import judge, probe
from pytest_deploygate.checks.old_application.section import OldApplication
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import CannotTell, Judgement, Verdict

SCHEMA = """
CREATE SCHEMA shop; GRANT USAGE ON SCHEMA shop TO app, gate;
CREATE TABLE shop.orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, item varchar(40) NOT NULL, quantity integer NOT NULL,
    placed_at timestamptz NOT NULL DEFAULT now(), note text
);
CREATE TABLE shop.stock (item text PRIMARY KEY, count integer NOT NULL);
CREATE VIEW shop.open_orders AS SELECT id, item FROM shop.orders;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA shop TO app;
"""
STATEMENTS = (
    "BEGIN",
    "SET search_path = shop",
    "SELECT * FROM orders WHERE placed_at > now() - interval '1 day'",
    "SELECT id FROM open_orders WHERE item = 'Bearing'",
    "INSERT INTO orders (item, quantity) VALUES ('Bearing', 3)",
    "INSERT INTO stock VALUES ('Bearing', 5) ON CONFLICT (item) DO UPDATE SET count = excluded.count",
    "UPDATE orders SET quantity = 4 WHERE id = 1",
    "COMMIT",
)


@pytest.fixture(scope="module")
def server() -> Iterator[Scratch]:
    with scratch("shared_preload_libraries = 'pg_stat_statements'") as made:
        made.sql("db1", "CREATE ROLE app LOGIN")
        made.sql("db1", "ALTER ROLE app SET search_path = shop, public")
        made.sql("db1", "GRANT pg_read_all_stats TO gate")
        yield made


def _connect(server: Scratch, database: str, role: str = "postgres") -> psycopg.Connection:
    return psycopg.connect(
        host="127.0.0.1", port=server.ports["db1"], dbname=database, user=role, autocommit=True,
        prepare_threshold=None,
    )  # fmt: skip


@pytest.fixture
def both(server) -> Iterator[Callable[..., Judgement]]:
    """Two databases of the same schema; a function changes the new one, or the old application, and judges."""
    for name in ("before", "after"):
        server.sql("db1", f"CREATE DATABASE {name}")
        with _connect(server, name) as connection:
            connection.execute(SCHEMA)
    with _connect(server, "before") as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
        connection.execute("SELECT pg_stat_statements_reset()")
    with _connect(server, "before", "app") as connection:
        for statement in STATEMENTS:
            connection.execute(statement)

    def judged(*changes: str, runs: tuple[str, ...] = (), **more: object) -> Judgement:
        with _connect(server, "after") as connection:
            for change in changes:
                connection.execute(change)
        with _connect(server, "before", "app") as connection:
            for statement in runs:
                connection.execute(statement)
        where = {"host": "127.0.0.1", "port": server.ports["db1"], "user": "gate", "sslmode": "disable"}
        given = {"roles": ["app"], "recorded_in": where | {"name": "before"}, "covers": "0s"} | more
        wanted = OldApplication.model_validate(given)
        cluster = Cluster(server.database(name="after"))
        try:
            found = probe.on_new_schema(cluster, wanted)
        finally:
            cluster.close()
        return judge.judge(found, wanted)

    yield judged
    for name in ("before", "after"):
        server.sql("db1", f"DROP DATABASE {name} WITH (FORCE)")


def test_the_same_schema_passes_with_what_was_tried(both):
    found = both()
    assert found.verdict is Verdict.PASS, found.reason
    assert "all 5 recorded statements of app prepare" in found.reason
    assert "the 2 that insert rows leave out nothing" in found.reason
    assert any("no instance of the old application" in note for note in found.notes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("ALTER TABLE shop.orders RENAME COLUMN quantity TO amount", 'column "quantity" of relation "orders" does not exist'),
        ("DROP TABLE shop.stock", 'relation "stock" does not exist'),
        ("ALTER TABLE shop.orders DROP COLUMN note", "no longer returns note"),
        ("DROP VIEW shop.open_orders", 'relation "open_orders" does not exist'),
        ("ALTER TABLE shop.orders ADD COLUMN site text NOT NULL", "shop.orders.site is NOT NULL without a default"),
        ("ALTER TABLE shop.stock ADD COLUMN site text NOT NULL", "shop.stock.site is NOT NULL without a default"),
        ("ALTER TABLE shop.orders ALTER COLUMN placed_at DROP DEFAULT", "shop.orders.placed_at is NOT NULL without a default"),
        ("ALTER TABLE shop.stock DROP CONSTRAINT stock_pkey", "no unique or exclusion constraint matching the ON CONFLICT"),
        ("REVOKE UPDATE ON shop.orders FROM app", "the role app lacks UPDATE on shop.orders"),
        ("REVOKE SELECT ON shop.orders FROM app", "lacks SELECT on shop.orders"),
    ],
)  # fmt: skip
def test_a_change_that_breaks_the_old_application_fails(both, change, words):
    found = both(change)
    assert (found.verdict, words in found.reason) == (Verdict.FAIL, True), found.reason
    assert found.confirmed


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE shop.orders ADD COLUMN site text NOT NULL DEFAULT 'plant'",
        "ALTER TABLE shop.orders ADD COLUMN site text",
        "ALTER TABLE shop.orders ADD COLUMN doubled integer GENERATED ALWAYS AS (quantity * 2) STORED",
        "ALTER TABLE shop.orders ALTER COLUMN quantity TYPE bigint",
        "DROP VIEW shop.open_orders; ALTER TABLE shop.orders ALTER COLUMN item TYPE text;"
        " CREATE VIEW shop.open_orders AS SELECT id, item FROM shop.orders; GRANT SELECT ON shop.open_orders TO app",
        "CREATE INDEX ON shop.orders (item)",
    ],
)
def test_a_change_that_it_does_not_notice_passes(both, change):
    found = both(*change.split("; "))
    assert found.verdict is Verdict.PASS, found.reason


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("ALTER TABLE shop.stock ALTER COLUMN count TYPE smallint", "shop.stock.count is smallint"),
        ("ALTER TABLE shop.orders ALTER COLUMN note TYPE jsonb USING note::jsonb", "returns note as jsonb"),
    ],
)
def test_what_cannot_be_told_is_inconclusive(both, change, words):
    found = both(change)
    assert (found.verdict, words in found.reason) == (Verdict.INCONCLUSIVE, True), found.reason


def test_a_schema_that_we_may_not_use_is_not_taken_for_one_that_is_gone(both):
    with pytest.raises(CannotTell, match="GRANT USAGE ON SCHEMA shop TO gate"):
        both("REVOKE USAGE ON SCHEMA shop FROM gate")


def test_without_any_statement_that_prepares_the_search_path_may_be_wrong(both, server):
    with _connect(server, "after") as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
    with _connect(server, "after", "app") as connection:
        connection.execute("SELECT note FROM orders")
    found = both(recorded_in=None, search_path="public")
    assert (found.verdict, "`search_path`" in found.reason) == (Verdict.INCONCLUSIVE, True), found.reason


def test_a_role_that_the_new_schema_does_not_know_is_inconclusive(both):
    with pytest.raises(CannotTell, match="there is no role nobody"):
        both(as_role="nobody")


def test_a_driver_that_sends_types_breaks_on_another_type(both):
    change, runs = (
        "ALTER TABLE shop.stock ALTER COLUMN count TYPE text",
        ("SELECT 1 FROM stock WHERE count > 3",),
    )
    accepted = ["shop.stock.count"]
    found = both(change, runs=runs, accepted=accepted)
    assert (found.verdict, "say `parameters: typed`" in found.reason) == (Verdict.INCONCLUSIVE, True)
    found = both(parameters="typed", accepted=accepted)
    assert (found.verdict, "operator does not exist" in found.reason) == (Verdict.FAIL, True), found.reason
    found = both(parameters="untyped", accepted=accepted)
    assert found.verdict is Verdict.PASS, found.reason


def test_a_trigger_may_fill_in_what_is_not_written(both):
    found = both(
        "ALTER TABLE shop.orders ADD COLUMN site text NOT NULL",
        "CREATE FUNCTION shop.fill() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.site := 'x'; RETURN NEW; END$$",
        "CREATE TRIGGER fill BEFORE INSERT ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.fill()",
    )
    assert (found.verdict, "a trigger before each row" in found.reason) == (Verdict.INCONCLUSIVE, True)


def test_what_fails_on_the_old_schema_as_well_was_not_tried(both):
    runs = ("CREATE TEMP TABLE scratch (a int)", "INSERT INTO scratch VALUES (1)")
    found = both(runs=runs)
    assert (found.verdict, "on the old schema as well" in found.reason) == (Verdict.INCONCLUSIVE, True)
    found = both(ignore=["*scratch*"])
    assert found.verdict is Verdict.PASS, found.reason


def test_a_copy_without_columns_breaks_on_a_column_that_is_new(both, server):
    with (
        _connect(server, "before", "app") as connection,
        connection.cursor() as cursor,
        cursor.copy("COPY stock FROM STDIN") as copy,
    ):
        copy.write_row(("Seal", 1))
    found = both("ALTER TABLE shop.stock ADD COLUMN site text")
    assert (found.verdict, "one value too few" in found.reason) == (Verdict.FAIL, True), found.reason


def test_a_record_of_nobody_and_one_that_is_too_young_prove_nothing(both):
    found = both(roles=["nobody"], as_role="app")
    assert (found.verdict, "has no statement of nobody" in found.reason) == (Verdict.INCONCLUSIVE, True)
    found = both(covers="1h")
    assert (found.verdict, "reaches back" in found.reason) == (Verdict.INCONCLUSIVE, True), found.reason


def test_without_an_old_schema_what_is_missing_fails_and_types_are_not_compared(both, server):
    """The old application ran on the database that was then migrated."""
    with _connect(server, "after") as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
    with _connect(server, "after", "app") as connection:
        connection.execute("INSERT INTO orders (item, quantity) VALUES ('Seal', 1)")
        connection.execute("SELECT note FROM orders WHERE placed_at > now() - interval '2 days'")
    found = both(recorded_in=None)
    assert found.verdict is Verdict.PASS, found.reason
    assert any("no old schema to compare with" in note for note in found.notes)
    found = both("ALTER TABLE shop.orders DROP COLUMN note", recorded_in=None)
    assert (found.verdict, 'column "note" does not exist' in found.reason) == (Verdict.FAIL, True)


def test_a_smoke_check_of_the_old_application(both):
    found = both(smoke=[{"name": "old app", "tcp": "127.0.0.1:1"}])
    assert (found.verdict, "smoke check old app failed" in found.reason) == (Verdict.FAIL, True), found.reason


def test_nothing_is_executed_and_nothing_is_left(both, server):
    text = "INSERT INTO stock (item, count) VALUES ('A', 1) RETURNING count"
    with _connect(server, "after") as connection:
        before = connection.execute("SELECT count(*) FROM shop.stock").fetchone()
        both(runs=(text,))
        assert connection.execute("SELECT count(*) FROM shop.stock").fetchone() == before
        locks = (
            "SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation WHERE c.relname = 'stock'"
        )
        assert connection.execute(locks).fetchone() == (0,)


def test_a_database_without_the_extension_cannot_be_told_of(both):
    with pytest.raises(CannotTell, match="CREATE EXTENSION pg_stat_statements in the database after"):
        both(recorded_in=None)
