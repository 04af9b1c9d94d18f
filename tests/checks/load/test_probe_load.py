"""The load engine against real servers on loopback: open loop, honest counts, caps and the kill switch."""

from __future__ import annotations

import math
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pycurl
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
from slow_server import Answer, serving

from pytest_deploygate.checks.load.judge import load as judge_load
from pytest_deploygate.checks.load.probe import arrivals
from pytest_deploygate.checks.load.probe.engine import OPEN, UNSENT
from pytest_deploygate.checks.load.probe.measure import send
from pytest_deploygate.checks.load.probe.own_answers import OwnAnswers
from pytest_deploygate.checks.load.probe.sockets import Sockets
from pytest_deploygate.checks.load.section import Load, RateStage
from pytest_deploygate.checks.load.tally import Tally, highest_equivalent, new_histogram
from pytest_deploygate.clients.budget import unrecorded
from pytest_deploygate.judging.spending import Bounds
from pytest_deploygate.model import CannotTell, NotReached, Verdict


def test_a_name_that_does_not_resolve_sends_nothing():
    """It is our own side that cannot reach the target: nothing is sent, and nothing is judged."""
    load = load_on(1, target={"host": "nowhere.invalid"})
    with pytest.raises(NotReached, match=r"no load was sent: the name nowhere\.invalid"):
        send(load, "x", calibrate=False)


def test_a_target_that_refuses_is_a_failure_of_the_platform():
    """Nothing listens there: the requests count as failed, as before."""
    run = send(load_on(1), "x", calibrate=False)
    assert run.whole.failures.keys() == {"connection refused"}
    assert run.whole.ours == 0


def load_on(port: int, **changes) -> Load:
    target = {"scheme": "http", "host": "127.0.0.1", "port": port} | changes.pop("target", {})
    plan = {
        "allow": "x",
        "target": target,
        "endpoints": [{"path": "/a"}],
        "peak_per_second": 200,
        "duration": "2s",
    }
    return Load.model_validate(plan | changes)


def run(port: int, budget=None, **changes):
    return send(load_on(port, **changes), "x", calibrate=False, budget=budget)


def test_every_request_is_sent_and_counted():
    """200/s for 2 s are 400 requests, all answered, in blocks of 200, over few connections."""
    with serving() as server:
        found = run(server.port)
    assert found.whole.requests == len(server.seen) == 400
    assert [s.requests for s in found.whole.seconds] == [200, 200]
    assert found.whole.failed == 0
    assert server.connections < 100
    assert found.client.kept == 1.0
    assert {phase.name for phase in found.phases} >= {"TCP connect", "first byte"}


def test_a_stall_is_seen_by_all_that_were_due_meanwhile():
    """The server stalls from 0.5 s to 1.5 s: about 200 requests of 400 are late, not one (open loop)."""
    with serving(lambda _n, t: Answer(after_s=max(0.0, 1.5 - t) if 0.5 <= t < 1.5 else 0.0)) as server:
        found = run(server.port)
    over_200 = found.whole.over[found.whole.limits_s.index(0.2)]
    assert 130 <= over_200 <= 200
    assert found.whole.max_s == pytest.approx(1.0, abs=0.2)


def test_waiting_for_a_connection_counts_from_when_it_was_due():
    """One connection at 200/s with answers of 20 ms: requests queue, and their wait is in their latency."""
    with serving(lambda _n, _t: Answer(after_s=0.02)) as server:
        found = run(server.port, max_in_flight=1, duration="1s")
    assert found.whole.max_s > 1.0
    assert found.client.held > 100
    assert found.client.kept > 0.9, "the wait is due to the server, not the client"


@pytest.mark.long
def test_a_stall_of_the_server_is_not_blamed_on_the_client():
    """The server stalls for 1.5 s and all 20 connections wait for it: their wait is not the client's own lag."""
    with serving(lambda _n, t: Answer(after_s=max(0.0, 2.0 - t) if 0.5 <= t < 2.0 else 0.0)) as server:
        plan = load_on(server.port, max_in_flight=20, duration="6s")
        found = send(plan, "x")
    assert found.client.held > 100
    assert found.client.lag_p99_s < 0.5, "it would be over a second"
    assert found.whole.over[found.whole.limits_s.index(0.5)] > 100


@pytest.mark.parametrize("most", [500, 2])
def test_a_stall_of_the_client_is_not_blamed_on_the_server(most):
    """The client itself stalls for a second: that is its own lag, even if all connections were busy then.

    What it then measured as slow is not a FAIL of the server.
    """
    held_up = []

    def look(_tally):
        if not held_up:
            held_up.append(time.sleep(1))
        return ""

    with serving(lambda _n, _t: Answer(after_s=0.045)) as server:
        plan = load_on(server.port, max_in_flight=most, peak_per_second=40, duration="6s")
        found = send(plan, "x", look=look)
    assert found.client.lag_p99_s > 0.5
    criterion = next(c for c in judge_load.latency_criteria(found, plan) if c.quantile == 0.99)
    judged = judge_load.judge_latency(found, criterion)
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "the client itself was late" in judged.reason


@pytest.mark.parametrize("changes", [{}, {"max_in_flight": 1}], ids=["any", "one connection"])
def test_an_answer_that_is_there_at_once_is_not_timed_at_the_next_request(monkeypatch, changes):
    """A fast server answers while libcurl is still busy, and no later event arrives: the answer counts from now.

    It was once counted when the next request was sent: 10 requests a second of 0.3 ms each had a median of 70 ms.
    """
    kick = Sockets.kick

    def slow_kick(sockets):
        kick(sockets)
        time.sleep(0.02)
        for descriptor in tuple(sockets._known):
            sockets.multi.socket_action(descriptor, pycurl.CSELECT_IN)

    monkeypatch.setattr(Sockets, "kick", slow_kick)
    with serving() as server:
        found = run(server.port, peak_per_second=10, **changes)
    assert found.whole.requests == 20
    assert found.whole.p50_s < 0.05


def test_what_is_never_sent_is_over_every_limit():
    """One connection, a server that never answers: the rest of the plan is counted as failed."""
    with serving(lambda _n, _t: Answer(after_s=30)) as server:
        found = run(server.port, max_in_flight=1, duration="1s", timeout="1s", stop_at_error_ratio=1)
    whole = found.whole
    assert whole.requests + found.cut >= 100
    assert whole.failed == whole.requests == whole.over[0] == whole.over[1]
    assert set(whole.failures) <= {UNSENT, OPEN, "no answer in time"}


@pytest.mark.parametrize(
    ("endpoint", "answer", "words"),
    [
        ({"path": "/a"}, Answer(status=500), "status 500"),
        ({"path": "/a", "contains": "yes"}, Answer(body="no"), "body without 'yes'"),
        ({"path": "/a", "matches": "^[0-9]+$"}, Answer(body="no"), "body does not match"),
        ({"path": "/a", "timeout": "50ms"}, Answer(after_s=0.2), "no answer in time"),
        ({"path": "/a", "status": [204]}, Answer(), "status 200"),
    ],
)
def test_a_quick_wrong_answer_is_a_failure(endpoint, answer, words):
    with serving(lambda _n, _t: answer) as server:
        found = run(server.port, endpoints=[endpoint], duration="500ms", stop_at_error_ratio=1)
    assert found.whole.failed == found.whole.requests > 0
    assert any(words in what for what in found.whole.failures)
    assert found.whole.p50_s is None


def test_nobody_listens_is_failures_and_the_kill_switch_ends_it():
    with serving() as server:
        port = server.port
    found = run(port, duration="10s")
    assert found.stopped.startswith("kill switch: ")
    assert "refused" in found.stopped
    assert found.lasted_s < 9
    assert found.whole.failed == found.whole.requests >= 100


def test_kill_switch_stops_sending_at_once():
    """Errors from the 200th request on: of the 2,000 planned, not many more than the window are sent."""
    with serving(lambda n, _t: Answer(status=503 if n > 200 else 200)) as server:
        found = run(server.port, duration="10s")
        assert "status 503" in found.stopped
        assert len(server.seen) < 400


def test_a_burst_of_failures_that_heals_does_not_end_the_run():
    """30 broken answers of 400 a second do not mean a dead server, though they are 30 of 100 in a row."""
    with serving(lambda n, _t: Answer(status=503 if 400 < n <= 430 else 200)) as server:
        found = run(server.port, peak_per_second=400)
    assert found.stopped == ""
    assert found.whole.failures == {"status 503": 30}


def test_a_look_can_end_the_run():
    with serving() as server:
        found = send(
            load_on(server.port, duration="8s"), "x", calibrate=False, look=lambda _tally: "seen enough"
        )
    assert found.stopped == "seen enough"
    assert found.lasted_s < 7


@pytest.mark.parametrize(("allow", "words"), [(None, "add `allow: prod`"), ("staging", "names 'staging'")])
def test_what_is_not_named_for_load_gets_none(allow, words):
    """Not one request reaches a server that the inventory does not name for load."""
    with serving() as server:
        with pytest.raises(CannotTell, match="no load was sent") as refused:
            send(load_on(server.port, allow=allow), "prod")
        assert server.connections == 0
    assert words in str(refused.value)


def test_methods_headers_bodies_and_logins_arrive(monkeypatch, tmp_path):
    """The server gets what the inventory describes; the secret is in the request and in no result."""
    secret = tmp_path / "token"
    secret.write_text("canary-4711-token")
    endpoints = [
        {
            "path": "/write?x=1",
            "method": "POST",
            "body": '{"a": 1}',
            "headers": {"X-One": "1"},
            "auth": {"token": f"file:{secret}"},
        },
        {"path": "/read", "auth": {"user": "u", "password": f"file:{secret}"}},
        {"path": "/key", "method": "DELETE", "auth": {"header": "X-Key", "value": f"file:{secret}"}},
    ]
    with serving() as server:
        found = run(server.port, endpoints=endpoints, duration="500ms")
    assert found.whole.failed == 0, found.whole.failures
    post = next(text for text in server.seen if text.startswith("POST"))
    assert post.startswith("POST /write?x=1 HTTP/1.1")
    assert "X-One: 1" in post
    assert "Authorization: Bearer canary-4711-token" in post
    assert "Content-Type: application/json" in post
    assert post.endswith('{"a": 1}')
    assert any(t.startswith("GET /read") and "Authorization: Basic " in t for t in server.seen)
    assert any(t.startswith("DELETE /key") and "X-Key: canary-4711-token" in t for t in server.seen)
    assert "canary" not in repr(found)


def test_cold_connections():
    """Each request opens a connection of its own, and each has a connect time."""
    with serving() as server:
        found = run(server.port, connections="cold", duration="500ms")
    assert server.connections == found.whole.requests == 100
    assert next(p for p in found.phases if p.name == "TCP connect").count == 100


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    """A self-signed certificate for localhost, with its key in the same file."""
    file = tmp_path_factory.mktemp("tls") / "localhost.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", file, "-out", f"{file}.crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    file.write_text(file.read_text() + Path(f"{file}.crt").read_text())
    return file


def test_tls_is_verified(certificate):
    """With its authority configured, TLS works and its handshake is timed; without it nothing is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    target = {"scheme": "https", "host": "localhost", "connect_to": "127.0.0.1"}
    with serving(tls=context) as server:
        good = run(server.port, target=target | {"ca_file": f"{certificate}.crt"}, duration="500ms")
        bad = run(server.port, target=target, duration="500ms", stop_at_error_ratio=1)
    assert good.whole.failed == 0, good.whole.failures
    assert "TLS handshake" in {phase.name for phase in good.phases}
    assert bad.whole.failures == {"certificate not trusted": bad.whole.requests}


def listens(port: int) -> bool:
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")


@pytest.mark.skipif(
    NGINX is None or not pycurl.version_info()[4] & pycurl.VERSION_HTTP2, reason="no nginx, or no HTTP/2 here"
)
@pytest.mark.parametrize("more", ["", "keepalive_requests 10;", "lingering_close off;"])
def test_http_2(certificate, tmp_path, more):
    """Over TLS a real nginx gets HTTP/2, and HTTP/1.1 if the inventory says so, according to its log.

    A connection that it closes after some requests, as it announced, loses none: each is sent once and answered.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    file = tmp_path / "nginx.conf"
    paths = "".join(
        f"{kind}_temp_path {tmp_path}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    file.write_text(
        f"daemon off; master_process off; pid {tmp_path}/pid; error_log stderr crit; events {{}}\n"
        f"http {{ {paths} log_format p $server_protocol; access_log {tmp_path}/log p;\n"
        f"server {{ listen 127.0.0.1:{port} ssl http2; ssl_certificate {certificate}.crt;\n"
        f"ssl_certificate_key {certificate}; {more} return 200 ok; }} }}\n"
    )
    target = {
        "scheme": "https",
        "host": "localhost",
        "connect_to": "127.0.0.1",
        "ca_file": f"{certificate}.crt",
    }
    with subprocess.Popen([NGINX, "-e", "stderr", "-p", tmp_path, "-c", file]) as server:
        try:
            until = time.monotonic() + 60
            while not listens(port) and time.monotonic() < until:
                time.sleep(0.05)
            new = run(port, target=target | {"http": "2"}, duration="500ms")
            old = run(port, target=target, duration="500ms")
        finally:
            server.terminate()
    assert (new.whole.failures, old.whole.failures) == ({}, {})
    assert (new.whole.requests, new.http_version) == (100, "2")
    assert Counter((tmp_path / "log").read_text().split()) == {"HTTP/2.0": 100, "HTTP/1.1": 100}


def test_calibration_gives_a_floor():
    """The client measures itself on a no-op server."""
    with serving() as server:
        found = send(load_on(server.port, duration="500ms"), "x")
    assert found.client.floor is not None
    assert found.client.floor.requests == 200
    assert 0 < found.client.floor.p50_s <= found.client.floor.p99_s


def test_arrivals_in_stages_and_ramps():
    """A steady stage is evenly spaced; a ramp from 0 to 100/s in 10 s produces 500, half of them after 7.07 s."""
    steady = arrivals.plan([RateStage(rate=100, lasts="2s")], [1], 10_000)
    assert len(steady.due_s) == 200
    assert steady.due_s[1] - steady.due_s[0] == pytest.approx(0.01)
    ramp = arrivals.plan([RateStage(rate=0, to=100, lasts="10s")], [1], 10_000)
    assert len(ramp.due_s) == 500
    assert ramp.due_s[250] == pytest.approx(7.07, abs=0.02)
    both = arrivals.plan([RateStage(rate=100, lasts="1s"), RateStage(rate=50, lasts="1s")], [3, 1], 10_000)
    assert len(both.due_s) == 150
    assert list(both.due_s) == sorted(both.due_s)
    assert 0.6 < both.endpoint.tolist().count(0) / 150 < 0.9
    assert len(arrivals.plan([RateStage(rate=100, lasts="100s")], [1], 50).due_s) == 50, "the cap"


def test_raw_and_folded_samples_agree():
    """Beyond the bound of raw samples a histogram takes over: counts stay exact, quantiles to a thousandth."""
    exact, folded = Tally(["a", "b"], (0.2, 0.5)), Tally(["a", "b"], (0.2, 0.5), most_raw=500)
    for n in range(20_000):
        value = (n * 7919 % 1000 + 1) / 1000
        for tally in (exact, folded):
            tally.add(n % 2, n / 100, value, "status 500" if n % 100 == 0 else "")
    (one, ones), (other, others) = exact.result(), folded.result()
    assert one.over == other.over
    assert one.requests == other.requests == 20_000
    assert one.failed == 200
    assert [s.over for s in one.seconds] == [s.over for s in other.seconds]
    assert other.p99_s == pytest.approx(one.p99_s, rel=0.002)
    assert one.p50_s == pytest.approx(0.505, rel=0.01)
    assert [e.over for e in ones] == [e.over for e in others]


def test_quantiles_are_nearest_ranks_of_all_requests():
    """At every share drawn the value is that of the sorted sample, to a thousandth; failed ones are the slowest."""
    tally, latencies = Tally(["a"], (0.5,)), [(n * 7919 % 10_000 + 1) ** 2 / 1e6 for n in range(10_000)]
    for n, value in enumerate(latencies):
        tally.add(0, n / 1000, value, "status 500" if n % 100 == 0 else "")
    good = sorted(value for n, value in enumerate(latencies) if n % 100)
    found, _ = tally.result()
    assert len(found.points) > 50
    for value, share in found.points:
        assert value == pytest.approx(good[math.ceil(share * 10_000 - 1e-9) - 1], rel=0.001)
    assert found.points[-1][1] <= 0.99


def test_buckets_are_the_library_s_own():
    histogram = new_histogram()
    for value in (*range(1, 5000), *(3**n for n in range(20)), *(2**n - 1 for n in range(1, 31))):
        assert highest_equivalent(value) == histogram.get_highest_equivalent_value(value)


def test_an_exact_limit_counts_as_over_it():
    tally = Tally(["a"], (0.2,))
    tally.add(0, 0.0, 0.2)
    tally.add(0, 0.1, 0.1999)
    assert tally.result()[0].over == (1,)


@pytest.mark.alone
def test_a_load_ends_when_the_service_becomes_slow():
    """Its own answers show it: no request is sent beside the load, and what it found is judged."""
    drawn = unrecorded("crit.p50")
    with serving(lambda number, _t: Answer(after_s=0.001 if number < 100 else 0.8)) as server:
        found = run(server.port, budget=drawn, duration="20s", max_in_flight=500)
    assert re.fullmatch(
        r"the service suffers: \d+ of its last \d+ answers took over 5\d\d ms; [\d.]+ ms were usual when the load began",
        found.stopped,
    )
    assert found.lasted_s < 8
    (entry,) = drawn.ledger.entries()
    assert (entry.ended, entry.unwatched) == (("itself",), "")
    assert entry.before.median_s < 0.1


def test_a_load_ends_when_no_answer_comes_any_more():
    with serving(lambda number, _t: Answer(after_s=0.001 if number < 100 else 30)) as server:
        found = run(
            server.port, duration="20s", max_in_flight=50, timeout="15s", budget=unrecorded("crit.p50")
        )
    assert "the service suffers: 50 requests are open and none was answered for" in found.stopped
    assert found.lasted_s < 8


def test_a_pause_of_the_service_does_not_end_a_load():
    """Half a second in which nothing is answered is the finding of a percentile, not harm."""
    with serving(lambda number, _t: Answer(after_s=0.8 if 100 <= number < 150 else 0.001)) as server:
        found = run(server.port, duration="4s", max_in_flight=500, budget=unrecorded("crit.p50"))
    assert found.stopped == ""


def test_answers_within_the_inventorys_limits_are_no_harm():
    """Five times slower than at first, as the inventory allows at this load."""
    answers = OwnAnswers(Bounds(), allowed_s=2.0)
    for number in range(10):
        answers.add(number / 100, 0.005, wrong=False)
    for number in range(500):
        answers.add(0.1 + number / 100, 1.9, wrong=False)
    assert answers.suffers(5.1, 5) == ""
    for number in range(500):
        answers.add(5.1 + number / 100, 2.1, wrong=False)
    assert "500 of its last 500 answers took over 2000 ms" in answers.suffers(10.1, 5)
    answers.forget(10.1)
    for _ in range(20):
        answers.add(10.2, 2.1, wrong=False)
    assert answers.suffers(10.2, 5) == "", "this client stood still a moment ago"


def test_a_stall_of_two_seconds_is_no_harm():
    """100 requests per second: those of the stall are answered at its end, and the queue behind them is gone in a second."""
    answers = OwnAnswers(Bounds(), allowed_s=0.5)
    for number in range(500):
        answers.add(number / 100, 0.002, wrong=False)
    for number in range(300):
        at_s = max(7.0 + number / 300, 5.0 + number / 100)
        answers.add(at_s, at_s - (5.0 + number / 100) + 0.002, wrong=False)
        assert answers.suffers(at_s, 200 - min(number, 200)) == ""
    for number in range(300):
        answers.add(8.0 + number / 100, 0.002, wrong=False)
        assert answers.suffers(8.0 + number / 100, 1) == ""
