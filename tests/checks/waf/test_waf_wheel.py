"""The WAF of labs without nginx's module: ModSecurity from the wheel, in a front of our own, with rules of our own."""

from __future__ import annotations

import json
import socket
import subprocess
import sys

import pytest
from modsecurity_servers import HAS_NGINX, by_library, by_nginx, free_port

from pytest_deploygate.checks.waf import judge, probe
from pytest_deploygate.checks.waf.facts import Result
from pytest_deploygate.checks.waf.probe import corpus
from pytest_deploygate.checks.waf.probe.exchange import Connection, Place
from pytest_deploygate.checks.waf.section import Waf
from pytest_deploygate.clients.budget import unrecorded
from pytest_deploygate.lab.services import waf, waf_config
from pytest_deploygate.model import Judgement, Verdict

pytest.importorskip("libmodsecurity")


def judged(port: int, **more: object) -> tuple[set[Result], Judgement]:
    given = {"url": f"http://127.0.0.1:{port}", "headers": {"Host": "shop.example.com"}, "read": "/search",
             "write": "/api/echo", "opt_in": "t", "crs": 3, "connections": 4, "no_origins": "a server of the test"}  # fmt: skip
    criterion = Waf.model_validate(given | more)
    found = probe.attack(criterion, "t", unrecorded("sec.waf"), allowed=False)
    return {each.result for each in found.record.facts.attacks}, judge.judge(found, criterion)


def test_our_rules_block_what_crs_3_does_and_no_user(tmp_path):
    with by_library(tmp_path) as port:
        _, judgement = judged(port, more_traffic=["graphql", "prose", "code"])
    assert judgement.verdict is Verdict.PASS, judgement.reason
    shares = [reading for reading in judgement.readings if reading.name.startswith("blocked: ")]
    assert {reading.value for reading in shares} == {100.0}


def test_off_means_none_blocked(tmp_path):
    with by_library(tmp_path, mode="Off") as port:
        results, judgement = judged(port)
    assert results == {Result.PASSED}
    assert judgement.verdict is Verdict.FAIL


def test_a_block_page_with_200_that_is_declared(tmp_path):
    with by_library(tmp_path, front={"page": "<title>Request rejected</title>"}) as port:
        _, judgement = judged(port, blocked={"pattern": "<title>Request rejected"})
    assert judgement.verdict is Verdict.PASS, judgement.reason


def test_a_ban_counts_each_blocked_request_once(tmp_path):
    with by_library(tmp_path, before=waf.BAN) as port:
        attack = next(case.sent for case in corpus.attacks("/search", None) if case.levels.get("crs-3") == 1)
        statuses = [ask(port, attack) for _ in range(59)]
        assert (set(statuses), ask(port, corpus.message.plain("/search"))) == ({403}, 200)
        assert (ask(port, attack), ask(port, corpus.message.plain("/search"))) == (403, 403)


def test_an_origin_that_serves_one_source_alone(tmp_path):
    port, plain = free_port(), corpus.message.plain("/search")
    with by_library(tmp_path, front={"origin": ["127.0.0.1", port], "admits": "127.0.0.2"}):
        assert (ask(port, plain), ask(port, plain, "127.0.0.2")) == (403, 200)


def ask(port: int, message: corpus.Message, source: str = "") -> int | None:
    connection = Connection(Place("127.0.0.1", port, "shop.example.com", None, {}, 10.0, source))
    try:
        return connection.ask_uncounted(message).status
    finally:
        connection.close()


def say(port: int, text: bytes) -> bytes:
    """What the front says to bytes, all on one connection that the client then ends."""
    with socket.create_connection(("127.0.0.1", port), 10) as there:
        there.sendall(text)
        there.shutdown(socket.SHUT_WR)
        found = b""
        while part := there.recv(65536):
            found += part
    return found


_POST = b"POST /api/echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n"


def test_what_the_front_refuses_to_read_and_what_it_looks_into(tmp_path):
    with by_library(tmp_path) as port:
        told = {
            "two on one connection": say(port, b"GET /search HTTP/1.1\r\nHost: a\r\n\r\n" * 2),
            "attack in chunks": say(
                port, _POST + b"Transfer-Encoding: chunked\r\n\r\n8\r\nitem=<sc\r\n11\r\nript>alert(1)</s>\r\n0\r\n\r\n"
            ),
            "user in chunks": say(port, _POST + b"Transfer-Encoding: chunked\r\n\r\n6\r\nitem=a\r\n0\r\n\r\n"),
            "two lengths": say(
                port, _POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            ),
            "no length": say(port, _POST + b"Content-Length: x\r\n\r\n"),
            "too long": say(port, _POST + b"Content-Length: 1048577\r\n\r\n"),
            "no host": say(port, b"GET /search HTTP/1.1\r\n\r\n"),
            "no HTTP": say(port, b"\x16\x03\x01\r\n\r\n"),
            "large head": say(port, b"GET /search HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 40_000),
            "cut off": say(port, _POST + b"Content-Length: 5\r\n\r\nab"),
            "an old version": say(port, b"GET /search HTTP/1.0\r\n\r\n"),
        }  # fmt: skip
    assert {name: [line[9:12] for line in answer.split(b"\n") if line.startswith(b"HTTP/1.1 ")]
            for name, answer in told.items()} == {
        "two on one connection": [b"200", b"200"],
        "attack in chunks": [b"403"],
        "user in chunks": [b"200"],
        "two lengths": [b"400"],
        "no length": [b"400"],
        "too long": [b"413"],
        "no host": [b"400"],
        "no HTTP": [b"400"],
        "large head": [b"431"],
        "cut off": [],
        "an old version": [b"200"],
    }  # fmt: skip


def test_rules_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "rules.conf").write_text("SecRule ARGS\n")
    given = {"address": "127.0.0.1", "port": 1, "rules": str(tmp_path / "rules.conf"), "socket": "s"}
    (tmp_path / "front.json").write_text(json.dumps(given))
    argv = [sys.executable, "-m", "pytest_deploygate.lab.modsecurity.front", tmp_path / "front.json"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{tmp_path}/rules.conf: ")


@pytest.mark.skipif(not HAS_NGINX, reason="no nginx with ModSecurity here")
def test_with_the_same_rules_the_front_answers_as_nginx_does(tmp_path):
    for name in ("crs", "nginx", "front"):
        (tmp_path / name).mkdir()
    for file in waf_config.CRS.iterdir():
        if "910-IP-REPUTATION" not in file.name:  # the wheel's library cannot look countries up
            (tmp_path / "crs" / file.name).symlink_to(file)
    every = ["plain", "names", "json", "graphql", "base64", "upload", "prose", "code"]
    sent = {case.name: case.sent for case in corpus.attacks("/search", "/api/echo")}
    sent |= {usual.name: usual.sent for usual in corpus.ordinary("/search", "/api/echo", every)}
    with (
        by_nginx(tmp_path / "nginx", rules=tmp_path / "crs") as nginx,
        by_library(tmp_path / "front", rules=tmp_path / "crs") as front,
    ):
        answers = {name: (ask(nginx, message), ask(front, message)) for name, message in sent.items()}
    assert {name: both for name, both in answers.items() if both[0] != both[1]} == {}
    assert {both[0] for both in answers.values()} == {200, 403, 404}
