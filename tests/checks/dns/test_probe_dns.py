"""DNS measured on small servers of our own (dnspython): answers, lag, lame servers, DNSSEC, cutover, old observations."""

from __future__ import annotations

import contextlib
import itertools
import socket
from datetime import UTC, datetime, timedelta

import dns.dnssec
import dns.dnssectypes
import dns.rdatatype
import dns.zone
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from tls_servers import free_port

from pytest_deploygate.checks.dns.facts import Observation
from pytest_deploygate.checks.dns.judge import cutover as judge_cutover
from pytest_deploygate.checks.dns.judge import names as judge_dns
from pytest_deploygate.checks.dns.judge import zone as judge_dns_zone
from pytest_deploygate.checks.dns.probe import history as dns_history
from pytest_deploygate.checks.dns.probe import names as probe_dns
from pytest_deploygate.checks.dns.probe import propagation
from pytest_deploygate.checks.dns.section import Cutover, Dns, DnsName, NameServer
from pytest_deploygate.lab import dns_server
from pytest_deploygate.model import Verdict

ZONE = """@ IN SOA ns1 hostmaster {serial} 3600 600 604800 60
@ IN NS ns1
@ IN NS ns2
ns1 IN A 127.0.0.1
ns2 IN A 127.0.0.1
app {ttl} IN A {address}
www {ttl} IN CNAME app
"""


@contextlib.contextmanager
def serving(*zones, addresses=(), **more):
    """Serve each text of zone example.test on a port of its own; return the `dns` section."""
    running, servers = [], []
    try:
        for number, (text, address) in enumerate(
            itertools.zip_longest(zones, addresses, fillvalue="127.0.0.1"), 1
        ):
            port = free_port()
            running += dns_server.serve(
                {
                    "role": "primary",
                    "address": address,
                    "port": port,
                    "zone": "example.test",
                    "text": text,
                }
                | more
            )
            servers.append({"name": f"ns{number}.example.test", "address": address, "port": port})
        yield Dns.model_validate({"zone": "example.test", "servers": servers, "timeout": "5s"})
    finally:
        for server in running:
            server.shutdown()
            server.server_close()


def text(address="192.0.2.10", ttl=60, serial=1):
    return "$ORIGIN example.test.\n$TTL 60\n" + ZONE.format(address=address, ttl=ttl, serial=serial)


APP = DnsName(name="app.example.test", addresses=["192.0.2.0/24"])


def judged(settings, wanted=APP, earlier=(), *, switching=False):
    facts = probe_dns.name(settings, wanted)
    return judge_dns.judge_name(
        judge_dns.Named(facts, earlier), judge_dns.ExpectedName(settings, wanted, switching)
    )


def test_servers_that_agree_pass():
    """Addresses inside the block and an alias with its target, over UDP and TCP."""
    with serving(text(), text()) as settings:
        assert judged(settings).verdict is Verdict.PASS
        alias = DnsName(name="www.example.test", cname="app.example.test")
        assert judged(settings, alias).verdict is Verdict.PASS
        zone = judge_dns_zone.judge_zone(probe_dns.zone(settings), settings)
        assert zone.verdict is Verdict.PASS, zone.reason


@pytest.mark.parametrize(
    ("second", "says"),
    [
        (text(address="198.51.100.1"), "returns 198.51.100.1"),
        (text(ttl=86400), "TTL of 86400 s (limit 300 s)"),
        (text().replace("app 60", "other 60"), "NXDOMAIN"),
    ],
)
def test_one_server_that_differs_is_named(second, says):
    """The reason has server, value and limit."""
    with serving(text(), second) as settings:
        judgement = judged(settings)
    assert judgement.verdict is Verdict.FAIL
    assert says in judgement.reason
    assert "ns2.example.test" in judgement.reason


def has_ipv6():
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
def test_a_server_is_asked_over_ipv6():
    """One over each family: they agree, and the one that differs is named with its address."""
    with serving(text(), text(), addresses=("127.0.0.1", "::1")) as settings:
        assert judged(settings).verdict is Verdict.PASS
        zone = judge_dns_zone.judge_zone(probe_dns.zone(settings), settings)
        assert zone.verdict is Verdict.PASS, zone.reason
    with serving(text(), text(address="198.51.100.1"), addresses=("127.0.0.1", "::1")) as settings:
        judgement = judged(settings)
    assert judgement.verdict is Verdict.FAIL
    assert f"ns2.example.test ([::1]:{settings.servers[1].port})" in judgement.reason


def test_ipv6_addresses_are_compared_as_addresses():
    """AAAA and A inside a block; one outside is named."""
    both = text() + "app 60 IN AAAA 2001:db8:0:0::a\n"
    inside = DnsName(name=APP.name, addresses=["192.0.2.0/24", "2001:db8::/64"])
    with serving(both, both) as settings:
        judgement = judged(settings, inside)
        assert judgement.verdict is Verdict.PASS, judgement.reason
        judgement = judged(settings)
    assert judgement.verdict is Verdict.FAIL
    assert "2001:db8::a" in judgement.reason


def test_addresses_of_name_servers_that_were_not_asked_are_said():
    """A server named by IPv4 alone, whose name has an IPv6 address as well: users query both."""
    zone = text() + "ns2 IN AAAA 2001:db8::53\n"
    with serving(zone, zone) as settings:
        judgement = judge_dns_zone.judge_zone(probe_dns.zone(settings), settings)
    assert judgement.verdict is Verdict.PASS, judgement.reason
    assert any("ns2.example.test (2001:db8::53)" in note for note in judgement.notes)


def test_serials_that_differ_and_open_transfers_fail():
    """A lagging secondary, and a zone that anyone may transfer."""
    with serving(text(serial=2), text(serial=1)) as settings:
        judgement = judge_dns_zone.judge_zone(probe_dns.zone(settings), settings)
    assert "serials differ: ns2" in judgement.reason
    with serving(text(), text(), transfer=True) as settings:
        judgement = judge_dns_zone.judge_zone(probe_dns.zone(settings), settings)
    assert judgement.verdict is Verdict.FAIL
    assert "AXFR" in judgement.reason


@pytest.mark.long
def test_a_dead_server_beside_a_living_one_fails_and_all_dead_is_inconclusive():
    """The delegation promises that a server is reachable; the one that answers is the control."""
    with serving(text()) as settings:
        dead = {"name": "ns2.example.test", "address": "127.0.0.1", "port": free_port()}
        both = settings.model_copy(
            update={
                "servers": [*settings.servers, Dns(zone="x", servers=[dead]).servers[0]],
                "timeout": timedelta(milliseconds=700),  # this one is waited for
            }
        )
        judgement = judge_dns_zone.judge_zone(probe_dns.zone(both), both)
        assert judgement.verdict is Verdict.FAIL
        assert "ns2" in judgement.reason
    judgement = judge_dns_zone.judge_zone(probe_dns.zone(both), both)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert judged(both).verdict is Verdict.INCONCLUSIVE


def signed(**times):
    zone = dns.zone.from_text(text(), "example.test", relativize=False)
    key = ed25519.Ed25519PrivateKey.generate()
    public = dns.dnssec.make_dnskey(
        key.public_key(), dns.dnssectypes.Algorithm.ED25519, dns.dnssec.Flag.ZONE | dns.dnssec.Flag.SEP
    )
    with zone.writer() as change:
        dns.dnssec.sign_zone(zone, change, keys=[(key, public)], **times)
    return zone.to_text(relativize=False)


NOW = datetime.now(UTC)


@pytest.mark.parametrize(
    ("times", "verdict", "says"),
    [
        ({"lifetime": 86400 * 10}, Verdict.PASS, "DNSSEC valid"),
        ({"lifetime": 86400}, Verdict.FAIL, "signatures expire"),
        (
            {"inception": NOW - timedelta(days=9), "expiration": NOW - timedelta(days=1)},
            Verdict.FAIL,
            "expired",
        ),
    ],
)
def test_dnssec_valid_ending_and_expired(times, verdict, says):
    """Signatures are validated with the zone's own keys."""
    zone = signed(**times)
    with serving(zone, zone) as settings:
        judgement = judge_dns_zone.judge_zone(probe_dns.zone(settings), settings)
    assert judgement.verdict is verdict, judgement.reason
    assert says in judgement.reason


def test_dnssec_broken_is_told_from_expired():
    """A SOA that is not the one that was signed."""
    zone = signed(lifetime=86400 * 10).replace(" 1 3600 600", " 2 3600 600")
    with serving(zone, zone) as settings:
        judgement = judge_dns_zone.judge_zone(probe_dns.zone(settings), settings)
    assert judgement.verdict is Verdict.FAIL
    assert "DNSSEC is broken" in judgement.reason


def signed_with(key):
    zone = dns.zone.from_text(text(), "example.test", relativize=False)
    public = dns.dnssec.make_dnskey(key.public_key(), dns.dnssectypes.Algorithm.ED25519, 257)
    with zone.writer() as change:
        dns.dnssec.sign_zone(zone, change, keys=[(key, public)], lifetime=86400 * 10)
    return zone.to_text(relativize=False), public


@pytest.mark.parametrize(
    ("above", "verdict", "says"),
    [
        ("its own", Verdict.PASS, ""),
        ("another", Verdict.FAIL, "validating resolvers answer SERVFAIL"),
        ("none", Verdict.PASS, "resolvers do not validate it"),
    ],
)
def test_the_ds_record_above_must_fit_a_key(above, verdict, says):
    """Of the zone's key, of another one, or none at all."""
    key = ed25519.Ed25519PrivateKey.generate()
    zone, public = signed_with(key)
    if above == "another":
        public = signed_with(ed25519.Ed25519PrivateKey.generate())[1]
    origin = dns.name.from_text("example.test")
    ds = dns.dnssec.make_ds(origin, public, "SHA256").to_text()
    parent = (
        "$ORIGIN test.\n$TTL 60\n@ IN SOA ns hostmaster 1 3600 600 604800 60\n@ IN NS ns\nns IN A 127.0.0.1\n"
    )
    parent += "example IN NS ns1.example\nexample IN NS ns2.example\n" + (
        f"example IN DS {ds}\n" if above != "none" else ""
    )
    port = free_port()
    running = dns_server.serve(
        {"role": "primary", "address": "127.0.0.1", "port": port, "zone": "test", "text": parent}
    )
    try:
        with serving(zone, zone) as settings:
            settings.parent.append(NameServer(name="ns.test", address="127.0.0.1", port=port))
            judgement = judge_dns_zone.judge_zone(probe_dns.zone(settings), settings)
    finally:
        for server in running:
            server.shutdown()
            server.server_close()
    assert judgement.verdict is verdict, judgement.reason
    assert says in judgement.reason + " ".join(judgement.notes)


def test_a_signature_of_one_name_that_does_not_fit_is_seen():
    """SOA and DNSKEY are good; app's address was changed without signing it again."""
    zone, _ = signed_with(ed25519.Ed25519PrivateKey.generate())
    zone = zone.replace("A 192.0.2.10", "A 192.0.2.11")
    with serving(zone, zone) as settings:
        settings.names.append(APP)
        judgement = judge_dns_zone.judge_zone(probe_dns.zone(settings), settings)
    assert judgement.verdict is Verdict.FAIL
    assert "DNSSEC is broken (app.example.test A" in judgement.reason


def test_a_ttl_lowered_too_late_is_inconclusive(tmp_path):
    """First observation: inconclusive. High an hour ago: resolvers may still have it. Long ago: fine."""
    with serving(text(), text()) as settings:
        file = tmp_path / "seen.jsonl"
        assert "first observation" in judged(settings, switching=True).reason
        dns_history.add(file, Observation(NOW - timedelta(hours=1), APP.name, ("192.0.2.1",), 86400))
        late = judged(settings, earlier=dns_history.read(file, APP.name), switching=True)
        assert late.verdict is Verdict.INCONCLUSIVE
        assert "do not switch before" in late.reason
        old = (Observation(NOW - timedelta(days=3), APP.name, ("192.0.2.1",), 86400),)
        assert judged(settings, earlier=old, switching=True).verdict is Verdict.PASS


def test_a_switch_is_waited_for_until_the_deadline(tmp_path):
    """Old on one server: polled until the deadline, then fail with its answer; with earlier observations."""
    cutover = Cutover.model_validate({"name": APP.name, "addresses": ["192.0.2.10"], "within": "300ms"})
    file = tmp_path / "seen.jsonl"
    rows = []
    with serving(text(), text(address="198.51.100.1")) as settings:
        found = propagation.watch(settings, cutover, file, rows.append)
    judgement = judge_cutover.judge_cutover(found, cutover)
    assert judgement.verdict is Verdict.FAIL
    assert found.rounds > 1
    assert "still returns 198.51.100.1" in judgement.reason
    assert [new for _, _, new in rows[-1].rows] == [True, False]
    with serving(text(), text()) as settings:
        fresh = propagation.watch(settings, cutover, tmp_path / "none.jsonl", rows.append)
        assert judge_cutover.judge_cutover(fresh, cutover).verdict is Verdict.INCONCLUSIVE
        dns_history.add(
            tmp_path / "b.jsonl", Observation(NOW - timedelta(seconds=30), APP.name, ("198.51.100.1",), 600)
        )
        held = judge_cutover.judge_cutover(
            propagation.watch(settings, cutover, tmp_path / "b.jsonl", rows.append), cutover
        )
        assert held.verdict is Verdict.INCONCLUSIVE
        assert "resolvers may keep it until" in held.reason
        dns_history.add(
            tmp_path / "c.jsonl", Observation(NOW - timedelta(days=1), APP.name, ("198.51.100.1",), 60)
        )
        dns_history.add(
            tmp_path / "c.jsonl", Observation(NOW - timedelta(hours=1), APP.name, ("192.0.2.10",), 60)
        )
        done = judge_cutover.judge_cutover(
            propagation.watch(settings, cutover, tmp_path / "c.jsonl", rows.append), cutover
        )
        assert done.verdict is Verdict.PASS, done.reason
