"""A person as systems really write them: each writing is made by PostgreSQL, Python, gzip or Redis, and then looked for."""

from __future__ import annotations

import base64
import gzip
import json
import re
import shutil
import socket
import subprocess
import time
import urllib.parse
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from places import server_folder
from scratch_cluster import Scratch, wait

from pytest_deploygate.checks.privacy.judge.erasure import judge_erasure
from pytest_deploygate.checks.privacy.probe.erasure import erase_person
from pytest_deploygate.checks.privacy.probe.operations import new_subject
from pytest_deploygate.checks.privacy.probe.redis_sweep import keys_with
from pytest_deploygate.checks.privacy.probe.sweep import sweep
from pytest_deploygate.checks.privacy.section import Erasure, SearchedRedis
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.clients.redis import redis_client
from pytest_deploygate.model import CannotTell

PERSON, OTHER = new_subject("0123456789abcdef"), new_subject("9f3c5a7712e4b08d")
EMAIL = PERSON.email
TEXTS = [
    EMAIL, EMAIL.upper(), urllib.parse.quote(EMAIL), urllib.parse.quote_plus(PERSON.name), EMAIL.replace("@", "\\u0040"),
    EMAIL.replace("@", "&#64;"), EMAIL.partition("@")[0], PERSON.phone.replace("-", ""), PERSON.phone.replace("+1-", "001"),
    base64.b64encode(EMAIL.encode()).decode(), base64.b64encode(f"x{EMAIL}".encode()).decode(),
    base64.b64encode(f"xy{EMAIL}".encode()).decode(), base64.urlsafe_b64encode(EMAIL.upper().encode()).decode(),
    base64.b64encode(PERSON.phone.encode()).decode(), EMAIL.encode().hex(), EMAIL.upper().encode().hex().upper(),
    EMAIL.replace("@", "=40"), EMAIL.replace("@", "&#x40;"), EMAIL.replace("@", "&commat;"), EMAIL.replace("@", "\\100"),
    EMAIL.replace("@", " at "), EMAIL.replace("@", "\uff20"), ", ".join(reversed(PERSON.name.split())), PERSON.name.replace(" ", "_").upper(),
    PERSON.phone.replace("-", " "), json.dumps(json.dumps({"mail": EMAIL.replace("@", "\\u0040")})),
    EMAIL.encode("utf-16-le").hex(), EMAIL.encode("utf-16-be").hex(), json.dumps({"mail": EMAIL}), "\\x" + EMAIL.encode().hex(),
]  # fmt: skip
BASE64, HEX, URL = (
    base64.b64encode,
    lambda b: b.hex().encode(),
    lambda b: urllib.parse.quote(b).encode(),
)
WITHIN = [
    (URL, URL), (URL, BASE64), (BASE64, URL), (URL, HEX), (HEX, URL), (BASE64, BASE64), (BASE64, HEX), (HEX, BASE64), (HEX, HEX),
    (lambda b: b.hex().upper().encode(), BASE64), (base64.encodebytes, bytes), (base64.encodebytes, BASE64),
    (lambda b: b.decode().encode("utf-16-le"), BASE64), (lambda b: b.decode().encode("utf-16-be"), BASE64),
    (lambda b: json.dumps(b.decode()).encode(), BASE64), (lambda b: json.dumps(b.decode()).encode(), URL),
    (base64.urlsafe_b64encode, base64.urlsafe_b64encode), (URL, lambda b: urllib.parse.quote(urllib.parse.quote(b)).encode()),
]  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[Scratch]:
    made = Scratch(server_folder("dgw-"))
    try:
        made.replica = lambda *_: None  # type: ignore[method-assign]
        made.create()
        made.sql("db1", "GRANT pg_read_all_data TO gate")
        yield made
    finally:
        made.destroy()


def section(**more: object) -> Erasure:
    return Erasure.model_validate(
        {"role": {"user": "gate"}, "create": [{"sql": "SELECT 1"}], "erase": [{"sql": "SELECT 1"}], "expected": ["a.b.c"],
         "backups": [{"name": "b", "keep": "30d"}], **more}
    )  # fmt: skip


def places(server: Scratch, person=PERSON, **more: object) -> set[str]:
    with closing(Cluster(server.database(replicas=None))) as cluster:
        found = sweep(cluster, section(**more), person)
    assert found.unread == (), found.unread
    return {hit.place for hit in found.hits}


@pytest.mark.parametrize("text", TEXTS)
def test_a_writing_in_a_column(server: Scratch, text: str) -> None:
    with psycopg.connect(
        host="127.0.0.1", port=server.ports["db1"], user="postgres", dbname="postgres", autocommit=True
    ) as own:
        own.execute("CREATE TABLE public.w (t text, raw bytea, words tsvector)")
        try:
            own.execute(
                "INSERT INTO public.w VALUES (%s, %s, to_tsvector('simple', %s))", (text, text.encode(), text)
            )
            found = places(server)
            assert "public.w.t" in found
            assert "public.w.raw" in found
            assert places(server, OTHER) == set()
        finally:
            own.execute("DROP TABLE public.w")


#: Types of columns, and an expression of `{}` in each.
TYPES = {
    "text[]": "ARRAY[{}]", "jsonb": "jsonb_build_object({}, 1)", "json": "json_build_object('a', ARRAY[{}])", "jsonb[]": "ARRAY[to_jsonb({})]",
    "xml": "xmlelement(name a, {})", "char(200)": "{}", "name": "{}::name", "public.mail": "{}", "public.pair": "ROW(1, {})::public.pair",
    "public.pair[]": "ARRAY[ROW(1, {})::public.pair]", "bytea[]": "ARRAY[convert_to({}, 'UTF8')]", "public.span": "public.span({}, {} || 'z')",
    "public.spans": "public.spans(public.span({}, {} || 'z'))", "tsquery": "plainto_tsquery('simple', {})", "jsonpath": "('$.\"' || {} || '\"')::jsonpath",
}  # fmt: skip


@pytest.mark.parametrize("kind", TYPES)
def test_a_person_in_a_column_of_any_type(server: Scratch, kind: str) -> None:
    server.sql(
        "db1",
        "CREATE DOMAIN public.mail AS text; CREATE TYPE public.pair AS (n int, m text);"
        " CREATE TYPE public.span AS RANGE (subtype = text, multirange_type_name = public.spans);"
        f" CREATE TABLE public.w (c {kind})",
    )
    try:
        for person, found in ((OTHER, set()), (PERSON, {"public.w.c"})):
            value = TYPES[kind].format(*[f"'{person.email}'::text"] * 2)
            server.sql("db1", f"INSERT INTO public.w SELECT {value}")
            assert places(server) == found
    finally:
        server.sql(
            "db1",
            "DROP TABLE public.w; DROP TYPE public.span; DROP TYPE public.pair; DROP DOMAIN public.mail",
        )


@pytest.mark.parametrize(
    "before", ["", "x", "xy", "a text that is longer than a line of base64 in a mail, so that it is cut: "]
)
@pytest.mark.parametrize("number", range(len(WITHIN)))
def test_a_writing_within_another(server: Scratch, before: str, number: int) -> None:
    """Encoded by Python's own libraries, twice, as text and as bytes; another person's writing is no hit."""
    inner, outer = WITHIN[number]
    values = [outer(inner(f"{before}{person.email} {person.name}".encode())) for person in (PERSON, OTHER)]
    with psycopg.connect(
        host="127.0.0.1", port=server.ports["db1"], user="postgres", dbname="postgres", autocommit=True
    ) as own:
        own.execute("CREATE TABLE public.w (who int, t text, raw bytea)")
        try:
            for who, value in enumerate(values):
                own.execute(
                    "INSERT INTO public.w VALUES (%s, %s, NULL), (%s, NULL, %s)",
                    (who, value.decode(), who, value),
                )
            found = places(server)
            assert "public.w.t" in found
            # A bytea is itself written in hexadecimal, so two more layers within it are one too many.
            assert "public.w.raw" in found or not {inner, outer} & {URL, bytes}
            own.execute("DELETE FROM public.w WHERE who = 0")
            assert places(server) == set()
        finally:
            own.execute("DROP TABLE public.w")


def test_children_with_columns_of_their_own_and_odd_names(server: Scratch) -> None:
    server.sql(
        "db1",
        f"""
        CREATE TABLE public.parent (id int, note text); CREATE TABLE public.child (mail text) INHERITS (public.parent);
        CREATE TABLE public.plain () INHERITS (public.parent); INSERT INTO public.child VALUES (1, '', '{EMAIL}');
        INSERT INTO public.plain VALUES (1, '{EMAIL}');
        CREATE TABLE public."Odd %s name" ("Per%cent" text, cell text, value text); INSERT INTO public."Odd %s name" VALUES ('{EMAIL}');
    """,
    )
    try:
        assert places(server) == {
            "public.child.mail",
            "public.parent.note",
            'public."Odd %s name"."Per%cent"',
        }
    finally:
        server.sql("db1", 'DROP TABLE public.parent CASCADE; DROP TABLE public."Odd %s name"')


@pytest.mark.parametrize(
    "texts",
    [(), (OTHER.email,), (EMAIL, EMAIL.encode().hex(), "")],
    ids=["none", "of somebody else", "three"],
)
def test_large_objects_are_counted(server: Scratch, texts: tuple[str, ...]) -> None:
    """Whatever they hold: none of them is read, so each leaves the search open."""
    for number, text in enumerate(texts, 5000):
        server.sql("db1", f"SELECT lo_from_bytea({number}, convert_to('{text}', 'UTF8'))")
    try:
        with closing(Cluster(server.database(replicas=None))) as cluster:
            assert sweep(cluster, section(), PERSON).large_objects == len(texts)
    finally:
        server.sql("db1", "SELECT lo_unlink(oid) FROM pg_largeobject_metadata")


def test_large_objects_are_named_as_not_searched(server: Scratch) -> None:
    server.sql("db1", f"SELECT lo_from_bytea(4711, convert_to('{EMAIL}', 'UTF8'))")
    try:
        with closing(Cluster(server.database(replicas=None))) as cluster:
            assert sweep(cluster, section(), PERSON).large_objects == 1
    finally:
        server.sql("db1", "SELECT lo_unlink(4711)")


def test_a_materialized_view_is_searched_once_it_has_rows(server: Scratch) -> None:
    """One that was never filled holds nobody; reading it is an error, which is no reason to doubt the search."""
    server.sql(
        "db1",
        f"CREATE TABLE public.w AS SELECT '{EMAIL}'::text AS t; CREATE MATERIALIZED VIEW public.v AS SELECT t FROM public.w WITH NO DATA",
    )
    try:
        assert places(server) == {"public.w.t"}
        server.sql("db1", "REFRESH MATERIALIZED VIEW public.v")
        assert places(server) == {"public.w.t", "public.v.t"}
        server.sql("db1", "DELETE FROM public.w")
        assert places(server) == {"public.v.t"}
    finally:
        server.sql("db1", "DROP TABLE public.w CASCADE")


@pytest.mark.parametrize(
    "form", ["plain", "rotated", "gz", "link", "utf-16-le", "utf-16-be", "utf-16", "url", "xz", "blank name"]
)
def test_a_writing_in_a_log(server: Scratch, tmp_path: Path, form: str) -> None:
    line, log = f"login of {EMAIL}\n", tmp_path / "app.log"
    log.write_text("nothing\n")
    match form:
        case "plain":
            log.write_text(line)
        case "rotated":
            (tmp_path / "app.log.1").write_text(line)
        case "gz":
            (tmp_path / "app.log.2.gz").write_bytes(gzip.compress(line.encode()))
        case "xz":
            if shutil.which("xz") is None:
                pytest.skip("no xz here")
            import lzma

            (tmp_path / "app.log-20260101.xz").write_bytes(lzma.compress(line.encode()))
        case "link":
            (tmp_path / "elsewhere").write_text(line)
            log.unlink()
            log.symlink_to(tmp_path / "elsewhere")
        case "url":
            log.write_text(f"GET /people?mail={urllib.parse.quote(EMAIL)}\n")
        case "blank name":
            (tmp_path / "app.log.old one").write_text(line)
        case _:
            log.write_bytes(line.encode(form))
    logs = [{"name": "app", "path": str(log)}]
    assert places(server, logs=logs) == {"log app"}
    assert places(server, OTHER, logs=logs) == set()
    assert places(server, logs=[{"name": "all", "path": str(tmp_path)}]) == {"log all"}


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[SearchedRedis]:
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    run = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)], stdout=subprocess.DEVNULL
    )  # fmt: skip

    def listens() -> bool:
        with socket.socket() as asking:
            return asking.connect_ex(("127.0.0.1", port)) == 0

    wait(lambda: listens() or time.sleep(0.05), 10)
    yield SearchedRedis.model_validate({"name": "cache", "host": "127.0.0.1", "port": port})
    run.terminate()
    run.wait(10)


def test_redis_databases_and_compressed_values(cache: SearchedRedis) -> None:
    plain = f'{{"mail": "{EMAIL}"}}'.encode()
    values = {
        0: base64.b64encode(plain),
        2: gzip.compress(plain),
        7: zlib.compress(plain),
        9: EMAIL.encode("utf-16-le").hex().encode(),
    }
    for database, value in values.items():
        with redis_client(cache, database) as client:
            client.set("session", value)
    assert keys_with(cache, PERSON.needles()) == [f"session (database {n})" for n in values]
    assert keys_with(cache, OTHER.needles()) == []
    with redis_client(cache, 0) as client:
        client.set("packed", b"\x28\xb5\x2f\xfd" + b"x" * 20)
    with pytest.raises(CannotTell, match="packed is compressed with zstd"):
        keys_with(cache, PERSON.needles())


LOGGING = {
    "every statement": ("log_statement = 'all'", "log_parameter_max_length = -1"),
    "slow statements with their values": ("log_min_duration_statement = 0", "log_parameter_max_length = -1"),
    "failed statements with their values": ("log_parameter_max_length_on_error = -1",),
    "plans": (
        "session_preload_libraries = auto_explain", "auto_explain.log_min_duration = 0", "auto_explain.log_verbose = on",
        "auto_explain.log_analyze = on",
    ),
    "statements as parsed": ("debug_print_parse = on", "debug_print_plan = on", "log_min_duration_statement = 0"),
}  # fmt: skip


@pytest.mark.parametrize("logging", LOGGING)
def test_a_search_leaves_no_trace_of_the_person_in_the_server_log(server: Scratch, logging: str) -> None:
    """It would find itself there. The steps of this erasure name nobody, so all that could be found is the gate's own."""
    log = server.folder / "db1.log"
    asked = section(logs=[{"name": "server", "path": str(log)}], views=["public.broken"], logs_settle="0s")
    server.sql(
        "db1",
        "CREATE TABLE public.w (t text); INSERT INTO public.w SELECT 'x' FROM generate_series(1, 3000);"
        " CREATE VIEW public.broken AS SELECT (1 / length(t))::text FROM public.w; INSERT INTO public.w VALUES ('')",
    )
    for setting in LOGGING[logging]:
        server.sql("db1", f"ALTER ROLE gate SET {setting}")
    try:
        before = log.stat().st_size
        with closing(Cluster(server.database(replicas=None), "deploygate")) as cluster:
            found = erase_person(cluster, asked)
        added = log.read_bytes()[before:].decode()
    finally:
        server.sql("db1", "ALTER ROLE gate RESET ALL; DROP TABLE public.w CASCADE")
    assert "division by zero" in added
    assert "jsonb_each_text" in added
    assert found.after is not None
    assert (found.before.hits, found.after.hits) == ((), ())
    token = found.email.removeprefix("deploygate-").partition("@")[0]
    assert not {token, token[::-1]} & set(re.findall(r"\w+", added))


def test_what_the_gate_kept_of_a_person_is_the_token_itself(server: Scratch) -> None:
    """Also a run of an earlier version finds it, and erases who was left behind."""
    asked = section(create=[{"sql": "SELECT pg_sleep(0)"}], logs_settle="0s")
    table = "deploygate.deploygate_subjects"
    with closing(Cluster(server.database(replicas=None), "deploygate")) as cluster:
        erase_person(cluster, asked)
        server.sql("db1", f"INSERT INTO {table} VALUES ('0123456789abcdef', now() - interval '1 hour')")
        broken = section(
            create=[{"sql": f"DO $$ BEGIN ASSERT (SELECT token ~ '^[0-9a-f]{{16}}$' FROM {table}); END $$"}]
        )
        found = erase_person(cluster, broken)
    assert found.left_behind == 1
    assert any(
        f"left behind: the table {table}, without rows" in note for note in judge_erasure(found, broken).notes
    )
    assert server.sql("db1", f"SELECT count(*) FROM {table}") == [(0,)]
