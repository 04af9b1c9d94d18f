"""What every probe of the edge meets some day: nobody there, silence, half an answer, an empty one, no permission.

None of them may end as a pass, nor as an exception of ours. CannotTell becomes `inconclusive`.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dns.message
import dns.rcode
import pytest
import tls_servers as servers
from dns_peer import serving as dns_serving

from pytest_deploygate.checks.dns import judge as dns_judge
from pytest_deploygate.checks.dns import probe as dns_probe
from pytest_deploygate.checks.dns.probe import names
from pytest_deploygate.checks.dns.section import Cutover, Dns, DnsName
from pytest_deploygate.checks.jobs import judge as jobs_judge
from pytest_deploygate.checks.jobs.facts import JobFacts, LastRunFacts, ScheduleFacts
from pytest_deploygate.checks.jobs.probe import last_runs, schedules
from pytest_deploygate.checks.jobs.section import BackupJob
from pytest_deploygate.checks.load import judge as load_judge
from pytest_deploygate.checks.load import probe as load_probe
from pytest_deploygate.checks.load.section import Load
from pytest_deploygate.checks.pages import judge as pages_judge
from pytest_deploygate.checks.pages import probe as pages_probe
from pytest_deploygate.checks.pages.section import Maintenance, Pages, PolicyPage
from pytest_deploygate.checks.tls.judge import certificates as judge_certificates
from pytest_deploygate.checks.tls.judge import protocols as judge_protocols
from pytest_deploygate.checks.tls.probe import certificates, protocols
from pytest_deploygate.checks.tls.section.guidelines import profile
from pytest_deploygate.checks.uptime import judge as uptime_judge
from pytest_deploygate.checks.uptime import probe as uptime_probe
from pytest_deploygate.checks.uptime.section import Uptime
from pytest_deploygate.clients import reach
from pytest_deploygate.clients.http import health
from pytest_deploygate.fields.health import HealthCheck
from pytest_deploygate.model import CannotTell, Judgement, Verdict

INTERMEDIATE = profile("intermediate")
T0 = datetime.now(UTC) - timedelta(hours=2)


def _http(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (status, len(body), body)


def _prometheus(data: str, more: str = "") -> bytes:
    return _http(b'{"status":"success"%s,"data":%s}' % (more.encode(), data.encode()))


MATRIX = '{"resultType":"matrix","result":%s}'
#: What the peer sends after it was asked: None is silence. `closed` has no peer.
PEERS: dict[str, bytes | None] = {
    "nobody": b"closed",
    "silence": None,
    "closes at once": b"",
    "noise": bytes(range(1, 256)),
    "half a header": b"HTTP/1.1 200 OK\r\nContent-Ty",
    "half a body": b'HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"status":"success","data":',
    "an empty answer": _http(b""),
    "an empty object": _http(b"{}"),
    "null": _http(b"null"),
    "no rows": _prometheus(MATRIX % "[]"),
    "a series without samples": _prometheus(MATRIX % '[{"metric":{"instance":"a","le":"+Inf"},"values":[]}]'),
    "a part by its own warning": _prometheus(MATRIX % "[]", ',"warnings":["a store is not available"]'),
    "not a number": _prometheus(MATRIX % '[{"metric":{"instance":"a","le":"+Inf"},"values":[[1,"NaN"]]}]'),
    "unauthorized": _http(b"who are you", b"401 Unauthorized"),
    "forbidden": _http(b"no", b"403 Forbidden"),
    "too many": _http(b"later", b"429 Too Many Requests"),
    "busy": _http(b"busy", b"503 Service Unavailable"),
}


@contextlib.contextmanager
def peer(answer: bytes | None) -> Iterator[int]:
    reach.begin()
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    if answer == b"closed":
        listener.close()
        yield port
        return

    def serve(client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            client.settimeout(10)
            if answer is None:
                over.wait(30)
                return
            if answer:
                client.recv(65536)
            client.sendall(answer)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield port
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def _tls(port: int, folder: Path, judged: str) -> Judgement:
    servers.write(folder, servers.build(), servers.own().intermediate)
    endpoint, settings = servers.endpoint(port), servers.settings(folder, timeout="300ms")
    found = certificates.measure(endpoint, settings)
    if judged == "certificates":
        expected = judge_certificates.ExpectedCertificates(endpoint, settings, INTERMEDIATE)
        return judge_certificates.judge_certificates(found, expected)
    offers = judge_protocols.ExpectedProtocols(endpoint, INTERMEDIATE, found)
    return judge_protocols.judge_protocols(protocols.measure(endpoint, settings), offers)


def _policy(port: int, _: Path) -> Judgement:
    page = PolicyPage.model_validate({"url": f"http://127.0.0.1:{port}/privacy"})
    return pages_judge.judge_policy(pages_probe.read(page, Pages.model_validate({"timeout": "300ms"})), page)


def _maintenance(port: int, _: Path) -> Judgement:
    page = Maintenance.model_validate({"url": f"http://127.0.0.1:{port}/"})
    return pages_judge.judge_maintenance(
        pages_probe.reads(page, Pages.model_validate({"timeout": "300ms"})), page
    )


def _load(port: int, _: Path) -> Judgement:
    load = Load.model_validate(
        {
            "allow": "x",
            "target": {"scheme": "http", "host": "127.0.0.1", "port": port},
            "endpoints": [{"path": "/", "contains": "ready"}],
            "peak_per_second": 100,
            "duration": "300ms",
            "timeout": "300ms",
        }
    )
    run = load_probe.send(load, "x", calibrate=False)
    judgement = load_judge.judge_latency(run, load_judge.latency_criteria(run, load)[0])
    # So short a run is too short for a pass, so one request that counts as good is taken for one here.
    return replace(judgement, verdict=Verdict.PASS) if run.whole.failed < run.whole.requests else judgement


def _histogram(port: int, _: Path) -> Judgement:
    load = Load.model_validate(
        {"server": {"url": f"http://127.0.0.1:{port}", "timeout": "300ms"}, "peak_per_second": 50}
    )
    assert load.server is not None
    found = load_probe.server_histogram(load.server)
    return load_judge.judge_histogram(found, load_judge.histogram_criteria(load)[0])


def _uptime(port: int, folder: Path) -> Judgement:
    uptime = Uptime.model_validate(
        {
            "t0": T0.isoformat(),
            "window": "1h",
            "records": [str(folder / "*.watch")],
            "prometheus": {"url": f"http://127.0.0.1:{port}", "timeout": "300ms"},
            "targets": [{"name": "front", "prometheus": "probe_success"}],
        }
    )
    return uptime_judge.judge(uptime_probe.measure(uptime, uptime.targets[0], "lab"), uptime)


def _standby(port: int, _: Path) -> Judgement:
    standby = {"address": "127.0.0.1", "port": port, "tls": False, "contains": "ready"}
    wanted = DnsName.model_validate(
        {"name": "app.example.test", "addresses": ["192.0.2.10"], "standby": standby}
    )
    found = dns_probe.standby_health(wanted, 0.3)
    settings = Dns.model_validate({"zone": "example.test", "servers": ["192.0.2.53"]})
    # A name that is as expected at its only server: the standby alone decides.
    over = tuple(names.Records(kind, "NOERROR", True, (), ("192.0.2.10",), 60) for kind in ("UDP", "TCP"))
    facts = names.NameFacts(
        wanted.name, datetime.now(UTC), (names.NameAt("ns1", False, over),), None, False, ""
    )
    return dns_judge.judge_name(
        dns_judge.Named(facts, (), found), dns_judge.ExpectedName(settings, wanted, False)
    )


def _health(port: int, _: Path) -> Judgement:
    check = HealthCheck.model_validate(
        {"name": "a", "url": f"http://127.0.0.1:{port}/", "contains": "ready", "timeout": "300ms"}
    )
    (seen,) = health.look([check])
    assert seen.said
    return Judgement(Verdict.PASS if seen.good else Verdict.INCONCLUSIVE, seen.said)


READERS: dict[str, Callable[[int, Path], Judgement]] = {
    "certificates": lambda port, folder: _tls(port, folder, "certificates"),
    "TLS": lambda port, folder: _tls(port, folder, "protocols"),
    "policy page": _policy,
    "maintenance page": _maintenance,
    "load": _load,
    "histogram": _histogram,
    "uptime": _uptime,
    "standby": _standby,
    "health": _health,
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", PEERS)
def test_no_answer_is_no_pass(tmp_path: Path, name: str, reader: str) -> None:
    with peer(PEERS[name]) as port:
        try:
            judgement = READERS[reader](port, tmp_path)
        except CannotTell as unknown:
            judgement = Judgement(Verdict.INCONCLUSIVE, str(unknown))
    assert judgement.verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE), judgement.reason
    assert len(judgement.reason) > 20
    assert "Traceback" not in judgement.reason
    assert "object has no attribute" not in judgement.reason


def _refuses(rcode: dns.rcode.Rcode) -> Callable[[dns.message.Message, bool], dns.message.Message]:
    def answer(asked: dns.message.Message, _tcp: bool) -> dns.message.Message:
        made = dns.message.make_response(asked)
        made.set_rcode(rcode)
        return made

    return answer


def _bare(asked: dns.message.Message, _tcp: bool) -> dns.message.Message:
    """An authoritative answer of nothing at all: no record, and no SOA."""
    made = dns.message.make_response(asked)
    made.flags |= dns.flags.AA
    return made


def _of_another_question(asked: dns.message.Message, _tcp: bool) -> dns.message.Message:
    return dns.message.make_response(dns.message.make_query("other.example.", "A", id=asked.id))


ANSWERS: dict[str, Any] = {
    "silence": lambda _asked, _tcp: None,
    "over UDP alone": lambda asked, tcp: None if tcp else _bare(asked, tcp),
    "REFUSED": _refuses(dns.rcode.REFUSED),
    "SERVFAIL": _refuses(dns.rcode.SERVFAIL),
    "NOTAUTH": _refuses(dns.rcode.NOTAUTH),
    "NXDOMAIN": _refuses(dns.rcode.NXDOMAIN),
    "nothing": _bare,
    "another question": _of_another_question,
}


@pytest.mark.parametrize("name", ANSWERS)
def test_no_answer_of_a_name_server_is_no_pass(tmp_path: Path, name: str) -> None:
    reach.begin()
    names._without_edns.clear()
    wanted = {"name": "app.example.test", "addresses": ["192.0.2.10"]}
    with dns_serving(ANSWERS[name]) as port:
        server = {"name": "ns1.example.test", "address": "127.0.0.1", "port": port}
        for more in ({}, {"resolvers": [server]}, {"parent": [server]}):
            keys = {"zone": "example.test", "servers": [server], "min_servers": 1, "timeout": "200ms"}
            settings = Dns.model_validate(keys | more)
            zone = dns_judge.judge_zone(dns_probe.zone(settings), settings)
            facts = dns_probe.name(settings, DnsName.model_validate(wanted | {"caa": ["ca.example"]}))
            expected = dns_judge.ExpectedName(settings, DnsName.model_validate(wanted), False)
            cutover = Cutover.model_validate(wanted | {"within": "300ms"})
            found = dns_probe.watch(settings, cutover, tmp_path / "seen", lambda _: None)
            for judgement in (
                zone,
                dns_judge.judge_name(dns_judge.Named(facts), expected),
                dns_judge.judge_cutover(found, cutover),
            ):
                assert judgement.verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE), judgement.reason
                assert len(judgement.reason) > 20


NOTHING: dict[str, Callable[..., tuple[int, str, str]]] = {
    "no program": lambda *_: (127, "", "sh: 1: not found"),
    "no permission": lambda *_: (1, "", "Permission denied"),
    "nothing said": lambda *_: (0, "", ""),
    "a timeout": lambda *_: (124, "", ""),
    "half an answer": lambda *_: (0, '{"finished": "2026-0', ""),
    "noise": lambda *_: (0, "\x00\x01 = \nLoadState", ""),
    "null": lambda *_: (0, "null", ""),
    "a list": lambda *_: (0, "[]", ""),
    "killed": lambda *_: (-9, "", ""),
}


def _unreachable(*_: object) -> tuple[int, str, str]:
    raise CannotTell("ssh://db1 cannot be reached: no route")


NOTHING["no host"] = _unreachable


@pytest.mark.parametrize("name", NOTHING)
@pytest.mark.parametrize(
    "schedule",
    [{"crontab": "/etc/cron.d/x", "command": "full-backup"}, {"systemd_timer": "b.timer"}],
    ids=["cron", "timer"],
)
@pytest.mark.parametrize(
    "last", [{"pgbackrest": "main"}, {"status_file": "/s.json"}, {"systemd_service": "b.service"}], ids=["pgbackrest", "file", "service"]
)  # fmt: skip
def test_no_answer_of_a_host_is_no_pass(
    monkeypatch: pytest.MonkeyPatch, name: str, schedule: dict[str, str], last: dict[str, str]
) -> None:
    """Of the schedule, of the last run, and of both; the other half is good."""
    job = BackupJob.model_validate({"name": "nightly", "schedule": schedule, "last_run": last})
    now = datetime.now(UTC)
    monkeypatch.setattr(schedules, "shell", lambda _host: NOTHING[name])
    cluster: Any = SimpleNamespace()
    seen = JobFacts(
        "nightly",
        schedules.read_schedule(cluster, job.schedule),
        last_runs.read_last_run(cluster, job.last_run, NOTHING[name]),
        now,
    )
    good_plan = ScheduleFacts("crontab", "/etc/cron.d/x", expressions=("* * * * *",))
    good_run = LastRunFacts("status file", "/s.json", finished=now, succeeded=True, exit_code=0)
    for facts in (seen, replace(seen, schedule=good_plan), replace(seen, last_run=good_run)):
        judgement = jobs_judge.judge(facts, job)
        assert judgement.verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE), judgement.reason
        assert len(judgement.reason) > 20


def test_good_neighbours_pass() -> None:
    """The halves that the test before calls good are."""
    now = datetime.now(UTC)
    plan = ScheduleFacts("crontab", "/etc/cron.d/x", expressions=("* * * * *",))
    run = LastRunFacts("status file", "/s.json", finished=now, succeeded=True, exit_code=0)
    job = BackupJob.model_validate(
        {"name": "n", "schedule": {"systemd_timer": "b.timer"}, "last_run": {"status_file": "/s.json"}}
    )
    assert jobs_judge.judge(JobFacts("n", plan, run, now), job).verdict is Verdict.PASS


@pytest.mark.parametrize("reader", ["load", "standby", "health"])
def test_a_good_answer_passes(tmp_path: Path, reader: str) -> None:
    """The control: these readers can pass."""
    with peer(_http(b"ready")) as port:
        assert READERS[reader](port, tmp_path).verdict is Verdict.PASS
