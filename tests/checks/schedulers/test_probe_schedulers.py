"""Places of both sides: real processes, commands, crontabs, PostgreSQL and Redis; brokers and Kubernetes as documented."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pytest_deploygate.checks.schedulers import probe
from pytest_deploygate.checks.schedulers.facts import At, State
from pytest_deploygate.checks.schedulers.probe import brokers, hosts, kubernetes
from pytest_deploygate.checks.schedulers.section import Scheduler
from pytest_deploygate.model import CannotTell

REDIS = shutil.which("redis-server")


def read(place: dict, **other: object) -> At:
    """What both reads of one place saw."""
    both = {"name": "it", "new": [place], "old": [{"command": "exit 1"}], "again_after": "0s"}
    return probe.sides(Scheduler.model_validate(both | other), None).new[0]


def states(place: dict) -> set[State]:
    return {seen.state for seen in read(place).reads}


def test_a_process_is_found_by_its_name_and_arguments(tmp_path):
    sleeper = Path(tmp_path / "beat")
    shutil.copy("/bin/sleep", sleeper)
    with subprocess.Popen([sleeper, "61.5"]) as process:
        try:
            assert states({"process": "beat", "arguments": "61.5"}) == {State.RUNS}
            assert f"pid {process.pid}" in read({"process": "beat", "arguments": "61.5"}).reads[0].said
            assert states({"process": "beat", "arguments": "worker"}) == {State.STILL}
        finally:
            process.kill()
            process.wait()
    assert states({"process": "beat", "arguments": "61.5"}) == {State.STILL}


def test_a_process_of_a_host_that_is_not_there_is_unknown():
    found = read({"process": "beat", "host": "ssh://nobody@127.0.0.1:1"})
    assert found.reads[0].state is State.UNKNOWN
    assert "ssh://nobody@127.0.0.1:1" in found.what


@pytest.mark.parametrize(
    ("code", "state"), [(0, State.RUNS), (1, State.STILL), (2, State.UNKNOWN), (127, State.UNKNOWN)]
)
def test_the_exit_code_of_a_command_is_its_answer(code, state):
    found = read({"command": f"echo 100%; exit {code}"}).reads[0]
    assert (found.state, "100%" in found.said) == (state, True)


def test_a_line_of_a_crontab(tmp_path):
    crontab = tmp_path / "crontab"
    crontab.write_text("*/5 * * * * /opt/app/report --all\n#0 1 * * * /opt/app/clean\n")

    def line(command: str, file: Path = crontab) -> set[State]:
        return states({"schedule": {"crontab": str(file), "command": command}})

    assert line("/opt/app/report") == {State.RUNS}
    assert line("/opt/app/clean") == {State.STILL}
    assert line("/opt/app/other") == {State.ABSENT}
    assert line("/opt/app/report", tmp_path / "none") == {State.ABSENT}


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled", State.RUNS),
        (
            "LoadState=loaded\nActiveState=activating\nSubState=auto-restart\nUnitFileState=enabled",
            State.RUNS,
        ),
        ("LoadState=loaded\nActiveState=inactive\nSubState=dead\nUnitFileState=disabled", State.STILL),
        ("LoadState=loaded\nActiveState=failed\nSubState=failed\nUnitFileState=enabled", State.STILL),
        ("LoadState=masked\nActiveState=inactive\nSubState=dead\nUnitFileState=masked", State.STILL),
        ("LoadState=not-found\nActiveState=inactive\nSubState=dead\nUnitFileState=", State.ABSENT),
        ("no systemctl", State.UNKNOWN),
        ("", State.UNKNOWN),
    ],
)
def test_a_unit_as_systemctl_documents_it(text, state):
    found = hosts.unit_seen(text)
    assert found.state is state
    assert ("disable it" in found.said) == ("failed" in text)


@pytest.fixture
def runs(nodes) -> Iterator[dict]:
    """A table of runs, and how a place names its database."""
    nodes.sql("db1", "CREATE TABLE runs (at timestamptz); GRANT SELECT ON runs TO gate")
    yield {"host": "127.0.0.1", "port": nodes.ports["db1"], "name": "postgres", "user": "gate"}
    nodes.sql("db1", "DROP TABLE runs")


def test_the_last_run_is_told_by_the_servers_clock(nodes, runs):
    place = {"query": "SELECT max(at) FROM runs", "database": runs}
    assert states(place) == {State.ABSENT}
    nodes.sql("db1", "INSERT INTO runs VALUES (now() - interval '1 minute')")
    found = read(place).reads[0]
    assert found.state is State.TIMED
    assert 59 < (found.now - found.last).total_seconds() < 120


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT 5", "no time with a zone"),
        ("SELECT now()::timestamp", "no time with a zone"),
        ("SELECT now() FROM generate_series(1, 2)", "one row with one time"),
        ("SELECT nothing", 'column "nothing" does not exist'),
    ],
)
def test_a_query_that_tells_no_time_is_unknown(runs, query, words):
    found = read({"query": query, "database": runs}).reads[0]
    assert (found.state, words in found.said) == (State.UNKNOWN, True), found.said


def test_pg_cron_that_is_not_installed_is_unknown(runs):
    found = read({"schedule": {"pg_cron": "report"}, "database": runs})
    assert (found.reads[0].state, found.what) == (
        State.UNKNOWN,
        "job report of pg_cron in the database postgres",
    )


@contextlib.contextmanager
def management(status: int, told: object) -> Iterator[str]:
    """Answers as RabbitMQ documents `GET /api/queues/VHOST/NAME`."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(told).encode()
            good = status if self.path == "/api/queues/%2F/orders" else 400
            self.send_response(good)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def consumer(tag: str, peer: str) -> dict:
    return {"consumer_tag": tag, "channel_details": {"peer_host": peer, "connection_name": f"{peer}:1 -> mq"}}


@pytest.mark.parametrize(
    ("status", "told", "state", "words"),
    [
        (200, {"consumers": 2, "consumer_details": [consumer("a", "10.1.0.1"), consumer("b", "10.2.0.9")]}, State.RUNS, "10.1.0.1"),
        (200, {"consumers": 1, "consumer_details": [consumer("b", "10.2.0.9")]}, State.STILL, "none of 1"),
        (200, {"consumers": 0, "consumer_details": []}, State.STILL, "none of 0"),
        (200, {"consumers": 2, "consumer_details": []}, State.UNKNOWN, "2 consumers are counted and 0 are listed"),
        (200, {"name": "orders"}, State.UNKNOWN, "management plugin"),
        (404, {"error": "Object Not Found"}, State.ABSENT, "no queue orders"),
        (401, {"error": "not_authorized"}, State.UNKNOWN, "answers 401"),
    ],
)  # fmt: skip
def test_consumers_of_rabbitmq_as_documented(status, told, state, words):
    with management(status, told) as url:
        found = read({"rabbitmq": {"url": url, "queue": "orders"}, "members": ["10.1.*"]}).reads[0]
    assert (found.state, words in found.said) == (state, True), found.said
    if state is State.RUNS:
        assert "10.2.0.9" in found.strangers[0]


MEMBERS = """
GROUP  CONSUMER-ID          HOST        CLIENT-ID  #PARTITIONS
orders worker-1-4f2c        /10.1.0.7   worker-1   2
orders worker-2-91aa        /10.2.0.8   worker-2   1
"""


@pytest.mark.parametrize(
    ("printed", "code", "state"),
    [
        (MEMBERS, 0, State.RUNS),
        (MEMBERS.replace("10.1.0.7", "10.2.0.7"), 0, State.STILL),
        ("Consumer group 'orders' has no active members.", 0, State.STILL),
        ("Error: Consumer group 'orders' does not exist.", 1, State.ABSENT),
        ("Error: Executing consumer group command failed due to TimeoutException", 1, State.UNKNOWN),
        ("", 0, State.UNKNOWN),
    ],
)
def test_members_of_a_kafka_group_as_documented(tmp_path, printed, code, state):
    program = tmp_path / "groups"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{printed}\nEND\nexit {code}\n")
    program.chmod(0o755)
    place = {
        "kafka": {"group": "orders", "command": f"{program} --bootstrap-server k:9092"},
        "members": ["10.1.*"],
    }
    assert states(place) == {state}


def test_a_table_of_kafka_without_rows_is_no_answer():
    with pytest.raises(CannotTell, match="no rows"):
        brokers.kafka_members("GROUP CONSUMER-ID HOST CLIENT-ID #PARTITIONS\n")


@pytest.fixture(scope="module")
def redis_port(tmp_path_factory) -> Iterator[int]:
    if REDIS is None:
        pytest.skip("no Redis server is installed here")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("redis")
    arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with subprocess.Popen([REDIS, *arguments], stdout=subprocess.DEVNULL) as server:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        yield port
        server.terminate()


def test_consumers_of_a_redis_stream(redis_port):
    import redis

    def place(stream: str, group: str) -> dict:
        where = {"host": "127.0.0.1", "port": redis_port, "stream": stream, "group": group}
        return {"redis_stream": where, "members": ["new-*"], "fresh": "1m"}

    with redis.Redis(port=redis_port) as client:
        assert states(place("orders", "workers")) == {State.ABSENT}
        client.xgroup_create("orders", "workers", mkstream=True)
        assert states(place("orders", "others")) == {State.ABSENT}
        for number in range(2):
            client.xadd("orders", {"number": number})
        client.xreadgroup("workers", "old-1", {"orders": ">"}, count=1)
        assert states(place("orders", "workers")) == {State.STILL}
        client.xreadgroup("workers", "new-1", {"orders": ">"}, count=1)
        found = read(place("orders", "workers")).reads[0]
    assert found.state is State.TIMED
    assert found.strangers == ("old-1",)
    assert (found.now - found.last).total_seconds() < 30


@pytest.mark.long
def test_a_redis_that_is_not_there_is_unknown():
    where = {"host": "127.0.0.1", "port": 1, "stream": "orders", "group": "workers"}
    assert states({"redis_stream": where, "members": ["new-*"]}) == {State.UNKNOWN}


@pytest.mark.parametrize(
    ("kind", "told", "state"),
    [
        ("cronjob", {"spec": {"suspend": False, "schedule": "@daily"}, "status": {}}, State.RUNS),
        ("cronjob", {"spec": {"suspend": True, "schedule": "@daily"}, "status": {}}, State.STILL),
        ("cronjob", {"spec": {"suspend": True}, "status": {"active": [{"name": "x-1"}]}}, State.RUNS),
        ("deployment", {"spec": {"replicas": 2}, "status": {"replicas": 2, "readyReplicas": 2}}, State.RUNS),
        ("deployment", {"spec": {"replicas": 0}, "status": {"replicas": 1}}, State.RUNS),
        ("deployment", {"spec": {"replicas": 0}, "status": {}}, State.STILL),
        ("deployment", {"spec": {"replicas": 1}, "status": {}}, State.UNKNOWN),
        ("cronjob", {}, State.UNKNOWN),
    ],
)
def test_objects_of_kubernetes_as_documented(kind, told, state):
    assert kubernetes.of_object(kind, told).state is state


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ('Error from server (NotFound): cronjobs.batch "report" not found', State.ABSENT),
        ('Error from server (NotFound): namespaces "shop" not found', State.UNKNOWN),
        ("The connection to the server was refused", State.UNKNOWN),
    ],
)
def test_an_object_that_is_not_there(tmp_path, said, state):
    program = tmp_path / "kubectl"
    program.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n")
    program.chmod(0o755)
    assert states({"kubernetes": {"name": "cronjob/report", "command": str(program)}}) == {state}
