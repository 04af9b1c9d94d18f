"""A domain, by a DNS server and a TLS server on loopback; and a Prometheus with targets and rules."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from dns_peer import records, serving
from prometheus_server import running
from served_site import Answer, site

from pytest_deploygate.discovery import domain, prometheus, writer
from pytest_deploygate.inventory.loader import load
from pytest_deploygate.lab import authority
from pytest_deploygate.model import CannotTell

_ZONE = (
    "@ 60 SOA ns1.example.test. hostmaster.example.test. 1 3600 600 604800 60",
    "@ 60 NS ns1.example.test.",
    "ns1 60 A 127.0.0.1",
    'app 60 CAA 0 issue "ca.example.test"',
    "app 60 A 127.0.0.1",
)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a TLS server with a certificate for two names, which nobody here trusts."""
    folder = tmp_path_factory.mktemp("tls")
    made = authority.make("http://127.0.0.1/crl", "http://127.0.0.1/ocsp", datetime.now(UTC))
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = authority.leaf(made, key, ["app.example.test", "www.example.test"])
    (folder / "cert.pem").write_text(authority.pem(certificate, made.intermediate))
    (folder / "key.pem").write_text(authority.key_pem(key))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    with site({"/": "here"}, context) as running_site:
        yield int(running_site.url.rpartition(":")[2].strip("/"))


def test_a_domain_with_its_zone_and_certificate(secured: int, tmp_path: Path) -> None:
    with serving(records(*_ZONE)) as port:
        found = domain.look("app.example.test", secured, ("127.0.0.1", port))
    values = {fact.name: fact.value for fact in found.facts}
    assert values == {
        "endpoints[app.example.test]": {
            "name": "app.example.test",
            "host": "app.example.test",
            "port": secured,
            "addresses": ["127.0.0.1"],
            "keys": ["ecdsa"],
        },
        "dns.zone": "example.test",
        "dns.servers[ns1.example.test]": {"name": "ns1.example.test", "address": "127.0.0.1"},
        "dns.names[app.example.test]": {
            "name": "app.example.test",
            "addresses": ["127.0.0.1"],
            "caa": ["ca.example.test"],
        },
    }
    assert "its certificate names www.example.test, too" in str(found.wanted[0])
    (tmp_path / "x.yml").write_text(writer.text("x", found, "w"))
    assert load(str(tmp_path / "x.yml"), tmp_path).inventory.dns


def test_no_tls_is_unread_and_no_endpoint() -> None:
    with serving(records(*_ZONE)) as port:
        found = domain.look("app.example.test", 1, ("127.0.0.1", port))
    assert not [fact for fact in found.facts if fact.place == ("endpoints",)]
    assert found.unread[0].what == "the certificate at 127.0.0.1:1"


def test_a_name_that_does_not_exist_cannot_be_told() -> None:
    with (
        serving(records(*_ZONE)) as port,
        pytest.raises(CannotTell, match=r"says that gone\.example\.test does not exist"),
    ):
        domain.look("gone.example.test", 443, ("127.0.0.1", port))


def test_a_silent_resolver_cannot_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domain, "_TIMEOUT_S", 0.2)
    with serving(lambda _asked, _tcp: None) as port, pytest.raises(CannotTell, match="does not answer"):
        domain.look("app.example.test", 443, ("127.0.0.1", port))


def test_a_prometheus_with_its_targets_and_alerts(tmp_path: Path) -> None:
    """A Prometheus takes a second to start, and its first scrape some more."""
    rule = {"alert": "Down", "expr": "up == 0", "labels": {"severity": "critical"}}
    (tmp_path / "data-folder").mkdir()
    with running(tmp_path / "data-folder", rules=[rule], targets=["127.0.0.1:1"]) as server:
        found = prometheus.look(server.settings.url)
        deadline = time.monotonic() + 20
        while not found.remarks and time.monotonic() < deadline:
            time.sleep(0.1)
            found = prometheus.look(server.settings.url)
    # Its only target is down, so nothing can be expected of it yet: that is no expectation to write.
    assert [fact.name for fact in found.facts] == ["monitoring.prometheus.url"]
    assert found.remarks == ("targets that are not up now: test 127.0.0.1:1",)
    assert "no targets that are up" in str(found.wanted[0])


def test_targets_that_are_up_are_expected_with_the_alerts(tmp_path: Path) -> None:
    """It scrapes a page with one metric, which is that of an exporter of PostgreSQL."""
    rule = {"alert": "Down", "expr": "up == 0", "labels": {"severity": "critical"}}
    (tmp_path / "data-folder").mkdir()
    with site({"/metrics": Answer("pg_up 1\n", kind="text/plain; version=0.0.4")}) as scraped:
        target = scraped.url.removeprefix("http://").strip("/")
        with running(tmp_path / "data-folder", rules=[rule], targets=[target]) as server:
            deadline = time.monotonic() + 20
            found = prometheus.look(server.settings.url)
            while len(found.facts) < 5 and time.monotonic() < deadline:
                time.sleep(0.1)
                found = prometheus.look(server.settings.url)
    values = {fact.name: fact.value for fact in found.facts}
    assert values == {
        "monitoring.prometheus.url": server.settings.url,
        "monitoring.expected.targets[test]": {"job": "test", "at_least": 1},
        "monitoring.expected.alerts[Down]": {"name": "Down", "labels": {"severity": "critical"}},
        "monitoring.databases.job": "test",
        "monitoring.databases.instances": [target],
    }
    (tmp_path / "x.yml").write_text(writer.text("x", found, "w"))
    assert load(str(tmp_path / "x.yml"), tmp_path).inventory.monitoring


def test_a_prometheus_that_is_not_there_cannot_be_told() -> None:
    with pytest.raises(CannotTell, match="127"):
        prometheus.look("http://127.0.0.1:1")
