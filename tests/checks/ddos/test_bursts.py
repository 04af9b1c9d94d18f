"""Bursts and slow connections on a real nginx: from here and from a host, over TLS, on a budget, and stopped."""

from __future__ import annotations

import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from checks.ddos.nginx_limits import NGINX, nginx

from pytest_deploygate.checks.ddos import judge, probe
from pytest_deploygate.checks.ddos.facts import Held
from pytest_deploygate.checks.ddos.judge.slow import judge_crowd
from pytest_deploygate.checks.ddos.probe import crowd, drill, slow, streams
from pytest_deploygate.checks.ddos.section import Ddos
from pytest_deploygate.checks.hosts.section import Hosts
from pytest_deploygate.clients import stopping
from pytest_deploygate.clients.budget import AGENT, Ended, unrecorded
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.judging.spending import Limits
from pytest_deploygate.model import CannotTell, Judgement, Verdict

pytestmark = pytest.mark.skipif(not NGINX, reason="nginx is not installed")

LIMIT = "limit_req zone=z burst=20 nodelay;"
HERE = Hosts.model_validate({"servers": [{"name": "here", "connection": "local://"}]})


def section(port: int, scheme: str = "http", **more: Any) -> Ddos:
    limit = {
        "name": "search",
        "url": f"{scheme}://127.0.0.1:{port}/search",
        "rate": "20/s",
        "burst": 20,
        "recovers": "3s",
        **more.pop("limit", {}),
    }
    slow = {
        "name": "front",
        "url": f"{scheme}://127.0.0.1:{port}/search",
        "leave_out": ["body", "stalled-body"],
        "headers_within": "2s",
        "idle_within": "2s",
        "drip": "200ms",
        "connections": 1,
        **more.pop("slow", {}),
    }
    given = {"limits": [limit], "slow": [slow], "burst_from": "127.0.0.2", "second": {"address": "127.0.0.3"}}
    return Ddos.model_validate({**given, "opt_in": "t", **more})


def judged(ddos: Ddos, hosts: Hosts | None = None) -> Judgement:
    return judge.judge(probe.drilled(ddos, hosts, "t", unrecorded("sec.ddos"), allowed=False), ddos)


def test_a_limit_in_force(tmp_path):
    with nginx(tmp_path, LIMIT) as port:
        found = judged(section(port, slow={"large": "/large", "read_within": "2s"}))
    assert found.verdict is Verdict.PASS, found.reason
    lines = (tmp_path / "sent.log").read_text().splitlines()
    # What is held or cut has no headers that could be logged.
    assert {line.split("|")[0] for line in lines} <= {AGENT, "-"}
    assert {line.split("|")[1] for line in lines} <= {"sec.ddos", "-"}
    assert {line.split("|")[2] for line in lines} == {"127.0.0.2", "127.0.0.3"}


@pytest.mark.long
def test_a_host_as_the_second_source(tmp_path):
    with nginx(tmp_path, LIMIT) as port:
        found = judged(section(port, second={"host": "here"}), HERE)
    assert found.verdict is Verdict.PASS, found.reason
    asked = next(r for r in found.readings if "requests of the second source that were refused" in r.name)
    assert int(asked.name.rsplit(" ", 1)[1]) >= 5
    assert "127.0.0.1" in (tmp_path / "sent.log").read_text()


@pytest.mark.long
def test_a_host_that_shares_a_limit_with_the_first_source(tmp_path):
    with nginx(tmp_path, LIMIT) as port:
        ddos = section(port, second={"host": "here"}, burst_from="127.0.0.1")
        found = judged(ddos, HERE)
    assert found.verdict is Verdict.FAIL
    assert "everybody is limited" in found.reason


def test_a_host_without_a_way_to_the_server():
    ddos = section(9, second={"host": "here"})
    found = judged(ddos, HERE)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "not answered as expected before the burst: refused" in found.reason


def test_a_host_that_cannot_be_used(tmp_path):
    gone = Hosts.model_validate({"servers": [{"name": "here", "connection": "docker://no-such-host"}]})
    with (
        nginx(tmp_path, LIMIT) as port,
        pytest.raises(CannotTell, match="the second source here cannot be used"),
    ):
        judged(section(port, second={"host": "here"}), gone)


@pytest.mark.long
def test_requests_that_are_delayed(tmp_path):
    with nginx(tmp_path, "limit_req zone=z burst=500;") as port:
        found = judged(section(port))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "delays instead of refusing" in found.reason


def certificate(tmp_path: Path) -> Path:
    """Make a certificate of 127.0.0.1 and its key."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")],
        check=True, capture_output=True,
    )  # fmt: skip
    return tmp_path / "cert.pem"


@pytest.mark.long
def test_a_limit_over_tls(tmp_path):
    certificate(tmp_path)
    cert = f"ssl_certificate {tmp_path}/cert.pem; ssl_certificate_key {tmp_path}/key.pem;"
    roots = {"ca_file": str(tmp_path / "cert.pem")}
    with nginx(tmp_path, LIMIT, tls=" ssl", more=cert) as port:
        found = judged(section(port, "https", limit=roots, slow=roots))
        untrusted = judged(section(port, "https"))
    assert found.verdict is Verdict.PASS, found.reason
    assert untrusted.verdict is Verdict.INCONCLUSIVE
    assert "certificate verify failed" in untrusted.reason


def test_connections_that_are_kept_too_long(tmp_path):
    with nginx(tmp_path, LIMIT, keepalive="60s") as port:
        found = judged(section(port))
    assert found.verdict is Verdict.FAIL
    assert "1 of 1 connections with nothing sent after an answer" in found.reason


def test_connections_over_http2(tmp_path):
    with nginx(tmp_path, LIMIT, tls=" http2", keepalive="60s") as port:
        ddos = section(port)
        found = hold(ddos, port)
    by_kind = {held.kind: held for held in found if held.protocol == "HTTP/2"}
    assert set(by_kind) == {"headers", "silent", "kept"}
    assert by_kind["headers"].cut_s
    assert by_kind["kept"].open == 1


def hold(ddos: Ddos, port: int) -> list[Held]:
    """Hold connections alone: this nginx speaks nothing but HTTP/2, so an ordinary request fails there."""
    with unrecorded("sec.ddos").probe("slow", unwatched="a test") as spending:
        (target,) = drill._targets(ddos.slow[0], [], ddos, [])
        return slow.hold(ddos.slow[0], target, spending)


def test_a_server_without_http2(tmp_path):
    with nginx(tmp_path, LIMIT) as port:
        assert {held.protocol for held in hold(section(port), port)} == {"HTTP/1.1"}


@pytest.mark.parametrize(("limited", "verdict"), [("limit_conn c 5;", Verdict.PASS), ("", Verdict.FAIL)])
def test_connections_of_one_source(tmp_path, limited, verdict):
    body = f"location /upload {{ {limited} proxy_pass http://127.0.0.1:9; }} limit_conn_status 503;"
    with nginx(tmp_path, LIMIT, more=body, zones="limit_conn_zone $binary_remote_addr zone=c:1m;") as port:
        given = section(port, slow={"most_connections": 5, "url": f"http://127.0.0.1:{port}/upload"})
        with unrecorded("sec.ddos").probe("crowd", unwatched="a test") as spending:
            (target,) = drill._targets(given.slow[0], [], given, [])
            found = crowd.crowd(given.slow[0], target, spending)
    assert (found.stood, found.turned_away) == ((5, 3) if limited else (8, 0)), found
    to = Collector()
    judge_crowd(found, given.slow[0], to)
    assert to.judgement(lambda: "good").verdict is verdict


def test_a_request_that_is_answered_before_its_body(tmp_path):
    with nginx(tmp_path, LIMIT) as port:
        given = section(port, slow={"most_connections": 5})
        with unrecorded("sec.ddos").probe("crowd", unwatched="a test") as spending:
            (target,) = drill._targets(given.slow[0], [], given, [])
            found = crowd.crowd(given.slow[0], target, spending)
    assert "answered with 405 before its body has come" in found.problem


def test_more_connections_than_the_budget_allows(tmp_path):
    given = section(9, slow={"most_connections": 60})
    with unrecorded("sec.ddos", Limits(concurrency=50)).probe("crowd", unwatched="a test") as spending:
        (target,) = drill._targets(given.slow[0], [], given, [])
        assert (
            "raise `blast_radius.items.sec.ddos.concurrency`"
            in crowd.crowd(given.slow[0], target, spending).problem
        )


@pytest.mark.long
def test_a_large_answer_that_is_too_small(tmp_path):
    with nginx(tmp_path, LIMIT) as port:
        found = judged(section(port, slow={"large": "/search", "read_within": "2s"}))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "name one of 16 MB" in found.reason


def test_nothing_is_sent_without_leave(tmp_path):
    with nginx(tmp_path, LIMIT) as port:
        found = judged(section(port, opt_in="", record=str(tmp_path / "none.json")))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "no burst on record" in found.reason
    assert (tmp_path / "sent.log").read_text() == ""


@pytest.mark.long
def test_a_record_is_kept_and_judged_later(tmp_path):
    record = tmp_path / "record.json"
    with nginx(tmp_path, LIMIT) as port:
        ddos = section(port, record=str(record))
        made = probe.drilled(ddos, None, "t", unrecorded("sec.ddos"), allowed=False)
    later = section(port, record=str(record), opt_in="")
    read = probe.drilled(later, None, "t", unrecorded("sec.ddos"), allowed=False)
    assert made.record
    assert read.record
    assert read.record.facts == made.record.facts
    assert judge.judge(read, later).verdict is Verdict.PASS
    higher = section(port, record=str(record), opt_in="", limit={"rate": "40/s"})
    found = judge.judge(probe.drilled(higher, None, "t", unrecorded("sec.ddos"), allowed=False), higher)
    assert "tested another configuration" in found.reason


def _stopped(ddos: Ddos, folder: Path, after_s: float, hosts: Hosts | None = None) -> float:
    """Stop a run after a time; return how long it went on."""
    file = folder / "stop"
    budget = unrecorded("sec.ddos", stop_file=file)
    at: list[float] = []

    def stop() -> None:
        at.append(time.monotonic())
        stopping.stop(file, "a test")

    timer = threading.Timer(after_s, stop)
    timer.start()
    try:
        with pytest.raises(Ended, match="stopped by the stop file"):
            probe.drilled(ddos, hosts, "t", budget, allowed=False)
        return time.monotonic() - at[0]
    finally:
        timer.cancel()
        stopping.begin(None)


@pytest.mark.parametrize("after_s", [0.5, 1.5, 2.6, 6.0])
def test_a_stop_ends_everything_within_a_second(tmp_path, after_s):
    with nginx(tmp_path, LIMIT, keepalive="60s") as port:
        ddos = section(port, slow={"idle_within": "60s", "headers_within": "60s"})
        assert _stopped(ddos, tmp_path, after_s) < 1.0


def test_a_stop_ends_the_requests_of_a_host(tmp_path):
    with nginx(tmp_path, LIMIT) as port:
        assert _stopped(section(port, second={"host": "here"}), tmp_path, 1.5, HERE) < 1.0
        time.sleep(0.7)
        sent = (tmp_path / "sent.log").read_text()
        time.sleep(1.0)
        assert (tmp_path / "sent.log").read_text() == sent


def test_a_budget_that_is_used_up(tmp_path):
    with nginx(tmp_path, LIMIT) as port:
        ddos = section(port)
        with pytest.raises(Ended, match="50 requests of its budget are used up"):
            probe.drilled(ddos, None, "t", unrecorded("sec.ddos", Limits(requests=50)), allowed=False)
        assert len((tmp_path / "sent.log").read_text().splitlines()) <= 50


@pytest.mark.long
def test_few_connections_at_a_time(tmp_path):
    with nginx(tmp_path, LIMIT) as port:
        budget = unrecorded("sec.ddos", Limits(concurrency=6))
        ddos = section(port, slow={"connections": 5})
        found = judge.judge(probe.drilled(ddos, None, "t", budget, allowed=False), ddos)
    assert found.verdict is Verdict.PASS, found.reason


def over_http2(tmp_path: Path, limit: str, zones: str = "", **more: Any) -> Judgement:
    """Judge a burst on an nginx with TLS that speaks HTTP/1.1 and HTTP/2."""
    roots = {"ca_file": str(certificate(tmp_path))}
    tls = f"ssl_certificate {tmp_path}/cert.pem; ssl_certificate_key {tmp_path}/key.pem;"
    with nginx(tmp_path, limit, tls=" ssl http2", more=tls, zones=zones) as port:
        return judged(section(port, "https", limit={**roots, **more}, slow=roots))


@pytest.mark.long
def test_a_limit_that_counts_streams(tmp_path):
    found = over_http2(tmp_path, LIMIT)
    assert found.verdict is Verdict.PASS, found.reason
    (streams,) = [r for r in found.readings if "served with one HTTP/2 connection, of 22" in r.name]
    assert streams.ok
    assert "|429" in (tmp_path / "sent.log").read_text()


@pytest.mark.long
def test_a_limit_that_does_not_count_streams(tmp_path):
    zones = (
        'map $server_protocol $one { "HTTP/2.0" ""; default $binary_remote_addr; }'
        " limit_req_zone $one zone=one:1m rate=20r/s;"
    )
    found = over_http2(tmp_path, "limit_req zone=one burst=20 nodelay;", zones)
    assert found.verdict is Verdict.FAIL
    assert "over one HTTP/2 connection escape the limit" in found.reason


@pytest.mark.long
def test_streams_are_left_out(tmp_path):
    found = over_http2(tmp_path, LIMIT, http2=False)
    assert found.verdict is Verdict.PASS, found.reason
    assert not any("HTTP/2 connection" in reading.name for reading in found.readings)


@pytest.mark.long
def test_a_libcurl_without_http2(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "can", lambda: False)
    found = over_http2(tmp_path, LIMIT)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "install pycurl from its wheel" in found.reason
