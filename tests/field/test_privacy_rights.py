"""Ways to change audit records that are no privilege on their table, each tried by the application itself where it can be."""

from __future__ import annotations

from contextlib import closing

import psycopg
import pytest
from scratch_cluster import Scratch

from pytest_deploygate.checks.privacy.judge.audit_trail import judge_rights
from pytest_deploygate.checks.privacy.probe.audit_trail import audit_rights
from pytest_deploygate.checks.privacy.section import AuditTrail
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import Judgement, Verdict

SETUP = """
DROP SCHEMA IF EXISTS a CASCADE;
DO $$ BEGIN CREATE ROLE app LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
DO $$ BEGIN CREATE ROLE keeper; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
CREATE SCHEMA a; GRANT USAGE ON SCHEMA a TO app, keeper, gate;
CREATE TABLE a.log (id int, note text); INSERT INTO a.log VALUES (1, 'x'); ALTER TABLE a.log OWNER TO keeper;
CREATE TABLE a.people (id int); ALTER TABLE a.people OWNER TO keeper;
CREATE TABLE a.log_settings (id int);
CREATE FUNCTION a.record() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
  'BEGIN INSERT INTO a.log VALUES (2, TG_OP); RETURN NULL; END';
ALTER FUNCTION a.record() OWNER TO keeper;
CREATE TRIGGER recorded AFTER INSERT ON a.people FOR EACH ROW EXECUTE FUNCTION a.record();
GRANT INSERT, SELECT ON a.log, a.people TO app;
"""
UNDO = """
ALTER ROLE app NOCREATEROLE NOBYPASSRLS NOSUPERUSER; REVOKE pg_write_server_files, pg_write_all_data, pg_execute_server_program, keeper FROM app;
ALTER DATABASE postgres OWNER TO postgres; REVOKE SET ON PARAMETER session_replication_role FROM app;
"""
AUDIT = AuditTrail.model_validate(
    {"table": "a.log", "role": {"user": "app"}, "operation": [{"sql": "SELECT 1"}], "query": "SELECT 1"}
)
DEFINER = "CREATE FUNCTION a.clean() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN {} END'; ALTER FUNCTION a.clean() OWNER TO keeper"


def judged(server: Scratch, change: str) -> Judgement:
    server.sql("db1", SETUP)
    try:
        server.sql("db1", change)
        with closing(Cluster(server.database())) as cluster:
            return judge_rights(audit_rights(cluster, AUDIT), AUDIT)
    finally:
        server.sql("db1", UNDO)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (DEFINER.format("DELETE FROM a.log;"), "may execute a.clean(), which changes records as keeper"),
        (DEFINER.format('update   only "a"."log" set note = 1;'), "may execute a.clean()"),
        (DEFINER.format("TRUNCATE TABLE a.log;"), "may execute a.clean()"),
        (DEFINER.format("SET search_path = a; DELETE FROM log;"), "may execute a.clean()"),
        ("ALTER FUNCTION a.record() OWNER TO app", "owns a.record(), the function of the audit trigger recorded"),
        ("ALTER TABLE a.people OWNER TO app", "owns a.people (may switch the audit trigger recorded off)"),
        ("ALTER DATABASE postgres OWNER TO app", "owns the database postgres"),
        ("ALTER ROLE app CREATEROLE", "has CREATEROLE"),
        ("ALTER ROLE app BYPASSRLS", "has BYPASSRLS"),
        ("GRANT pg_write_server_files TO app", "is a member of pg_write_server_files"),
        ("GRANT SET ON PARAMETER session_replication_role TO app", "may SET session_replication_role"),
        ("CREATE VIEW a.v AS SELECT * FROM a.log; GRANT DELETE ON a.v TO app", "may DELETE through the view a.v"),
        ("CREATE VIEW a.v AS SELECT * FROM a.log WHERE id > 0; GRANT UPDATE ON a.v TO app", "may UPDATE through the view a.v"),
        ("CREATE VIEW a.v AS SELECT * FROM a.log; CREATE VIEW a.v2 AS SELECT * FROM a.v; GRANT DELETE ON a.v2 TO app",
         "may DELETE through the view a.v2"),
        ("CREATE VIEW a.v AS SELECT * FROM a.log; CREATE VIEW a.v2 AS SELECT * FROM a.v; CREATE VIEW a.v3 AS SELECT * FROM a.v2;"
         " GRANT UPDATE (note) ON a.v3 TO app", "may UPDATE through the view a.v3"),
        ("CREATE VIEW a.v WITH (security_invoker = on) AS SELECT * FROM a.log; CREATE VIEW a.v2 AS SELECT * FROM a.v;"
         " GRANT DELETE ON a.v2 TO app", "may DELETE through the view a.v2"),
        ("CREATE TABLE a.other (id int); CREATE RULE r AS ON INSERT TO a.other DO ALSO DELETE FROM a.log; GRANT INSERT ON a.other TO app",
         "changes records by the rule r on a.other"),
        ("CREATE VIEW a.v AS SELECT 1 AS one; CREATE RULE r AS ON DELETE TO a.v DO INSTEAD UPDATE a.log SET note = ''; GRANT DELETE ON a.v TO app",
         "changes records by the rule r on a.v"),
        ("GRANT keeper TO app", "by membership in keeper"),
        ("CREATE FUNCTION a.clean() RETURNS void LANGUAGE sql SECURITY DEFINER BEGIN ATOMIC DELETE FROM a.log; END;"
         " ALTER FUNCTION a.clean() OWNER TO keeper", "may execute a.clean()"),
        ("CREATE PROCEDURE a.clean() LANGUAGE sql SECURITY DEFINER AS 'DELETE FROM a.log'; ALTER PROCEDURE a.clean() OWNER TO keeper",
         "may execute a.clean()"),
        (DEFINER.format("MERGE INTO a.log USING a.people p ON p.id = a.log.id WHEN MATCHED THEN DELETE;"), "may execute a.clean()"),
        (DEFINER.format("WITH d AS (DELETE FROM /* x */ a.log RETURNING *) SELECT 1;"), "may execute a.clean()"),
        (DEFINER.format("DROP TABLE a.log;"), "may execute a.clean()"),
        (DEFINER.format("ALTER TABLE a.log DISABLE TRIGGER ALL;"), "a.clean()"),
        ("GRANT pg_write_all_data TO app", "pg_write_all_data"),
        ("GRANT pg_execute_server_program TO app", "pg_execute_server_program"),
        ("ALTER SCHEMA a OWNER TO app", "a"),
        ("GRANT TRIGGER ON a.log TO app", "TRIGGER"),
        ("ALTER TABLE a.people ADD PRIMARY KEY (id); INSERT INTO a.people VALUES (1), (2); ALTER TABLE a.log ADD FOREIGN KEY (id) REFERENCES a.people"
         " ON DELETE CASCADE; GRANT DELETE ON a.people TO app", "a.people"),
        ("CREATE TABLE a.parent (id int, note text); ALTER TABLE a.log INHERIT a.parent; ALTER TABLE a.parent OWNER TO keeper;"
         " GRANT DELETE ON a.parent TO app", "may DELETE a.parent, whose rows include these records"),
        ("CREATE TABLE a.top (id int, note text); CREATE TABLE a.parent () INHERITS (a.top); ALTER TABLE a.log INHERIT a.parent;"
         " GRANT UPDATE (note) ON a.top TO app", "may UPDATE a.top, whose rows include these records"),
        ("CREATE TABLE a.child () INHERITS (a.log); CREATE TABLE a.below () INHERITS (a.child); GRANT DELETE ON a.below TO app", "may DELETE a.below"),
        ("CREATE TABLE a.log_2031 () INHERITS (a.log); " + DEFINER.format("DELETE FROM a.log_2031;"), "may execute a.clean()"),
        ("CREATE TABLE a.child () INHERITS (a.log); ALTER TABLE a.child OWNER TO keeper; CREATE VIEW a.v AS SELECT * FROM a.child;"
         " ALTER VIEW a.v OWNER TO keeper; GRANT DELETE ON a.v TO app", "may DELETE through the view a.v"),
        ("ALTER TABLE a.log RENAME TO log_1; CREATE TABLE a.log (id int, note text) PARTITION BY RANGE (id); ALTER TABLE a.log OWNER TO keeper;"
         " ALTER TABLE a.log ATTACH PARTITION a.log_1 DEFAULT; " + DEFINER.format("DELETE FROM a.log_1;"), "may execute a.clean()"),
        (DEFINER.format("PERFORM 1; -- tidy\n DELETE -- all\n FROM a.log;"), "may execute a.clean()"),
        ("ALTER ROLE app SUPERUSER", "app is superuser: REVOKE"),
        ("CREATE RULE r AS ON UPDATE TO a.log DO INSTEAD NOTHING; GRANT UPDATE, DELETE ON a.log TO app", "may DELETE a.log"),
        ("CREATE RULE r AS ON UPDATE TO a.log WHERE old.id > 5 DO INSTEAD NOTHING; GRANT UPDATE ON a.log TO app", "may UPDATE a.log"),
        ("CREATE RULE r AS ON INSERT TO a.log DO INSTEAD NOTHING", "through the rule r"),
    ],
)  # fmt: skip
def test_a_way_around_the_tables_privileges_fails(server: Scratch, change: str, words: str) -> None:
    found = judged(server, change)
    assert found.verdict is Verdict.FAIL, found.reason
    assert words in found.reason


@pytest.mark.parametrize(
    "change",
    [
        "SELECT 1",
        DEFINER.format("INSERT INTO a.log VALUES (3);"),
        DEFINER.format("DELETE FROM a.log_settings;"),
        DEFINER.format("DELETE FROM a.people;"),
        DEFINER.format("PERFORM 1; -- never DELETE rows, this is not FROM a.log\n"),
        "CREATE TABLE a.parent (id int, note text); ALTER TABLE a.log INHERIT a.parent; GRANT SELECT, INSERT ON a.parent TO app",
        "CREATE TABLE a.parent (id int, note text); ALTER TABLE a.log INHERIT a.parent; GRANT DELETE ON a.parent TO app;"
        " CREATE RULE d AS ON DELETE TO a.parent DO INSTEAD NOTHING",
        "CREATE TABLE a.parent (id int, note text); CREATE TABLE a.other () INHERITS (a.parent); GRANT DELETE ON a.parent, a.other TO app",
        DEFINER.format("DELETE FROM a.log;") + "; REVOKE EXECUTE ON FUNCTION a.clean() FROM PUBLIC",
        DEFINER.format("DELETE FROM a.log;").replace("SECURITY DEFINER", "SECURITY INVOKER"),
        "CREATE RULE r AS ON UPDATE TO a.log DO INSTEAD NOTHING; CREATE RULE d AS ON DELETE TO a.log DO INSTEAD NOTHING;"
        " GRANT UPDATE, DELETE ON a.log TO app",
        "CREATE VIEW a.v AS SELECT count(*) FROM a.log; GRANT DELETE ON a.v TO app",
        "CREATE VIEW a.v AS SELECT * FROM a.log; GRANT SELECT, INSERT ON a.v TO app",
        "CREATE VIEW a.v AS SELECT * FROM a.people; GRANT DELETE ON a.v TO app",
        "CREATE VIEW a.v WITH (security_invoker = true) AS SELECT * FROM a.log; GRANT DELETE ON a.v TO app",
        "CREATE VIEW a.v AS SELECT * FROM a.log; ALTER VIEW a.v OWNER TO app; CREATE VIEW a.v2 AS SELECT * FROM a.v; ALTER VIEW a.v2 OWNER TO app",
        "CREATE TABLE a.other (id int); CREATE RULE r AS ON INSERT TO a.other DO ALSO DELETE FROM a.log",
        "CREATE TABLE a.other (id int); CREATE RULE r AS ON INSERT TO a.other DO ALSO INSERT INTO a.log VALUES (9); GRANT INSERT ON a.other TO app",
    ],
)
def test_what_only_looks_like_one_passes(server: Scratch, change: str) -> None:
    found = judged(server, change)
    assert found.verdict is Verdict.PASS, found.reason


def test_a_function_that_composes_its_statements_is_named(server: Scratch) -> None:
    found = judged(server, DEFINER.format("EXECUTE ''SELECT 1'';"))
    assert found.verdict is Verdict.PASS
    assert "composed when they run: a.clean() by app" in found.notes[0]


@pytest.mark.parametrize(
    ("change", "attack"),
    [
        (DEFINER.format("DELETE FROM a.log;"), "SELECT a.clean()"),
        ("ALTER TABLE a.people OWNER TO app", "ALTER TABLE a.people DISABLE TRIGGER recorded"),
        ("GRANT SET ON PARAMETER session_replication_role TO app", "SET session_replication_role = replica"),
        ("CREATE VIEW a.v AS SELECT * FROM a.log; GRANT DELETE ON a.v TO app", "DELETE FROM a.v"),
        ("ALTER ROLE app CREATEROLE", "GRANT keeper TO app"),
        (
            "CREATE VIEW a.v AS SELECT * FROM a.log; CREATE VIEW a.v2 AS SELECT * FROM a.v; GRANT SELECT, DELETE ON a.v2 TO app",
            "DELETE FROM a.v2",
        ),
        (
            "CREATE TABLE a.other (id int); CREATE RULE r AS ON INSERT TO a.other DO ALSO DELETE FROM a.log; GRANT INSERT ON a.other TO app",
            "INSERT INTO a.other VALUES (1)",
        ),
        (
            "CREATE TABLE a.parent (id int, note text); ALTER TABLE a.log INHERIT a.parent; GRANT SELECT, DELETE ON a.parent TO app",
            "DELETE FROM a.parent",
        ),
    ],
)
def test_the_application_can_really_do_it(server: Scratch, change: str, attack: str) -> None:
    """The truth by PostgreSQL itself: as `app` the statement succeeds, and without the change it does not."""
    server.sql("db1", SETUP)
    login = {
        "host": "127.0.0.1",
        "port": server.ports["db1"],
        "user": "app",
        "dbname": "postgres",
        "autocommit": True,
    }
    with psycopg.connect(**login) as app, pytest.raises(psycopg.Error):
        app.execute(attack)
    server.sql("db1", change)
    try:
        with psycopg.connect(**login) as app:
            app.execute(attack)
    finally:
        server.sql("db1", UNDO)
