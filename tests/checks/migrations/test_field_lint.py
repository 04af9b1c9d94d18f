"""Migrations rehearsed on a real server, each with what it is known to do to a table with rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from long_ones import first
from scratch_cluster import Scratch

from pytest_deploygate.checks.migrations.judge.lint import judge_lint
from pytest_deploygate.checks.migrations.probe.lint import pending_migrations
from pytest_deploygate.checks.migrations.section.lint import MigrationLint
from pytest_deploygate.checks.migrations.section.versions import Migrations
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import CannotTell, Judgement, Verdict

TABLES = """
DROP SCHEMA IF EXISTS shop CASCADE;
CREATE SCHEMA shop;
SET search_path = shop;
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN plain AS int;
CREATE TABLE customers (id int PRIMARY KEY, name text);
INSERT INTO customers SELECT i, 'n' || i FROM generate_series(1, 5000) i;
CREATE TABLE orders (id int NOT NULL, customer_id int, total numeric, code varchar(20), note text, at timestamptz, state text);
INSERT INTO orders SELECT i, i, i, 'c' || i, repeat('x', 40), now(), 'new' FROM generate_series(1, 5000) i;
CREATE TABLE tiny (x int);
INSERT INTO tiny VALUES (1);
CREATE INDEX tiny_x ON tiny (x);
CREATE TABLE nothing (x int);
CREATE TABLE parent (id int, x int);
CREATE TABLE child () INHERITS (parent);
INSERT INTO child SELECT i, i FROM generate_series(1, 5000) i;
CREATE TABLE events (id int, at date, v int) PARTITION BY RANGE (at);
CREATE TABLE events_2030 PARTITION OF events FOR VALUES FROM ('2030-01-01') TO ('2031-01-01');
CREATE TABLE events_default PARTITION OF events DEFAULT;
INSERT INTO events SELECT i, '2029-05-05', i FROM generate_series(1, 5000) i;
CREATE TABLE "Big" (id int, x int);
INSERT INTO "Big" SELECT i, i FROM generate_series(1, 5000) i;
CREATE INDEX "Big_X" ON "Big" (x);
CREATE TABLE big (id int, x int);
CREATE TABLE "Größe" (x int);
INSERT INTO "Größe" SELECT i FROM generate_series(1, 5000) i;
CREATE TABLE prices (net numeric(10, 2), at timestamptz(3));
INSERT INTO prices SELECT i, now() FROM generate_series(1, 5000) i;
CREATE TABLE kinds (kind text, v int) PARTITION BY LIST (kind);
CREATE TABLE kinds_default PARTITION OF kinds DEFAULT;
INSERT INTO kinds SELECT 'a', i FROM generate_series(1, 5000) i;
CREATE TABLE "order" (id int, "User Name" text);
INSERT INTO "order" SELECT i, 'x' FROM generate_series(1, 5000) i;
CREATE MATERIALIZED VIEW sums AS SELECT id, name FROM customers;
CREATE DOMAIN used AS int;
CREATE TABLE uses (x used);
INSERT INTO uses SELECT i FROM generate_series(1, 5000) i;
CREATE FUNCTION own(int) RETURNS void LANGUAGE plpgsql AS 'BEGIN UPDATE shop.orders SET note = $$x$$ WHERE id = $1; END';
CREATE TABLE proven (x int, CONSTRAINT there CHECK (x IS NOT NULL));
INSERT INTO proven SELECT i FROM generate_series(1, 5000) i;
GRANT USAGE ON SCHEMA shop TO gate;
ANALYZE;
"""
SAFE = "SET lock_timeout = '5s'; SET search_path = shop;\n"


@pytest.fixture(scope="module")
def shop(nodes: Scratch) -> Iterator[Scratch]:
    nodes.sql("db1", TABLES)
    nodes.sql("db1", "GRANT pg_read_all_data TO gate; ALTER DATABASE postgres SET search_path = shop")
    yield nodes
    nodes.sql("db1", "DROP SCHEMA shop CASCADE; REVOKE pg_read_all_data FROM gate")
    nodes.sql("db1", "ALTER DATABASE postgres RESET search_path")


def judged(
    cluster: Cluster, folder: Path, *texts: str, migrations: Migrations | None = None, **more: object
) -> Judgement:
    for number, text in enumerate(texts, 1):
        (folder / f"V{number}__m.sql").write_text(text)
    files = [str(folder)] if texts else []
    lint = MigrationLint.model_validate({"files": files, "small": "64kB", **more})
    return judge_lint(pending_migrations(cluster, lint, migrations), lint)


HARMFUL = {
    # Children: their rows count, and each is named.
    "inherited": ("ALTER TABLE parent ALTER x TYPE bigint", "rewrites-table] rewrites the table", "shop.child"),
    "index on parent of partitions": ("CREATE INDEX ON events (v)", "locks-for-index", "shop.events_default"),
    "update of inherited": ("UPDATE parent SET x = 1", "updates-all-rows", "shop.child"),
    "type of partitions": ("ALTER TABLE events ALTER v TYPE bigint", "rewrites-table", "shop.events_default"),
    # A lock of an earlier statement is held until the transaction ends.
    "validated in the same transaction": (
        "BEGIN; ALTER TABLE orders ADD CONSTRAINT c CHECK (total > 0) NOT VALID;\n"
        "ALTER TABLE orders VALIDATE CONSTRAINT c; COMMIT", "scans-table", "commit before it"),
    "index under another's lock": (
        "BEGIN; ALTER TABLE tiny ADD y int; ALTER TABLE orders ADD CONSTRAINT c CHECK (total > 0) NOT VALID; COMMIT;\n"
        "BEGIN; ALTER TABLE tiny ADD z int; ALTER TABLE orders VALIDATE CONSTRAINT c; COMMIT", "holds-lock", "shop.tiny"),
    "foreign key": ("ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers", "scans-table", "shop.orders"),
    "foreign key validated too early": (
        "BEGIN; ALTER TABLE orders ADD CONSTRAINT f FOREIGN KEY (customer_id) REFERENCES customers NOT VALID;\n"
        "ALTER TABLE orders VALIDATE CONSTRAINT f; COMMIT", "scans-table", "commit before it"),
    "domain": ("ALTER TABLE orders ADD COLUMN p positive", "rewrites-table", "shop.orders"),
    "domain with default": ("ALTER TABLE orders ADD COLUMN p positive DEFAULT 1", "rewrites-table", "shop.orders"),
    "domain of a domain with a check": (
        "CREATE DOMAIN dear AS positive;\nALTER TABLE orders ADD COLUMN p dear", "rewrites-table", "shop.orders"),
    "domain that is not null": (
        "CREATE DOMAIN given AS int NOT NULL;\nALTER TABLE orders ADD COLUMN p given DEFAULT 1", "rewrites-table", "shop.orders"),
    "check of a domain that a large table uses": ("ALTER DOMAIN used ADD CHECK (VALUE > 0)", "scans-table", "shop.uses"),
    "not null of such a domain": ("ALTER DOMAIN used SET NOT NULL", "scans-table", "shop.uses"),
    "check of a domain, validated": (
        "ALTER DOMAIN used ADD CONSTRAINT k CHECK (VALUE > 0) NOT VALID;\nALTER DOMAIN used VALIDATE CONSTRAINT k", "scans-table", "shop.uses"),
    "generated column": ("ALTER TABLE orders ADD COLUMN g int GENERATED ALWAYS AS (id * 2) STORED", "rewrites-table", "shop.orders"),
    "identity column": ("ALTER TABLE orders ADD COLUMN g int GENERATED ALWAYS AS IDENTITY", "rewrites-table", "shop.orders"),
    "volatile function of one's own": (
        "CREATE FUNCTION dice() RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN RETURN 4; END';\n"
        "ALTER TABLE orders ADD COLUMN d int DEFAULT dice()", "rewrites-table", "shop.orders"),
    "beside a filled default partition": (
        "CREATE TABLE events_2031 PARTITION OF events FOR VALUES FROM ('2031-01-01') TO ('2032-01-01')",
        "scans-table", "shop.events_default"),
    "attached beside a filled default partition": (
        "CREATE TABLE e31 (LIKE events); ALTER TABLE events ATTACH PARTITION e31 FOR VALUES FROM ('2031-01-01') TO ('2032-01-01')",
        "scans-table", "shop.events_default"),
    "value beside a filled default partition": (
        "CREATE TABLE kinds_b PARTITION OF kinds FOR VALUES IN ('b')", "scans-table", "shop.kinds_default"),
    "quoted": ('ALTER TABLE "Big" ALTER x TYPE bigint', "rewrites-table", 'shop."Big"'),
    "reserved word": ('UPDATE "order" SET "User Name" = NULL', "updates-all-rows", 'shop."order"'),
    "letters that are not ASCII": ('ALTER TABLE "Größe" ALTER x TYPE bigint', "rewrites-table", 'shop."Größe"'),
    "index of a quoted name": ('REINDEX INDEX "Big_X"', "locks-for-reindex", '"Big'),
    "a table that is there, by its schema": (
        "CREATE TABLE IF NOT EXISTS shop.orders (id int); ALTER TABLE orders ALTER id TYPE bigint", "rewrites-table", "shop.orders"),
    "made, and undone": (
        "BEGIN; ALTER TABLE tiny RENAME TO t2; CREATE TABLE tiny (x int); ROLLBACK;\nALTER TABLE orders ALTER id TYPE bigint",
        "rewrites-table", "shop.orders"),
    "index if it is not there": (
        "CREATE TABLE IF NOT EXISTS orders (id int); CREATE INDEX o2 ON orders (total)", "locks-for-index", "CONCURRENTLY"),
    "not null": ("ALTER TABLE orders ALTER code SET NOT NULL", "scans-table", "shop.orders"),
    "not null by a constraint that nothing validated": (
        "ALTER TABLE orders ADD CONSTRAINT n CHECK (code IS NOT NULL) NOT VALID;\nALTER TABLE orders ALTER code SET NOT NULL",
        "scans-table", "shop.orders"),
    "not null by a constraint that takes null": (
        "ALTER TABLE orders ADD CONSTRAINT n CHECK (code <> '') NOT VALID;\nALTER TABLE orders VALIDATE CONSTRAINT n;\n"
        "ALTER TABLE orders ALTER code SET NOT NULL", "scans-table", "shop.orders"),
    "narrower": ("ALTER TABLE orders ALTER code TYPE varchar(10)", "rewrites-table", "shop.orders"),
    "new column not null": ("ALTER TABLE orders ADD COLUMN q int NOT NULL", "adds-not-null-without-default", "orders.q"),
    "subquery": (
        "UPDATE orders SET note = (SELECT name FROM customers WHERE customers.id = orders.customer_id)",
        "updates-all-rows", "every row"),
    "always true": ("DELETE FROM orders WHERE 1 = 1", "updates-all-rows", "every row"),
    "true": ("UPDATE orders SET note = '' WHERE true", "updates-all-rows", "every row"),
    "true, by another table": ("DELETE FROM orders USING tiny WHERE true", "updates-all-rows", "every row"),
    "a condition that most rows meet": ("UPDATE orders SET note = '' WHERE id > 10", "updates-all-rows", "about 4990 rows"),
    "upsert": (
        "INSERT INTO customers SELECT id, name FROM customers ON CONFLICT (id) DO UPDATE SET name = ''", "updates-all-rows",
        "shop.customers"),
    "within a block": ("DO $$ BEGIN EXECUTE 'ALTER TABLE orders ALTER id TYPE bigint'; END $$", "rewrites-table", "shop.orders"),
    "update within a block": ("DO $$ BEGIN UPDATE orders SET note = ''; END $$", "updates-all-rows", "every row"),
    "within a function": (
        "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS 'BEGIN CREATE INDEX ON orders (total); END';\nSELECT f()",
        "locks-for-index", "shop.orders"),
    "truncate": ("TRUNCATE orders", "drops", "shop.orders"),
    "drop": ("DROP TABLE tiny", "drops", "shop.tiny"),
    "drop column": ("ALTER TABLE tiny DROP COLUMN x", "drops", "tiny.x"),
    "rename": ("ALTER TABLE orders RENAME note TO remark", "renames", "remark"),
    "rename in a block": ("DO $$ BEGIN ALTER TABLE tiny RENAME TO small; END $$", "renames", "shop.small"),
    "full vacuum": ("VACUUM (FULL, ANALYZE) orders", "rewrites-table", "shop.orders"),
    "cluster": ("CREATE INDEX CONCURRENTLY o ON orders (id);\nCLUSTER orders USING o", "rewrites-table", "shop.orders"),
    "reindex": ("REINDEX TABLE customers", "locks-for-reindex", "shop.customers"),
    "refresh": ("REFRESH MATERIALIZED VIEW sums", "refreshes-view", "shop.sums"),
    "lock": ("BEGIN; LOCK orders; COMMIT", "takes-lock", "shop.orders"),
    # Errors of the server.
    "concurrently in a transaction": ("BEGIN; CREATE INDEX CONCURRENTLY i ON orders (id); COMMIT", "concurrently-in-transaction", "25001"),
    "concurrently on partitions": ("CREATE INDEX CONCURRENTLY ev ON events (at)", "fails", "partitioned table"),
    "refresh without a unique index": ("REFRESH MATERIALIZED VIEW CONCURRENTLY sums", "fails", "unique index"),
    "slot without logical WAL": ("SELECT pg_create_logical_replication_slot('s', 'pgoutput')", "fails", "wal_level"),
    "unknown column": ("ALTER TABLE orders DROP COLUMN nope", "fails", "nope"),
    "swallowed by a meta-command": ("\\set ON_ERROR_STOP on\nALTER TABLE orders ALTER id TYPE bigint", "rewrites-table", "shop.orders"),
    "by \\gexec": ("SELECT 'ALTER TABLE orders ALTER id TYPE bigint' \\gexec", "rewrites-table", "shop.orders"),
    "swallowed by \\echo": ("\\echo now\nALTER TABLE orders ALTER id TYPE bigint", "rewrites-table", "shop.orders"),
    "swallowed by \\timing": ("\\timing on\nALTER TABLE orders ALTER id TYPE bigint", "rewrites-table", "shop.orders"),
    "after a byte order mark": ("\ufeffALTER TABLE orders ALTER id TYPE bigint", "rewrites-table", "shop.orders"),
}  # fmt: skip


@pytest.mark.parametrize("case", first(14, HARMFUL))
def test_what_is_harmful_fails(shop: Scratch, cluster: Cluster, tmp_path: Path, case: str) -> None:
    text, rule, words = HARMFUL[case]
    bom, text = text[:1] * text.startswith("\ufeff"), text.removeprefix("\ufeff")
    found = judged(cluster, tmp_path, bom + SAFE + text + (";\n" if "gexec" not in text else ""))
    assert found.verdict is Verdict.FAIL, found.reason
    assert f"[{rule}" in found.reason
    assert words in found.reason


HARMLESS = {
    "domain without a check": "ALTER TABLE orders ADD COLUMN p plain",
    "check of a domain, not validated": "ALTER DOMAIN used ADD CONSTRAINT k CHECK (VALUE > 0) NOT VALID",
    "check of a domain that no large table uses": (
        "CREATE DOMAIN fresh AS int;\nALTER TABLE tiny ADD y fresh;\nALTER DOMAIN fresh ADD CHECK (VALUE > 0)"
    ),
    "array of a domain with a check": "ALTER TABLE orders ADD COLUMN p positive[]",
    "domain with a check, of an empty table": "ALTER TABLE nothing ADD COLUMN p positive DEFAULT 1",
    "two transactions": "ALTER TABLE orders ADD CONSTRAINT c CHECK (total > 0) NOT VALID; ALTER TABLE orders VALIDATE CONSTRAINT c",
    "other spelling of an empty table": "ALTER TABLE big ALTER x TYPE bigint",
    "not null proven": (
        "ALTER TABLE orders ADD CONSTRAINT n CHECK (code IS NOT NULL) NOT VALID;\n"
        "ALTER TABLE orders VALIDATE CONSTRAINT n;\nALTER TABLE orders ALTER code SET NOT NULL"
    ),
    "not null proven before": "ALTER TABLE proven ALTER x SET NOT NULL",
    "not null proven with more": (
        "ALTER TABLE orders ADD CONSTRAINT n CHECK (code IS NOT NULL AND code <> '') NOT VALID;\n"
        "ALTER TABLE orders VALIDATE CONSTRAINT n;\nALTER TABLE orders ALTER code SET NOT NULL"
    ),
    "more digits": "ALTER TABLE prices ALTER net TYPE numeric(12, 2)",
    "without a limit": "ALTER TABLE orders ALTER code TYPE varchar; ALTER TABLE prices ALTER net TYPE numeric",
    "more of a second": "ALTER TABLE prices ALTER at TYPE timestamptz(6)",
    "wider": "ALTER TABLE orders ALTER code TYPE varchar(40)",
    "to text": "ALTER TABLE orders ALTER code TYPE text",
    "identity": "ALTER TABLE orders ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY",
    "constant default": "ALTER TABLE orders ADD COLUMN q int NOT NULL DEFAULT 7",
    "index of a small table": "DROP INDEX tiny_x",
    "reindex of a small one": "REINDEX INDEX tiny_x; REINDEX (VERBOSE) TABLE tiny; VACUUM (FULL, VERBOSE) tiny",
    "small ones, in other ways": (
        "CLUSTER tiny USING tiny_x; VACUUM FULL tiny, nothing; ALTER INDEX tiny_x RENAME TO tiny_y; DROP INDEX IF EXISTS tiny_y, nope"
    ),
    "quoted small one": 'CREATE INDEX "Tiny" ON "tiny" (x); REINDEX INDEX "Tiny"; DROP INDEX "Tiny"',
    "lock of a small one": "BEGIN; LOCK tiny; COMMIT",
    "view made here": "CREATE MATERIALIZED VIEW m AS SELECT 1 AS id; CREATE UNIQUE INDEX m_i ON m (id)",
    "temporary": "CREATE TEMP TABLE t AS SELECT 1 AS x; CREATE INDEX ON t (x); UPDATE t SET x = 2; DROP TABLE t",
    "made by a query": "CREATE TABLE copied AS SELECT * FROM orders; CREATE INDEX ON copied (id); UPDATE copied SET note = ''",
    "made by SELECT INTO, then renamed": "SELECT * INTO n1 FROM orders; ALTER TABLE n1 RENAME TO n2; CREATE INDEX ON n2 (id)",
    "made in a block": "DO $$ BEGIN EXECUTE 'CREATE TABLE made (x int)'; END $$; CREATE INDEX ON shop.made (x)",
    "made only if it is not there": "CREATE TABLE IF NOT EXISTS nope (x int); CREATE INDEX ON nope (x)",
    "temporary, of the same name": "CREATE TEMP TABLE IF NOT EXISTS orders (x int); CREATE INDEX ON pg_temp.orders (x)",
    "qualified and then not": "CREATE TABLE shop.foo (id int); CREATE INDEX foo_i ON foo (id)",
    "empty": "CREATE INDEX ON nothing (x); ALTER TABLE nothing ALTER x TYPE bigint; UPDATE nothing SET x = 1",
    "empty, in every way": (
        "ALTER TABLE nothing ADD CHECK (x > 0); ALTER TABLE nothing ALTER x SET NOT NULL; REINDEX TABLE nothing;\n"
        "ALTER TABLE nothing ADD PRIMARY KEY (x); DELETE FROM nothing; VACUUM (FULL) nothing;\n"
        "CREATE TRIGGER u BEFORE UPDATE ON nothing FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()"
    ),
    "index of a parent whose children have the rows": "CREATE INDEX ON parent (x)",
    "concurrently": "CREATE INDEX CONCURRENTLY o_c ON orders (id);\nDROP INDEX CONCURRENTLY o_c",
    "few rows": "UPDATE orders SET note = '' WHERE id = 7",
    "never": "DELETE FROM orders WHERE false",
    "in batches": "DELETE FROM orders WHERE ctid IN (SELECT ctid FROM orders WHERE total > 3 LIMIT 100)",
    "key by an index that is there": (
        "CREATE UNIQUE INDEX CONCURRENTLY o_k ON orders (id);\nALTER TABLE orders ADD CONSTRAINT o_k UNIQUE USING INDEX o_k"
    ),
    "partition without a default": (
        "CREATE TABLE logs (at date) PARTITION BY RANGE (at);\n"
        "CREATE TABLE logs_1 PARTITION OF logs FOR VALUES FROM ('2031-01-01') TO ('2032-01-01')"
    ),
    "beside a default partition that is proven": (
        "ALTER TABLE kinds_default ADD CONSTRAINT k CHECK (kind IS NOT NULL AND kind <> 'c') NOT VALID;\n"
        "ALTER TABLE kinds_default VALIDATE CONSTRAINT k;\nCREATE TABLE kinds_c PARTITION OF kinds FOR VALUES IN ('c')"
    ),
    "new column not null of an empty table": "ALTER TABLE nothing ADD COLUMN q int NOT NULL",
    "dollar in a name": "CREATE TABLE a$b$c (x int); INSERT INTO a$b$c VALUES (1)",
}


@pytest.mark.parametrize("case", first(8, HARMLESS))
def test_what_is_harmless_passes(shop: Scratch, cluster: Cluster, tmp_path: Path, case: str) -> None:
    found = judged(cluster, tmp_path, SAFE + HARMLESS[case] + ";\n")
    assert found.verdict is Verdict.PASS, found.reason
    assert found.reason.startswith("rehearsed with the live schema")


WAITS = {
    "an hour": "SET lock_timeout = '1h';\nALTER TABLE orders ADD COLUMN q int",
    "reset": "SET lock_timeout = '5s'; RESET lock_timeout;\nALTER TABLE orders ADD COLUMN q int",
    "to default": "SET lock_timeout = '5s'; SET lock_timeout TO DEFAULT;\nALTER TABLE orders ADD COLUMN q int",
    "reset all": "SET lock_timeout = '5s'; RESET ALL; SET search_path = shop;\nALTER TABLE orders ADD COLUMN q int",
    "later none": "SET lock_timeout = '5s'; SET lock_timeout = 0;\nALTER TABLE orders ADD COLUMN q int",
    "local that ended": "BEGIN; SET LOCAL lock_timeout = '5s'; COMMIT;\nALTER TABLE orders ADD COLUMN q int",
    "a statement's limit that has ended": (
        "SET statement_timeout = '5s'; RESET statement_timeout;\nALTER TABLE orders ADD COLUMN q int"
    ),
    "local outside": "SET LOCAL lock_timeout = '5s';\nALTER TABLE orders ADD COLUMN q int",
    "rolled back": "BEGIN; SET lock_timeout = '5s'; ROLLBACK;\nALTER TABLE orders ADD COLUMN q int",
    "set_config that was local": "SELECT set_config('lock_timeout', '5s', true);\nALTER TABLE orders ADD COLUMN q int",
    "none": "ALTER TABLE orders ADD COLUMN q int",
    "foreign key's other side": "CREATE TABLE n (c int REFERENCES customers)",
    "trigger": (
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';\n"
        "CREATE TRIGGER t BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION f()"
    ),
}


@pytest.mark.parametrize("case", first(4, WAITS))
def test_a_timeout_that_is_not_in_force_fails(
    shop: Scratch, cluster: Cluster, tmp_path: Path, case: str
) -> None:
    found = judged(cluster, tmp_path, WAITS[case] + ";\n")
    assert found.verdict is Verdict.FAIL, found.reason
    assert "[lock-timeout]" in found.reason
    assert ("up to 60 min" if case == "an hour" else "indefinitely") in found.reason


@pytest.mark.parametrize(
    "text",
    [
        "SELECT set_config('lock_timeout', '5s', false);\nALTER TABLE orders ADD COLUMN q int",
        "BEGIN; SET LOCAL lock_timeout = '5000'; ALTER TABLE orders ADD COLUMN q int; COMMIT",
        "DO $$ BEGIN SET LOCAL lock_timeout = '5s'; ALTER TABLE shop.orders ADD COLUMN q int; END $$",
        "ALTER TABLE tiny ADD COLUMN q int",
        # The statement ends before it has waited longer.
        "SET statement_timeout = '5s';\nALTER TABLE orders ADD COLUMN q int",
        "BEGIN; SET LOCAL lock_timeout = '1h'; SET LOCAL statement_timeout = '9s'; ALTER TABLE orders ADD COLUMN q int; COMMIT",
    ],
)
def test_a_timeout_in_force_or_a_small_table_passes(
    shop: Scratch, cluster: Cluster, tmp_path: Path, text: str
) -> None:
    found = judged(cluster, tmp_path, text + ";\n")
    assert found.verdict is Verdict.PASS, found.reason


def test_the_database_sets_the_timeout(shop: Scratch, cluster: Cluster, tmp_path: Path) -> None:
    """A setting of the live database is in force on the scratch server."""
    shop.sql("db1", "ALTER DATABASE postgres SET lock_timeout = '3s'")
    try:
        found = judged(cluster, tmp_path, "ALTER TABLE orders ADD COLUMN q int;\n")
    finally:
        shop.sql("db1", "ALTER DATABASE postgres RESET lock_timeout")
    assert found.verdict is Verdict.PASS, found.reason


@pytest.mark.long
def test_files_follow_each_other(shop: Scratch, cluster: Cluster, tmp_path: Path) -> None:
    """NOT NULL needs no scan after a constraint that two files before have proven; V10 comes after V2."""
    texts = [
        SAFE + "ALTER TABLE orders ADD CONSTRAINT n CHECK (code IS NOT NULL) NOT VALID;\n",
        SAFE + "ALTER TABLE orders VALIDATE CONSTRAINT n;\n",
        SAFE + "ALTER TABLE orders ALTER code SET NOT NULL;\n",
    ]
    assert judged(cluster, tmp_path, *texts).verdict is Verdict.PASS
    whole = judged(cluster, tmp_path, *texts, files_as="transaction")
    assert whole.verdict is Verdict.PASS, whole.reason
    one = tmp_path / "one"
    one.mkdir()
    together = judged(cluster, one, "\n".join(texts), files_as="transaction")
    assert together.verdict is Verdict.FAIL
    assert "V1__m.sql:5 [scans-table]" in together.reason


def test_a_file_as_one_query_is_one_transaction(shop: Scratch, cluster: Cluster, tmp_path: Path) -> None:
    text = SAFE + "CREATE INDEX CONCURRENTLY o_c ON orders (id);\n"
    found = judged(cluster, tmp_path, text, files_as="one_query")
    assert found.verdict is Verdict.FAIL
    assert "[concurrently-in-transaction]" in found.reason


def test_rows_that_a_rehearsal_has_not_leave_it_open(shop: Scratch, cluster: Cluster, tmp_path: Path) -> None:
    text = "DO $$ BEGIN IF NOT EXISTS (SELECT FROM orders) THEN RAISE 'no orders'; END IF; END $$;\n"
    found = judged(cluster, tmp_path, text)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "no orders" in found.reason


DECIDED_BY_ROWS = {
    "a block": "DO $$ BEGIN IF EXISTS (SELECT FROM orders) THEN ALTER TABLE orders ALTER id TYPE bigint; END IF; END $$;",
    "a loop": (
        "DO $$ DECLARE r record; BEGIN FOR r IN SELECT id FROM orders LOOP\n"
        "UPDATE customers SET name = 'x'; END LOOP; END $$;"
    ),
    "a number of rows": (
        "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ DECLARE n int; BEGIN SELECT count(*) INTO n FROM orders;\n"
        "IF n > 5 THEN CREATE INDEX ON shop.orders (total); END IF; END $$;\nSELECT f();"
    ),
    "a procedure, through a view": (
        "CREATE VIEW few AS SELECT id FROM orders WHERE id < 9;\nCREATE PROCEDURE p() LANGUAGE plpgsql AS $$ DECLARE r record;\n"
        "BEGIN FOR r IN SELECT id FROM few LOOP DELETE FROM orders WHERE id > r.id; COMMIT; END LOOP; END $$;\nCALL p();"
    ),
    "a function for each row": "SELECT own(id) FROM orders;",
    "statements made of rows": "SELECT format('ALTER TABLE orders ALTER id TYPE bigint') FROM orders LIMIT 1 \\gexec",
    "a variable made of rows": (
        "SELECT count(*) > 0 AS some FROM orders \\gset\n\\if :some\nALTER TABLE orders ALTER id TYPE bigint;\n\\endif"
    ),
}


@pytest.mark.parametrize("case", DECIDED_BY_ROWS)
def test_what_rows_decide_is_unknown(shop: Scratch, cluster: Cluster, tmp_path: Path, case: str) -> None:
    """The scratch server has no rows, so nothing of it is run there; with rows each of these rewrites, locks or writes."""
    found = judged(cluster, tmp_path, SAFE + DECIDED_BY_ROWS[case] + "\n")
    assert found.verdict is Verdict.INCONCLUSIVE, found.reason
    assert "[depends-on-rows] reads rows of shop.orders and goes on by them" in found.reason


def test_what_rows_decide_is_allowed_for_one_statement(
    shop: Scratch, cluster: Cluster, tmp_path: Path
) -> None:
    text = SAFE + DECIDED_BY_ROWS["a block"] + "\n" + DECIDED_BY_ROWS["a loop"] + "\n"
    entry = {"file": "V1__m.sql", "rule": "depends-on-rows", "reason": "tried on a copy"}
    with pytest.raises(ValueError, match="depends-on-rows is allowed for one statement"):
        MigrationLint.model_validate({"allowed": [entry]})
    one = entry | {"statement": "DO $$ BEGIN IF EXISTS ..."}
    found = judged(cluster, tmp_path, text, allowed=[one])
    assert found.verdict is Verdict.INCONCLUSIVE, found.reason
    assert "V1__m.sql:3 [depends-on-rows]" in found.reason
    two = entry | {"statement": "DO $$ DECLARE r record; ..."}
    assert judged(cluster, tmp_path, text, allowed=[one, two]).verdict is Verdict.PASS


DECIDED_WITHOUT_ROWS = {
    "the catalog": (
        "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_type WHERE typname = 'mood') THEN CREATE TYPE mood AS ENUM ('a'); END IF; END $$"
    ),
    "a table without rows": "DO $$ BEGIN IF EXISTS (SELECT FROM nothing) THEN ALTER TABLE orders ALTER id TYPE bigint; END IF; END $$",
    "the largest number": "CREATE SEQUENCE s; SELECT setval('s', (SELECT max(id) FROM orders))",
    "the largest number, in a block": (
        "DO $$ BEGIN CREATE SEQUENCE s; PERFORM setval('s', (SELECT max(id) FROM orders)); END $$"
    ),
    "an answer that nobody reads": "SELECT count(*), coalesce(max(note), ''), now()::timestamp(3) FROM orders GROUP BY id",
    "a copy": "CREATE TABLE copied AS SELECT id, lower(note) FROM orders",
    "a foreign key in a block": "DO $$ BEGIN ALTER TABLE shop.tiny ADD COLUMN c int REFERENCES shop.customers; END $$",
    "batches in a block": (
        "DO $$ BEGIN LOOP DELETE FROM orders WHERE ctid IN (SELECT ctid FROM orders WHERE total > 3 LIMIT 100);\n"
        "EXIT WHEN NOT FOUND; END LOOP; END $$"
    ),
}


@pytest.mark.parametrize("case", DECIDED_WITHOUT_ROWS)
def test_what_rows_do_not_decide_passes(shop: Scratch, cluster: Cluster, tmp_path: Path, case: str) -> None:
    found = judged(cluster, tmp_path, SAFE + DECIDED_WITHOUT_ROWS[case] + ";\n")
    assert found.verdict is Verdict.PASS, found.reason


def test_without_a_scratch_server_it_is_only_a_reading(
    shop: Scratch, cluster: Cluster, tmp_path: Path
) -> None:
    """Nothing harmful was read: that is no pass, unless the inventory says that a reading is enough."""
    text = SAFE + "ALTER TABLE parent ADD COLUMN q int;\n"
    nowhere = {"programs": str(tmp_path)}
    found = judged(cluster, tmp_path, text, scratch=nowhere)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "not rehearsed: this host has no postgres" in found.reason
    accepted = judged(cluster, tmp_path, text, rehearse=False)
    assert accepted.verdict is Verdict.PASS
    assert "by a reading of their SQL only" in accepted.reason


def test_the_gate_may_not_read_all_tables(shop: Scratch, cluster: Cluster, tmp_path: Path) -> None:
    shop.sql("db1", "REVOKE pg_read_all_data FROM gate")
    try:
        found = judged(cluster, tmp_path, SAFE + "ALTER TABLE tiny ADD COLUMN q int;\n")
    finally:
        shop.sql("db1", "GRANT pg_read_all_data TO gate")
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "grant pg_read_all_data" in found.reason


def test_the_live_server_is_not_changed_and_nothing_is_left(
    shop: Scratch, cluster: Cluster, tmp_path: Path
) -> None:
    before = shop.sql("db1", "SELECT pg_current_wal_lsn(), count(*) FROM pg_class")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    scratch.chmod(0o777)
    for folder in (tmp_path, *list(tmp_path.parents)[:2]):
        folder.chmod(0o755)
    found = judged(cluster, tmp_path, SAFE + "DROP TABLE orders;\n", scratch={"folder": str(scratch)})
    assert "[drops]" in found.reason
    assert not list(scratch.iterdir())
    assert shop.sql("db1", "SELECT pg_current_wal_lsn(), count(*) FROM pg_class")[0][1] == before[0][1]


PROGRAMS = [
    "COPY tiny FROM PROGRAM 'echo 1';",
    "\\! true\nSELECT 1;",
    "DO $$ BEGIN EXECUTE $x$COPY shop.tiny FROM PROGRAM 'echo 1'$x$; END $$;",
    "\\copy tiny from program 'echo 1'\nSELECT 1;",
    "\\set n `echo 1`\nSELECT :n;",
    "SELECT 1 \\g |cat",
]


@pytest.mark.parametrize("text", PROGRAMS)
def test_programs_beside_the_database_are_said(
    shop: Scratch, cluster: Cluster, tmp_path: Path, text: str
) -> None:
    found = judged(cluster, tmp_path, SAFE + text + "\n")
    assert found.verdict is Verdict.INCONCLUSIVE, found.reason
    assert "[runs-program]" in found.reason
    allowed = [{"file": "V1__m.sql", "rule": "runs-program", "reason": "reviewed by us"}]
    assert judged(cluster, tmp_path, SAFE + text + "\n", allowed=allowed).verdict is Verdict.PASS


def test_triggers_that_are_off_are_said_and_hide_nothing(
    shop: Scratch, cluster: Cluster, tmp_path: Path
) -> None:
    off = "SET session_replication_role = replica;\n"
    found = judged(cluster, tmp_path, SAFE + off + "UPDATE orders SET note = '' WHERE id = 7;\n")
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "[skips-triggers]" in found.reason
    found = judged(cluster, tmp_path, SAFE + off + "ALTER TABLE orders ALTER id TYPE bigint;\n")
    assert "[rewrites-table]" in found.reason


def test_an_allowed_rule_hides_no_other(shop: Scratch, cluster: Cluster, tmp_path: Path) -> None:
    text = SAFE + "ALTER TABLE tiny DROP COLUMN x;\nALTER TABLE orders ALTER id TYPE bigint;\n"
    allowed = [{"file": "V1__m.sql", "rule": "drops", "reason": "nobody reads it"}]
    found = judged(cluster, tmp_path, text, allowed=allowed)
    assert found.verdict is Verdict.FAIL
    assert "[rewrites-table]" in found.reason
    assert "[drops]" not in found.reason
    # The name by which a reading knows the same statement is accepted as well.
    allowed.append({"file": "V1__m.sql", "rule": "changes-type", "reason": "in the window"})
    assert judged(cluster, tmp_path, text, allowed=allowed).verdict is Verdict.PASS


def test_folders_below_and_capital_suffixes_are_run(shop: Scratch, cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "2026").mkdir()
    (tmp_path / "2026" / "V2__x.SQL").write_text(SAFE + "ALTER TABLE orders ALTER id TYPE bigint;\n")
    found = judged(cluster, tmp_path, SAFE + "SELECT 1;\n")
    assert found.verdict is Verdict.FAIL
    assert "V2__x.SQL:2 [rewrites-table]" in found.reason


def test_an_empty_folder_is_no_pass(shop: Scratch, cluster: Cluster, tmp_path: Path) -> None:
    lint = MigrationLint.model_validate({"files": [str(tmp_path)]})
    with pytest.raises(CannotTell, match="matches nothing"):
        pending_migrations(cluster, lint, None)
