"""A peer that sends a byte now and then defeats a timeout that begins anew with each byte: one deadline for each answer."""

from __future__ import annotations

import gc
import hashlib
import ssl
import time
from pathlib import Path

import pytest
import tls_servers as servers
from slow_peer import dripping

from pytest_deploygate.checklist.vocabulary import Backing
from pytest_deploygate.checks.dns.probe import standby
from pytest_deploygate.checks.dns.section import DnsName
from pytest_deploygate.checks.pages import judge, probe
from pytest_deploygate.checks.pages.section import Pages, PolicyPage
from pytest_deploygate.checks.people.probe import attestations
from pytest_deploygate.checks.pooling.probe import console
from pytest_deploygate.checks.pooling.section import Pooler
from pytest_deploygate.checks.tls.probe import certificates, mutual, protocols, revocation
from pytest_deploygate.checks.tls.section.endpoints import ClientCertificate, Tls
from pytest_deploygate.clients import haproxy, prometheus, reach, redis
from pytest_deploygate.clients.host.shell import shell
from pytest_deploygate.clients.http import health, sending
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.fields.health import HealthCheck
from pytest_deploygate.fields.http import HttpRequest
from pytest_deploygate.fields.prometheus import Prometheus
from pytest_deploygate.fields.redis import Redis
from pytest_deploygate.inventory.models import composed
from pytest_deploygate.lab import authority
from pytest_deploygate.model import CannotTell, Verdict

LIMIT_S = 1.0
#: A probe may ask several times, and connects, knocks and reads each within the limit.
MOST_S = 15 * LIMIT_S


@pytest.fixture(autouse=True)
def soon():
    """Each test ends within a few limits; without a deadline it would never end."""
    reach.begin()
    began = time.monotonic()
    yield
    took_s = time.monotonic() - began
    reach.begin()
    assert took_s < MOST_S


@pytest.fixture
def tls(tmp_path):
    """A server's side of TLS."""
    leaf = authority.leaf(servers.own(), servers.rsa_key(), ["127.0.0.1"])
    made = servers.write(tmp_path, leaf, servers.own().intermediate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)
    return context


#: What comes at once, and what drips: within the header, and in each kind of body.
ANSWERS = {
    "status line": (b"", b"HTTP/1.1 200 OK "),
    "header": (b"HTTP/1.1 200 OK\r\nX-Long: ", b"x"),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
    "body with a length": (b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n", b"x"),
    "body that ends with the connection": (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
    "body in chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "size of a chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
    "continue for ever": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("part", ANSWERS)
def test_a_page(tmp_path, tls, part, secure):
    begins, drips = ANSWERS[part]
    with dripping(begins, drips, tls=tls if secure else None) as port:
        trust = str(tmp_path / "root.pem")
        pages = Pages.model_validate({"timeout": f"{LIMIT_S}s", "ca_file": trust})
        page = PolicyPage.model_validate({"url": f"http{'s' * secure}://127.0.0.1:{port}/privacy"})
        found = probe.read(page, pages)
    assert found.status is None
    assert "certificate" not in found.problem
    assert judge.judge_policy(found, page).verdict is Verdict.INCONCLUSIVE


def test_a_redirect_into_a_slow_page():
    """The redirect and what it leads to share the time."""
    with dripping(*ANSWERS["headers"]) as second:
        first = f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{second}/\r\nContent-Length: 0\r\n\r\n"
        with dripping(first.encode()) as port:
            access = HttpRequest.model_validate({})
            with pytest.raises(OSError, match="no answer within 1 s"):
                sending.get(access, f"http://127.0.0.1:{port}/", LIMIT_S)


def test_a_slow_proxy(monkeypatch):
    """A proxy's answer to CONNECT is read before the connection is there."""
    with dripping(b"HTTP/1.1 200 ", b"x") as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        with pytest.raises(OSError, match="no answer within"):
            sending.get(HttpRequest.model_validate({}), "https://app.example.test/", LIMIT_S, afresh=False)
    gc.collect()  # a socket that was left open is a warning, which fails the test


@pytest.mark.parametrize("part", ANSWERS)
def test_health_checks(part):
    with dripping(*ANSWERS[part]) as port:
        check = HealthCheck.model_validate(
            {"name": "app", "url": f"http://127.0.0.1:{port}/", "timeout": f"{LIMIT_S}s"}
        )
        (seen,) = health.look([check])
    assert not seen.good
    assert "within 1 s" in seen.said


@pytest.mark.parametrize("part", ["headers", "body with a length", "body that ends with the connection"])
def test_prometheus(part):
    with dripping(*ANSWERS[part]) as port:
        server = Prometheus.model_validate({"url": f"http://127.0.0.1:{port}", "timeout": f"{LIMIT_S}s"})
        with pytest.raises(CannotTell, match="does not answer: no answer within 1 s"):
            prometheus.ask(server, {"query": "up"}, "matrix")


@pytest.mark.parametrize("part", ["header", "body with a length", "body that ends with the connection"])
def test_evidence_at_an_address(part):
    with dripping(*ANSWERS[part]) as port:
        backing = Backing(url=f"http://127.0.0.1:{port}/", sha256=hashlib.sha256().hexdigest())
        found = attestations._url(backing, fetch=True, timeout_s=LIMIT_S / 6)
    assert found.problem


@pytest.mark.parametrize("part", ["header", "body with a length", "body that ends with the connection"])
def test_revocation_lists(tmp_path, part):
    with dripping(*ANSWERS[part]) as port:
        said = revocation._download(f"http://127.0.0.1:{port}/list.crl", LIMIT_S)
    assert "cannot be fetched" in str(said)


def test_an_endless_revocation_list_that_is_quick_enough(monkeypatch):
    """It is cut at its largest size."""
    monkeypatch.setattr(revocation, "_LARGEST", 1000)
    with dripping(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2000) as port:
        assert "larger than 1000 bytes" in str(revocation._download(f"http://127.0.0.1:{port}/", 2))


#: Beginnings of TLS: a record that announces 16000 bytes, empty records, warnings without end, no TLS at all.
HELLOS = {
    "record": (b"\x16\x03\x03\x3e\x80", b"\x00"),
    "record's header": (b"", b"\x16\x03"),
    "empty records": (b"", b"\x16\x03\x03\x00\x00"),
    "warnings": (b"", b"\x15\x03\x03\x00\x02\x01\x70"),
    "words": (b"", b"hello"),
}


@pytest.mark.parametrize("kind", HELLOS)
def test_tls(tmp_path, kind):
    servers.settings(tmp_path)
    with dripping(*HELLOS[kind]) as port:
        endpoint, settings = servers.endpoint(port), Tls.model_validate({"timeout": f"{LIMIT_S}s"})
        assert not certificates.measure(endpoint, settings).addresses[0].leaves
        assert protocols.measure(endpoint, settings).addresses[0].problem


def test_a_handshake_of_pyopenssl(tmp_path):
    """A server of TLS 1.3 alone is asked by full handshakes, and renegotiation too."""
    with dripping(*HELLOS["record"]) as port:
        where = certificates.tls_connection.place(servers.endpoint(port), "127.0.0.1", LIMIT_S)
        sent: dict[tuple[bytes, ...], list[bytes | None]] = {}
        certificates._ask_by_handshake(where, 1, sent)
        assert protocols._renegotiates(where) is None
    assert not sent


@pytest.mark.parametrize(
    ("protocol", "begins"), [("smtp", b"220-"), ("imap", b"* OK "), ("ldap", b""), ("postgresql", b"")]
)
def test_a_protocol_before_tls(protocol, begins):
    with dripping(begins, b"x", waits=False) as port:
        endpoint = servers.endpoint(port, starttls=protocol)
        found = certificates.measure(endpoint, Tls.model_validate({"timeout": f"{LIMIT_S}s"}))
    assert not found.addresses[0].leaves


def test_mutual_tls(tmp_path, tls):
    own = servers.write(tmp_path, servers.build(server_auth=False), servers.own().intermediate)
    wanted = ClientCertificate.model_validate({"certificate": str(own.certificate), "key": str(own.key)})
    with dripping(b"", b"HTTP/1.1 2", tls=tls) as port:
        endpoint = servers.endpoint(port, http={}).model_copy(update={"client_certificate": wanted})
        where = certificates.tls_connection.place(endpoint, "127.0.0.1", LIMIT_S)
        found = mutual.client_control(where, endpoint)
    assert found.with_certificate.outcome == found.without.outcome == "unclear"


@pytest.mark.parametrize("part", ANSWERS)
def test_a_standby(part):
    with dripping(*ANSWERS[part]) as port:
        wanted = DnsName.model_validate(
            {
                "name": "app.example.test",
                "addresses": ["192.0.2.0/24"],
                "standby": {"address": "127.0.0.1", "port": port, "tls": False},
            }
        )
        found = standby.standby_health(wanted, LIMIT_S)
    assert found is not None
    assert found.status is None
    assert "no " in found.problem


def test_haproxy(monkeypatch):
    monkeypatch.setattr(haproxy, "_TIMEOUT_S", LIMIT_S)
    with dripping(b"", b"# pxname\n") as port, pytest.raises(TimeoutError):
        haproxy.ask(f"127.0.0.1:{port}", "show stat")


@pytest.mark.parametrize("begins", [b"+", b"$90000\r\n", b"-ERR "])
def test_redis(monkeypatch, begins):
    pytest.importorskip("redis")
    monkeypatch.setattr(redis, "_TIMEOUT_S", LIMIT_S)
    with dripping(begins) as port:
        cache = Redis.model_validate({"name": "cache", "host": "127.0.0.1", "port": port})
        with pytest.raises(CannotTell, match="no whole answer within 1 s"):
            redis.redis_client(cache)


@pytest.mark.parametrize(
    "command",
    [
        "while :; do printf x; sleep 0.1; done",
        "sleep 600",
        "sleep 600 & wait",
        "trap '' TERM; while :; do sleep 1; done",
    ],
)
def test_a_shell(command):
    with pytest.raises(CannotTell, match="did not end within 1 s"):
        shell("local://", LIMIT_S)(command)


def test_what_is_quick_is_whole(tmp_path, tls):
    """The healthy neighbours: a page in parts that all come in time, and a command."""
    body = b"<p>Last updated: 14 November 2026</p>"
    begins = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(body) + 3)
    trust = servers.settings(tmp_path).ca_file
    with dripping(begins + body, tls=tls) as port:
        pages = Pages.model_validate({"timeout": "5s", "ca_file": str(trust)})
        page = PolicyPage.model_validate({"url": f"https://localhost:{port}/", "not_before": "2026-11-01"})
        found = probe.read(page, pages)
    assert found.status is None  # the name is another: that is said, not a timeout
    assert "certificate" in found.problem
    with dripping(begins + body) as port:
        page = PolicyPage.model_validate({"url": f"http://127.0.0.1:{port}/", "not_before": "2026-11-01"})
        whole = probe.read(page, pages)
    assert (whole.status, len(whole.dates)) == (200, 1)
    assert shell("local://", 5)("echo %s", str(Path("a b")))[1] == "a b\n"


def test_a_pooler_s_console(monkeypatch):
    """It lets us in, and then its answer has no end."""
    monkeypatch.setattr(console, "_ANSWERS_S", 0.0)
    let_in = b"R\0\0\0\x08\0\0\0\0" + b"Z\0\0\0\x05I"
    with dripping(let_in + b"T\0\0\x70\0", b"x") as port:
        section = {
            "name": "app", "user": "app", "sslmode": "disable", "connect_timeout": "1s",
            "primary": {"name": "db1", "host": "127.0.0.1", "port": port},
        }  # fmt: skip
        database = composed().model_validate({"name": "slow", "database": section}).database
        assert database is not None
        cluster = Cluster(database, "deploygate")
        pooler = Pooler.model_validate({"name": "pooler", "host": "127.0.0.1", "port": port})
        assert "no whole answer within 1 s" in console.pooler(cluster, pooler).problem
        cluster.close()
