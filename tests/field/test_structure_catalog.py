"""Changes of a database's structure that are in no column: each is made on PostgreSQL, judged, and undone."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from scratch_cluster import Scratch

from pytest_deploygate.checks.structure.judge.tables import (
    ExpectedAll,
    ExpectedRelation,
    judge_relation,
    judge_surplus,
)
from pytest_deploygate.checks.structure.probe import catalog
from pytest_deploygate.checks.structure.snapshot import load_snapshot
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import Judgement, Verdict

SETUP = """
DROP SCHEMA IF EXISTS s CASCADE; DROP SERVER IF EXISTS far CASCADE; DROP PUBLICATION IF EXISTS p;
DROP PUBLICATION IF EXISTS q; ALTER ROLE gate RESET ALL; ALTER DATABASE postgres RESET ALL; DROP EVENT TRIGGER IF EXISTS e;
DO $$ BEGIN CREATE ROLE s_app; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
ALTER ROLE s_app RESET ALL; ALTER ROLE s_app IN DATABASE postgres RESET ALL;
REVOKE CREATE ON DATABASE postgres FROM PUBLIC, s_app;
ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM PUBLIC, s_app;
CREATE SCHEMA s;
CREATE FUNCTION s.f(a int DEFAULT 1) RETURNS int LANGUAGE sql STRICT PARALLEL SAFE AS 'SELECT a';
CREATE FUNCTION s.add(int, int) RETURNS int LANGUAGE sql AS 'SELECT $1 + $2';
CREATE FUNCTION s.larger(int, int) RETURNS int LANGUAGE sql AS 'SELECT greatest($1, $2)';
CREATE AGGREGATE s.total(int) (SFUNC = s.add, STYPE = int, INITCOND = '0');
CREATE TABLE s.t (id int, k text, v text);
CREATE TABLE s.l (k text) PARTITION BY LIST (k);
CREATE TABLE s.l_eu PARTITION OF s.l FOR VALUES IN ('de', 'fr');
CREATE TABLE s.l_us PARTITION OF s.l FOR VALUES IN ('us');
CREATE TABLE s.l_default PARTITION OF s.l DEFAULT;
CREATE TABLE s.h (k int) PARTITION BY HASH (k);
CREATE TABLE s.h0 PARTITION OF s.h FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE s.h1 PARTITION OF s.h FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE s.r (d date) PARTITION BY RANGE (d);
CREATE TABLE s.r1 PARTITION OF s.r FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE s.r_default PARTITION OF s.r DEFAULT;
CREATE MATERIALIZED VIEW s.m AS SELECT count(*) FROM s.t;
CREATE STATISTICS s.st (dependencies) ON k, v FROM s.t;
CREATE EXTENSION IF NOT EXISTS postgres_fdw;
CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'db.example.com', dbname 'old');
CREATE USER MAPPING FOR s_app SERVER far OPTIONS (user 'reader', password 'very-secret-word');
CREATE FOREIGN TABLE s.ft (id int OPTIONS (column_name 'number')) SERVER far OPTIONS (table_name 'things');
CREATE FUNCTION s.seen() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER e ON ddl_command_end WHEN TAG IN ('DROP TABLE') EXECUTE FUNCTION s.seen();
CREATE PUBLICATION p FOR TABLE s.t, s.r;
CREATE TABLE s.child () INHERITS (s.t);
CREATE SEQUENCE s.seq OWNED BY s.t.id;
CREATE TYPE s.mood AS ENUM ('a', 'b');
CREATE OPERATOR s.=== (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq, COMMUTATOR = OPERATOR(s.===));
CREATE CAST (s.mood AS int) WITH INOUT;
CREATE COLLATION s.col (provider = icu, locale = 'de');
CREATE TEXT SEARCH CONFIGURATION s.words (COPY = english);
CREATE TEXT SEARCH DICTIONARY s.stems (TEMPLATE = snowball, language = german);
ALTER DATABASE postgres SET search_path = s, public; ALTER ROLE s_app SET timezone = 'Asia/Tokyo';
ALTER DATABASE postgres SET app.key = 'very-secret-word'; ALTER DATABASE postgres SET work_mem = '5MB';
"""


@pytest.fixture(scope="module")
def snapshot(server: Scratch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    server.sql("db1", SETUP)
    path = tmp_path_factory.mktemp("snapshot") / "s.json"
    with closing(Cluster(server.database())) as cluster:
        catalog.write_snapshot(cluster, ["s"], path)
    return path


def judged(server: Scratch, path: Path) -> list[Judgement]:
    expected = load_snapshot(path)
    with closing(Cluster(server.database())) as cluster:
        every = [judge_surplus(catalog.surplus(cluster, expected), ExpectedAll(expected))]
        for name in expected.table_names:
            wanted = ExpectedRelation(expected.relations[name], expected.server_major)
            every.append(judge_relation(catalog.relation(cluster, expected, name), wanted))
        return every


def after(server: Scratch, path: Path, change: str) -> list[Judgement]:
    server.sql("db1", SETUP)
    try:
        for statement in change.split(";; "):
            server.sql("db1", statement)
        return judged(server, path)
    finally:
        server.sql("db1", SETUP)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("GRANT CREATE ON DATABASE postgres TO PUBLIC", "database: grant to PUBLIC: CREATE not expected"),
        ("GRANT CREATE ON DATABASE postgres TO s_app", "database: grant to s_app: not expected, found CREATE"),
        ("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
         "default privileges of postgres on tables: not expected"),
        ("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC", "SELECT to PUBLIC"),
        ("ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT INSERT ON TABLES TO s_app",
         "default privileges of postgres in schema s on tables: not expected"),
        ("ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT EXECUTE ON FUNCTIONS TO s_app", "in schema s on functions"),
        ("CREATE OR REPLACE FUNCTION s.f(a int DEFAULT 2) RETURNS int LANGUAGE sql STRICT PARALLEL SAFE AS 'SELECT a'",
         "function s.f(a integer): arguments: a integer DEFAULT 1 expected, found a integer DEFAULT 2"),
        ("ALTER FUNCTION s.f(int) CALLED ON NULL INPUT", "on null input: returns null (STRICT) expected, found called"),
        ("ALTER FUNCTION s.f(int) PARALLEL UNSAFE", "parallel: safe expected, found unsafe"),
        ("CREATE OR REPLACE AGGREGATE s.total(int) (SFUNC = s.larger, STYPE = int, INITCOND = '0')",
         "found state function s.larger(integer,integer)"),
        ("CREATE OR REPLACE AGGREGATE s.total(int) (SFUNC = s.add, STYPE = int, INITCOND = '7')", "initial state 7"),
        ("DROP TABLE s.l_us", "s.l has 1 difference from the snapshot: partition s.l_us: FOR VALUES IN ('us') expected"),
        ("ALTER TABLE s.l DETACH PARTITION s.l_us", "partition s.l_us: FOR VALUES IN ('us') expected, but missing"),
        ("ALTER TABLE s.l DETACH PARTITION s.l_eu;; ALTER TABLE s.l ATTACH PARTITION s.l_eu FOR VALUES IN ('de')",
         "FOR VALUES IN ('de', 'fr') expected, found FOR VALUES IN ('de')"),
        ("DROP TABLE s.h1", "partition s.h1: FOR VALUES WITH (modulus 2, remainder 1) expected, but missing"),
        ("DROP TABLE s.l_default", "partition s.l_default: DEFAULT expected, but missing"),
        ("DROP TABLE s.r_default", "partition s.r_default: DEFAULT expected, but missing"),
        ("ALTER FOREIGN TABLE s.ft OPTIONS (SET table_name 'others')", "table_name 'things' expected, found table_name"),
        ("ALTER FOREIGN TABLE s.ft ALTER id OPTIONS (SET column_name 'n')", "OPTIONS (column_name 'n')"),
        ("ALTER SERVER far OPTIONS (SET host 'elsewhere.example.com')", "foreign server far: foreign options: dbname"),
        ("DROP USER MAPPING FOR s_app SERVER far", "foreign server far: user mappings: s_app expected"),
        ("DROP EVENT TRIGGER e", "event trigger e: expected, but missing"),
        ("ALTER EVENT TRIGGER e DISABLE", "(disabled)"),
        ("REFRESH MATERIALIZED VIEW s.m WITH NO DATA", "queries of it fail: REFRESH MATERIALIZED VIEW s.m"),
        ("DROP STATISTICS s.st", "statistics s.st: CREATE STATISTICS s.st (dependencies) ON k, v FROM s.t expected"),
        ("DROP STATISTICS s.st; CREATE STATISTICS s.st (ndistinct) ON k, v FROM s.t", "(ndistinct)"),
        ("DROP PUBLICATION p", "publication p: expected, but missing"),
        ("ALTER PUBLICATION p DROP TABLE s.r", "publication p: table s.r: all rows and columns expected, but missing"),
        ("ALTER PUBLICATION p SET (publish = 'insert')", "insert, update, delete, truncate expected, found insert"),
        ("ALTER PUBLICATION p SET TABLE s.t WHERE (id > 5), s.r", "found where (id > 5)"),
        ("ALTER TABLE s.child NO INHERIT s.t", "inherits from: s.t expected, but missing"),
        ("CREATE TABLE s.u (id int); ALTER TABLE s.child INHERIT s.u", "inherits from: s.t expected, found s.t, s.u"),
        ("ALTER SEQUENCE s.seq OWNED BY NONE", "s.seq: owned by: s.t.id expected, but missing"),
        ("DROP OPERATOR s.=== (int, int)", "operator s.===(integer,integer): expected, but missing"),
        (
            "DROP OPERATOR s.=== (int, int); CREATE OPERATOR s.=== (LEFTARG = int, RIGHTARG = int, FUNCTION = int4ne)",
            "found FUNCTION int4ne(integer,integer)",
        ),
        ("DROP CAST (s.mood AS int)", "cast (s.mood AS integer): expected, but missing"),
        (
            "DROP CAST (s.mood AS int); CREATE CAST (s.mood AS int) WITH INOUT AS IMPLICIT",
            "INOUT expected, found INOUT IMPLICIT",
        ),
        ("DROP COLLATION s.col", "collation s.col: expected, but missing"),
        (
            "DROP COLLATION s.col; CREATE COLLATION s.col (provider = icu, locale = 'sv')",
            "provider i locale de expected, found provider i locale sv",
        ),
        ("DROP TEXT SEARCH CONFIGURATION s.words", "text search configuration s.words: expected, but missing"),
        (
            "ALTER TEXT SEARCH CONFIGURATION s.words DROP MAPPING FOR url",
            "text search configuration s.words: definition: parser default, mappings md5",
        ),
        (
            "ALTER TEXT SEARCH DICTIONARY s.stems (language = english)",
            "language = 'german' expected, found template snowball, language = 'english'",
        ),
        (
            "ALTER DATABASE postgres SET search_path = public",
            "database: setting search_path: s, public expected, found public",
        ),
        ("ALTER DATABASE postgres RESET search_path", "database: setting search_path: s, public expected, but missing"),
        ("ALTER ROLE s_app RESET timezone", "setting TimeZone of s_app: Asia/Tokyo expected, but missing"),
        ("ALTER DATABASE postgres RESET app.key", "setting app.key: (set) expected, but missing"),
        (
            "ALTER ROLE s_app IN DATABASE postgres SET search_path = ''",
            'setting search_path of s_app in this database: not expected, found ""',
        ),
    ],
)  # fmt: skip
def test_a_change_is_seen(server: Scratch, snapshot: Path, change: str, words: str) -> None:
    failed = [j.reason for j in after(server, snapshot, change) if j.verdict is Verdict.FAIL]
    assert words in " | ".join(failed)


@pytest.mark.parametrize(
    ("change", "note"),
    [
        ("SELECT 1", ""),
        ("INSERT INTO s.t VALUES (1, 'a', 'b'); REFRESH MATERIALIZED VIEW s.m; ANALYZE s.t", ""),
        ("CREATE TABLE s.r2 PARTITION OF s.r FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')", ""),
        ("DROP TABLE s.r1", ""),
        (
            "CREATE TABLE s.l_jp PARTITION OF s.l FOR VALUES IN ('jp')",
            "partition s.l_jp FOR VALUES IN ('jp')",
        ),
        ("CREATE PUBLICATION q FOR TABLE s.t", "publication q is not in the snapshot"),
        ("ALTER DATABASE postgres SET work_mem = '9MB'", ""),
        ("ALTER DATABASE postgres SET app.key = 'another'; ALTER ROLE gate SET search_path = public", ""),
    ],
)
def test_what_is_no_change_passes(server: Scratch, snapshot: Path, change: str, note: str) -> None:
    found = after(server, snapshot, change)
    assert [j.reason for j in found if j.verdict is not Verdict.PASS] == []
    assert note in " ".join(text for j in found for text in j.notes)


def test_a_view_that_was_empty_at_the_snapshot_may_be_filled(server: Scratch, tmp_path: Path) -> None:
    server.sql("db1", SETUP)
    server.sql("db1", "REFRESH MATERIALIZED VIEW s.m WITH NO DATA")
    with closing(Cluster(server.database())) as cluster:
        catalog.write_snapshot(cluster, ["s"], tmp_path / "empty.json")
    assert {j.verdict for j in judged(server, tmp_path / "empty.json")} == {Verdict.PASS}
    server.sql("db1", "REFRESH MATERIALIZED VIEW s.m")
    assert {j.verdict for j in judged(server, tmp_path / "empty.json")} == {Verdict.PASS}


def test_a_password_of_a_mapping_is_not_in_the_file(snapshot: Path) -> None:
    assert "reader" not in snapshot.read_text()
    assert "very-secret-word" not in snapshot.read_text()


@pytest.mark.parametrize("number", [1, 2])
def test_a_snapshot_of_an_earlier_format_is_compared_as_far_as_it_goes(
    server: Scratch, snapshot: Path, tmp_path: Path, number: int
) -> None:
    server.sql("db1", SETUP)
    new = load_snapshot(snapshot)
    old = json.loads(snapshot.read_text()) | {"format": f"deploygate-snapshot/{number}"}
    expected = replace(new, format=number)
    old["others"] = {n: dict(a) for n, a in expected.comparable_objects(new.others).items()}
    old["relations"] = {n: dict(expected.comparable(a)) for n, a in new.relations.items()}
    assert ("database" in old["others"]) is (number == 2)
    assert not [name for name in old["others"] if name.startswith(("operator ", "cast "))]
    (tmp_path / "old.json").write_text(json.dumps(old))
    found = judged(server, tmp_path / "old.json")
    assert {j.verdict for j in found} == {Verdict.PASS}
    assert "the snapshot is of an earlier version" in found[0].notes[-1]
