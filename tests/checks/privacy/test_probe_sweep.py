"""The sweep on real servers: a person hidden in JSON, arrays, bytea, a materialized view, a log, Redis."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest
from scratch_cluster import wait

from pytest_deploygate.checks.postgres.probe.caches import redis
from pytest_deploygate.checks.privacy.probe.erasure import erase_person
from pytest_deploygate.checks.privacy.probe.operations import new_subject
from pytest_deploygate.checks.privacy.probe.redis_sweep import keys_with
from pytest_deploygate.checks.privacy.probe.sweep import sweep
from pytest_deploygate.checks.privacy.section import Erasure, SearchedRedis
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.clients.redis import redis_client
from pytest_deploygate.model import CannotTell

SUBJECT = new_subject("00ff00ff00ff00ff")
SETUP = """
DROP SCHEMA IF EXISTS er CASCADE; CREATE SCHEMA er; CREATE ROLE er_app LOGIN;
GRANT USAGE ON SCHEMA er TO er_app, gate;
CREATE TABLE er.people (id int GENERATED ALWAYS AS IDENTITY, email text, raw bytea, doc jsonb, tags text[]);
CREATE TABLE er.numbers (a int, b timestamptz);
CREATE TABLE er.parted (at date NOT NULL, who text) PARTITION BY RANGE (at);
CREATE TABLE er.part PARTITION OF er.parted FOR VALUES FROM ('2020-01-01') TO ('2030-01-01');
GRANT INSERT, SELECT, DELETE ON er.people TO er_app; GRANT SELECT ON ALL TABLES IN SCHEMA er TO gate;
"""


def section(**more) -> Erasure:
    add = "INSERT INTO er.people (email) VALUES (%(email)s)"
    drop = "DELETE FROM er.people WHERE email = %(email)s"
    return Erasure.model_validate(
        {"role": {"user": "er_app"}, "create": [{"sql": add}], "erase": [{"sql": drop}], "within": "300ms",
         "expected": ["er.people.email"], "backups": [{"name": "b", "keep": "30d"}], **more}
    )  # fmt: skip


@pytest.fixture
def made(nodes) -> Iterator:
    nodes.sql("db1", SETUP)
    yield lambda text: nodes.sql("db1", text)
    nodes.sql("db1", "DROP SCHEMA er CASCADE; DROP OWNED BY er_app; DROP ROLE er_app")


def places(found) -> set[str]:
    return {hit.place for hit in found.hits if hit.place.startswith(("er.", "log", "redis"))}


def test_a_person_is_found_in_every_kind_of_column_on_a_replica(cluster, made):
    made(f"INSERT INTO er.people (email) VALUES (upper('{SUBJECT.email}')); INSERT INTO er.people (doc) VALUES"
         f" (jsonb_build_object('a', jsonb_build_array('{SUBJECT.name}'))); INSERT INTO er.people (tags) VALUES"
         f" (ARRAY['x', '{SUBJECT.phone}']); INSERT INTO er.people (raw) VALUES (convert_to('{SUBJECT.email}', 'UTF8'));"
         f" INSERT INTO er.parted VALUES ('2026-01-01', '{SUBJECT.email}');"
         " CREATE MATERIALIZED VIEW er.copied AS SELECT email FROM er.people WHERE email IS NOT NULL;"
         " GRANT SELECT ON er.copied TO gate")  # fmt: skip
    found = sweep(cluster, section(), SUBJECT)
    assert found.node == "db2"
    assert places(found) == {"er.people.email", "er.people.doc", "er.people.tags", "er.people.raw", "er.parted.who",
                             "er.copied.email"}  # fmt: skip
    assert found.textless >= 1
    assert places(sweep(cluster, section(), new_subject("1234567890abcdef"))) == set()


def test_a_transaction_that_is_still_open_holds_no_sweep_up(cluster, made, nodes):
    """Its pages are sent without the end of its last record: no replica replays up to pg_current_wal_lsn()."""
    with psycopg.connect(
        host="127.0.0.1", port=nodes.ports["db1"], user="postgres", dbname="postgres"
    ) as writer:
        before = nodes.sql("db1", "SELECT pg_current_wal_lsn()::text")[0][0]
        writer.execute("CREATE TABLE er.half AS SELECT g, repeat('x', 200) FROM generate_series(1, 1000) g")
        wait(lambda: nodes.sql("db1", f"SELECT pg_current_wal_flush_lsn() > '{before}'")[0][0])
        assert sweep(cluster, section(), SUBJECT).node == "db2"
        writer.rollback()


def test_what_cannot_be_read_is_named_not_passed_over(cluster, made):
    made("CREATE TABLE er.secret (who text); CREATE TABLE er.rows (who text); GRANT SELECT ON er.rows TO gate;"
         "ALTER TABLE er.rows ENABLE ROW LEVEL SECURITY")  # fmt: skip
    unread = " ".join(sweep(cluster, section(views=["er.gone"]), SUBJECT).unread)
    assert "er.secret: not readable: GRANT pg_read_all_data" in unread
    assert "er.rows: row security hides rows" in unread
    assert "er.gone: there is no such view" in unread


def test_a_locked_table_is_named_and_the_others_are_read(cluster, made, nodes):
    """An ACCESS EXCLUSIVE lock costs that table's time limit and hides only that table; without a replica the primary is read."""
    made(f"INSERT INTO er.people (email) VALUES ('{SUBJECT.email}')")
    alone = {"statement_timeout": timedelta(seconds=2), "replicas": None}
    brief = Cluster(cluster.settings.model_copy(update=alone))
    with psycopg.connect(
        host="127.0.0.1", port=nodes.ports["db1"], user="postgres", dbname="postgres"
    ) as holder:
        holder.execute("LOCK TABLE er.parted IN ACCESS EXCLUSIVE MODE")
        found = sweep(brief, section(), SUBJECT)
    brief.close()
    assert [text for text in found.unread if "er.parted" in text and "timeout" in text], found.unread
    assert "er.people.email" in places(found)


def test_a_log_file_is_looked_at(cluster, made, tmp_path):
    log = tmp_path / "app.log"
    log.write_text(f"hello {SUBJECT.email.upper()}\nbye\n")
    logs = [{"name": "app", "path": str(log)}, {"name": "none", "path": str(tmp_path / "none")}]
    found = sweep(cluster, section(logs=logs), SUBJECT)
    assert "log app" in places(found)
    assert any("log none" in text for text in found.unread)


def test_a_folder_of_logs_is_looked_at_file_by_file(cluster, made, tmp_path):
    """Lines of all files below it count; the first file is named."""
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "app.log.1").write_text(f"a {SUBJECT.phone}\nb\nc {SUBJECT.name}\n")
    (tmp_path / "other.log").write_text("nobody\n")
    found = sweep(cluster, section(logs=[{"name": "all", "path": str(tmp_path)}]), SUBJECT)
    assert [(hit.place, hit.rows, hit.first) for hit in found.hits] == [
        ("log all", 2, str(tmp_path / "old" / "app.log.1"))
    ]


def test_an_erasure_from_beginning_to_end_and_after_a_crash(cluster, made, nodes):
    """A token that a crashed run left behind is used to erase that person first."""
    left = new_subject("abcdefabcdefabcd")
    assert erase_person(cluster, section()).left_behind == 0
    made(f"INSERT INTO er.people (email) VALUES ('{left.email}')")
    made("INSERT INTO deploygate.deploygate_subjects VALUES ('abcdefabcdefabcd', now() - interval '1 hour')")
    found = erase_person(cluster, section())
    assert found.left_behind == 1
    assert "er.people.email" in places(found.before)
    assert found.after is not None
    assert places(found.after) == set()
    assert made("SELECT count(*) FROM er.people") == [(0,)]
    assert made("SELECT count(*) FROM deploygate.deploygate_subjects") == [(0,)]


def test_a_person_that_cannot_be_made_cannot_tell(cluster, made):
    with pytest.raises(CannotTell, match="step 1, as er_app"):
        erase_person(cluster, section(create=[{"sql": "INSERT INTO er.nowhere VALUES (%(email)s)"}]))


@pytest.fixture
def redis_server(tmp_path) -> Iterator[dict[str, object]]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed here")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)],
                              stdout=subprocess.DEVNULL)  # fmt: skip
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as there:
            if there.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    yield {"name": "cache", "host": "127.0.0.1", "port": port}
    server.terminate()
    server.wait(10)


def test_redis_is_looked_through_and_its_hits_counted(cluster, made, redis_server):
    erasure = section(redis=[redis_server])
    with redis_client(erasure.redis[0]) as client:
        client.set("other", "x")
        assert places(sweep(cluster, erasure, SUBJECT)) == set()
        client.hset("session:1", "mail", SUBJECT.email)
        client.rpush("list", SUBJECT.name)
        client.sadd("set", SUBJECT.name.upper())
        client.zadd(f"by:{SUBJECT.phone}", {"m": 1})
        client.zadd("scores", {SUBJECT.email: 1})
        client.xadd("stream", {"who": SUBJECT.email})
        client.set("text", f"<{SUBJECT.email}>")
        client.get("other")
        client.get("absent")
    found = sweep(cluster, erasure, SUBJECT)
    assert [(hit.place, hit.rows) for hit in found.hits if hit.place.startswith("redis")] == [
        ("redis cache", 7)
    ]
    facts = redis(erasure.redis[0])
    assert facts.hits >= 1
    assert facts.misses >= 1
    dark = erasure.redis[0].model_copy(update={"port": 1})
    with pytest.raises(CannotTell, match="did not answer"):
        redis(dark)


def test_one_key_among_thousands_is_found_in_any_database(redis_server):
    """Keys are read in batches, expired ones among them; the search has a time limit."""
    cache = SearchedRedis.model_validate({**redis_server, "databases": [0, 3]})
    with redis_client(cache, 3) as client:
        client.mset({f"key:{n}": "x" * 20 for n in range(3000)})
        client.mset({"mail:1": SUBJECT.email.upper()})
        client.set("gone", SUBJECT.email, px=1)
    time.sleep(0.01)
    assert keys_with(cache, SUBJECT.needles()) == ["mail:1 (database 3)"]
    with pytest.raises(CannotTell, match=r"its time was up after \d+ of 3001 keys"):
        keys_with(cache.model_copy(update={"timeout": timedelta(0)}), SUBJECT.needles())


def test_redis_without_permission_names_what_it_needs(redis_server):
    """A user who may not read values makes it inconclusive, not a pass."""
    cache = SearchedRedis.model_validate(redis_server)
    with redis_client(cache) as client:
        client.set("key", "value")
        client.execute_command(
            "ACL", "SETUSER", "default", "on", "nopass", "~*", "&*", "-@all", "+client", "+select", "+dbsize"
        )
    with pytest.raises(CannotTell, match=r"ACL user needs ~\* \+@read"):
        keys_with(cache, SUBJECT.needles())
