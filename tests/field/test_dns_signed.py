"""Signed zones: what our reading says of them and what a resolver that validates (BIND) answers must be the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import bind
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from dns_peer import records, serving

from pytest_deploygate.checks.dns.judge import cutover as judge_cutover
from pytest_deploygate.checks.dns.judge import zone as judge_zone
from pytest_deploygate.checks.dns.probe import names, propagation
from pytest_deploygate.checks.dns.section import Cutover, Dns
from pytest_deploygate.clients import reach
from pytest_deploygate.model import Judgement, Verdict

DAYS = 86400
TEXT = """$TTL 60
@ IN SOA ns1 hostmaster 1 3600 600 604800 60
@ IN NS ns1
ns1 IN A 127.0.0.1
app IN A 192.0.2.10
both IN A 192.0.2.11
both IN AAAA 2001:db8::11
www IN CNAME app
out IN CNAME cdn.example.net.
*.wild IN A 192.0.2.12
old IN DNAME new
host.new IN A 192.0.2.13
child IN NS ns1
"""
CHILD = "$TTL 60\n@ IN SOA ns1.example.test. hostmaster 1 3600 600 604800 60\n@ IN NS ns1.example.test.\napp IN A 192.0.2.14\n"
NAMES = ("app", "both", "www", "x.wild", "host.old", "app.child")


@pytest.fixture(autouse=True)
def afresh() -> Iterator[None]:
    reach.begin()
    names._without_edns.clear()
    yield
    reach.begin()


class Signed:
    """A zone signed by BIND's tools; `ds` is what the parent zone has of its key."""

    def __init__(self, folder: Path, algorithm: str = "ECDSAP256SHA256") -> None:
        self.folder, self.algorithm = folder, algorithm
        self.ksk, self.zsk = self.key("-f", "KSK"), self.key()
        self.file = folder / "signed"
        self.ds = self.ds_of(self.ksk)

    def key(self, *more: str) -> str:
        """Make a key and return its name."""
        return bind.run(
            "dnssec-keygen", "-q", "-K", str(self.folder), "-a", self.algorithm, *more, bind.ZONE
        ).strip()

    def ds_of(self, key: str) -> str:
        """Return the DS record of a key."""
        return bind.run("dnssec-dsfromkey", "-2", str(self.folder / key)).split("DS ")[1].strip()

    def sign(self, text: str = TEXT, *more: str, lasts_s: int = 10 * DAYS) -> str:
        """Sign a zone with all its keys; return the file's text."""
        (self.folder / "zone").write_text(text)
        begins = ("-s", f"now-{30 * DAYS}") if lasts_s < 0 else ()
        ends = f"now{lasts_s:+d}"
        where = ("-K", str(self.folder), "-o", bind.ZONE, "-f", str(self.file), str(self.folder / "zone"))
        bind.run(
            "dnssec-signzone",
            "-d",
            str(self.folder),
            "-P",
            "-S",
            *begins,
            "-e",
            ends,
            "-O",
            "full",
            *more,
            *where,
        )
        return self.file.read_text()

    def edit(self, was: str, instead: str = "", flags: re.RegexFlag = re.MULTILINE) -> None:
        """Change the signed file. It must change."""
        text = self.file.read_text()
        changed = re.sub(was, instead, text, flags=flags)
        assert changed != text
        self.file.write_text(changed)


@pytest.fixture
def signed(tmp_path: Path) -> Signed:
    for tool in bind.TOOLS:
        bind.program(tool)
    return Signed(tmp_path)


def child(signed: Signed) -> str:
    """Return the statement for a zone below, which is not signed, on the same server."""
    (signed.folder / "child").write_text(CHILD)
    return f'zone "child.{bind.ZONE}" {{ type primary; file "{signed.folder}/child"; }};\n'


def truth(folder: Path, ds: str, port: int, wanted: tuple[str, ...]) -> set[str]:
    """Return which questions a resolver that validates answers by SERVFAIL."""
    failed = set()
    with bind.validating(folder / "resolver", ds, port) as resolver:
        for name in wanted:
            for kind in ("A", "AAAA"):
                asked = dns.message.make_query(f"{name}.{bind.ZONE}", kind, want_dnssec=True)
                answer = dns.query.tcp(asked, "127.0.0.1", port=resolver, timeout=10)
                if answer.rcode() == dns.rcode.SERVFAIL:
                    failed.add(f"{name} {kind}")
    return failed


def judged(port: int, ds: str, wanted: tuple[str, ...]) -> Judgement:
    """Judge the zone at a port, with a parent zone that has this DS record."""
    parent = records(
        f"example 60 DS {ds}", "example 60 NS ns1.example.test.", "@ 60 NS ns.test.", zone="test."
    )
    with serving(parent) as above:
        settings = Dns.model_validate(
            {
                "zone": bind.ZONE,
                "servers": [{"name": "ns1.example.test", "address": "127.0.0.1", "port": port}],
                "parent": [{"name": "ns.test", "address": "127.0.0.1", "port": above}],
                "min_servers": 1,
                "timeout": "10s",
                "dnssec": True,
                "names": [{"name": f"{name}.{bind.ZONE}", "addresses": ["192.0.2.0/24"]} for name in wanted],
            }
        )
        return judge_zone.judge_zone(names.zone(settings), settings)


def compare(
    signed: Signed, verdict: Verdict, says: str = "", wanted: tuple[str, ...] = NAMES, ds: str = ""
) -> None:
    """Ask BIND's resolver and us about the signed file, and compare."""
    with bind.serving(signed.folder / "server", signed.file, child(signed)) as port:
        failed = truth(signed.folder, ds or signed.ds, port, wanted)
        judgement = judged(port, ds or signed.ds, wanted)
    assert bool(failed) == (verdict is Verdict.FAIL), failed
    assert judgement.verdict is verdict, judgement.reason
    assert says in judgement.reason


@pytest.mark.parametrize("algorithm", ["ECDSAP256SHA256", "RSASHA256", "ED25519"])
@pytest.mark.parametrize("more", [(), ("-3", "-", "-A"), ("-3", "ab")], ids=["NSEC", "opt-out", "NSEC3"])
def test_a_zone_that_is_whole(tmp_path: Path, algorithm: str, more: tuple[str, ...]) -> None:
    """With aliases, a wildcard, a DNAME, names without AAAA, and an unsigned zone below on the same server."""
    signed = Signed(tmp_path, algorithm)
    signed.sign(TEXT, *more)
    compare(signed, Verdict.PASS)


def test_one_key_for_all(tmp_path: Path) -> None:
    signed = Signed(tmp_path)
    for end in (".key", ".private"):
        (tmp_path / f"{signed.zsk}{end}").unlink()
    signed.sign(TEXT, "-z")
    compare(signed, Verdict.PASS)


def test_an_alias_to_another_zone(signed: Signed) -> None:
    """Its target's signatures are another zone's matter."""
    signed.sign()
    with bind.serving(signed.folder / "server", signed.file) as port:
        assert judged(port, signed.ds, ("out",)).verdict is Verdict.PASS


def test_two_keys_while_they_are_changed(signed: Signed) -> None:
    """Both sign the keys; the parent zone has either."""
    new = signed.key("-f", "KSK")
    signed.sign()
    for key in (signed.ksk, new):
        compare(signed, Verdict.PASS, wanted=("app",), ds=signed.ds_of(key))


def test_a_signature_that_ended_beside_a_good_one(signed: Signed) -> None:
    """One that fits would do (RFC 4035), but BIND bounds its attempts and stops at the first that does not."""
    old = signed.sign(lasts_s=-DAYS)
    kept = [line for line in old.splitlines() if re.search(r"RRSIG\s+(SOA|A) ", line)]
    signed.sign()
    signed.file.write_text(signed.file.read_text() + "\n".join(kept) + "\n")
    compare(signed, Verdict.FAIL, "re-sign the zone", ("app",))


def test_a_signature_of_a_key_that_is_gone(signed: Signed) -> None:
    """It is not tried."""
    old = signed.key()
    text = signed.sign(lasts_s=-DAYS)
    tag = int(old.rpartition("+")[2])
    kept = [line for line in text.splitlines() if re.search(rf"RRSIG\s+A .*\s{tag} ", line)]
    assert kept
    for end in (".key", ".private"):
        (signed.folder / f"{old}{end}").unlink()
    signed.sign()
    signed.file.write_text(signed.file.read_text() + "\n".join(kept) + "\n")
    compare(signed, Verdict.PASS, wanted=("app", "www"))


@pytest.mark.parametrize(
    ("was", "instead", "wanted", "says"),
    [
        # An alias that was changed after signing.
        (r"^(www\S*\s.*CNAME\s+)app\.", r"\1both.", ("www",), "www.example.test CNAME"),
        # The target of an alias.
        (r"^(app\S*\s.*\sA\s+)192.0.2.10", r"\g<1>192.0.2.99", ("www",), "app.example.test A"),
        (r"^old\S*\s.*RRSIG\s+DNAME.*\n", "", ("host.old",), "old.example.test DNAME has no signature"),
        (r"^(\*\.wild\S*\s.*\sA\s+)192.0.2.12", r"\g<1>192.0.2.99", ("x.wild",), "x.wild.example.test A"),
        # A proof that there is no AAAA record whose signature does not fit.
        (r"^(app\S*\s.*\sNSEC\s+.* A )(RRSIG)", r"\1MX \2", ("app",), "app.example.test NSEC"),
        (r"^(both\S*\s.*\sAAAA\s+)2001:db8::11", r"\g<1>2001:db8::99", ("both",), "both.example.test AAAA"),
    ],
)  # fmt: skip
def test_a_part_that_resolvers_refuse(
    signed: Signed, was: str, instead: str, wanted: tuple[str, ...], says: str
) -> None:
    signed.sign()
    signed.edit(was, instead)
    compare(signed, Verdict.FAIL, says, wanted)


def test_no_proof_at_all(signed: Signed) -> None:
    """A server that signs its records, but proves of none that it does not exist."""
    signed.sign()

    def denied(one: dns.rrset.RRset) -> bool:
        return dns.rdatatype.NSEC in (one.rdtype, one.covers)

    def without(asked: dns.message.Message, tcp: bool) -> dns.message.Message:
        made = dns.query.tcp(asked, "127.0.0.1", port=port, timeout=10)
        made.authority = [one for one in made.authority if not denied(one)]
        return made

    with bind.serving(signed.folder / "server", signed.file) as port, serving(without) as before:
        failed = truth(signed.folder, signed.ds, before, ("app", "x.wild"))
        assert failed == {"app AAAA", "x.wild A", "x.wild AAAA"}
        judgement = judged(before, signed.ds, ("app",))
        assert "there is no proof that the record does not exist" in judgement.reason
        judgement = judged(before, signed.ds, ("x.wild",))
        assert (
            "there is no proof that the name itself, before the wildcard, does not exist" in judgement.reason
        )


@pytest.mark.parametrize("more", [(), ("-3", "ab"), ("-3", "-", "-A")], ids=["NSEC", "NSEC3", "opt-out"])
@pytest.mark.parametrize("asked", ["app", "x.wild", "www"])
def test_a_signed_proof_of_something_else(signed: Signed, more: tuple[str, ...], asked: str) -> None:
    """The server proves that another name is not there; BIND's resolver refuses it, and we leave it open."""
    signed.sign(TEXT, *more)

    def of_another(question: dns.message.Message, tcp: bool) -> dns.message.Message:
        made = dns.query.tcp(question, "127.0.0.1", port=port, timeout=10)
        denies = any(one.rdtype in (dns.rdatatype.NSEC, dns.rdatatype.NSEC3) for one in made.authority)
        if denies and question.question[0].name.to_text() == f"{asked}.{bind.ZONE}.":
            other = dns.message.make_query(f"ns1.{bind.ZONE}", "AAAA", want_dnssec=True)
            instead = dns.query.tcp(other, "127.0.0.1", port=port, timeout=10).authority
            kept = [one for one in made.authority if dns.rdatatype.SOA in (one.rdtype, one.covers)]
            made.authority = [*kept, *(one for one in instead if dns.rdatatype.SOA not in (one.rdtype, one.covers))]  # fmt: skip
        return made

    with bind.serving(signed.folder / "server", signed.file) as port, serving(of_another) as before:
        refused = truth(signed.folder, signed.ds, before, (asked,))
        judgement = judged(before, signed.ds, (asked,))
    assert bool(refused) is (asked != "www"), "what an alias leads to is asked for by itself"
    assert judgement.verdict is (Verdict.INCONCLUSIVE if refused else Verdict.PASS), judgement.reason
    assert not refused or "its signed proofs (NSEC, NSEC3) do not show that" in judgement.reason


def test_signatures_that_ended(signed: Signed) -> None:
    signed.sign(lasts_s=-DAYS)
    compare(signed, Verdict.FAIL, "DNSSEC is expired", ("app",))


def test_the_key_of_the_ds_record_does_not_sign(signed: Signed) -> None:
    """It is published, but the keys are signed by its successor alone."""
    new = signed.key("-f", "KSK")
    signed.sign()
    tag = int(signed.ksk.rpartition("+")[2])
    assert tag != int(new.rpartition("+")[2])
    signed.edit(rf"^\S+\s.*RRSIG\s+DNSKEY\s.*\s{tag}\s.*\n")
    compare(signed, Verdict.FAIL, "which no key with a DS record signs", ("app",))
    compare(signed, Verdict.PASS, "", ("app",), signed.ds_of(new))


def test_a_server_that_does_not_answer_for_its_keys_is_not_unsigned(signed: Signed) -> None:
    """SERVFAIL to DNSKEY says nothing about signatures."""
    plain = records(
        "@ 60 SOA ns1.example.test. h.example.test. 1 3600 600 604800 60", "@ 60 NS ns1.example.test."
    )

    def answers(asked: dns.message.Message, tcp: bool) -> dns.message.Message:
        made = plain(asked, tcp)
        assert made is not None
        if asked.question[0].rdtype == dns.rdatatype.DNSKEY:
            made.set_rcode(dns.rcode.SERVFAIL)
        return made

    with serving(answers) as port:
        settings = Dns.model_validate(
            {
                "zone": bind.ZONE,
                "servers": [{"name": "ns1.example.test", "address": "127.0.0.1", "port": port}],
                "min_servers": 1,
            }
        )
        judgement = judge_zone.judge_zone(names.zone(settings), settings)
    assert judgement.verdict is Verdict.INCONCLUSIVE, judgement.reason
    assert "answers SERVFAIL to example.test DNSKEY" in judgement.reason


@pytest.mark.parametrize("above", [True, False], ids=["DS record", "none yet"])
def test_one_of_two_servers_is_signed(signed: Signed, above: bool) -> None:
    """At the same serial, as after a transfer through a server that drops signatures."""
    signed.sign()
    plain = signed.folder / "zone"
    lines = ["example 60 NS ns1.example.test.", "@ 60 NS ns.test."]
    parent = records(*lines, *([f"example 60 DS {signed.ds}"] if above else []), zone="test.")
    with (
        bind.serving(signed.folder / "a", signed.file) as one,
        bind.serving(signed.folder / "b", plain) as two,
        serving(parent) as parent_port,
    ):
        at = {"address": "127.0.0.1"}
        servers = [{"name": f"ns{n}.example.test", "port": port} | at for n, port in enumerate((one, two), 1)]
        keys = {"zone": bind.ZONE, "servers": servers, "min_servers": 1, "timeout": "10s"}
        without = Dns.model_validate(keys)
        settings = Dns.model_validate(keys | {"parent": [{"name": "ns.test", "port": parent_port} | at]})
        judgement = judge_zone.judge_zone(names.zone(settings), settings)
        unknown = judge_zone.judge_zone(names.zone(without), without)
    what = f"ns2.example.test (127.0.0.1:{two})"
    if above:
        assert judgement.verdict is Verdict.FAIL
        assert f"{what}: does not sign example.test, which ns1" in judgement.reason
    else:
        assert any(f"{what} does not sign example.test" in note for note in judgement.notes)
    assert unknown.verdict is Verdict.FAIL
    assert "transfer the zone anew there" in unknown.reason


@pytest.mark.parametrize(
    ("was", "instead", "says"),
    [
        (r"^(app\S*\s.*\sA\s+)192.0.2.10", r"\g<1>192.0.2.99", "app.example.test A: "),
        (r"^app\S*\s.*RRSIG\s+A .*\n", "", "app.example.test A has no signature"),
        (r"^(app\S*\s.*\sNSEC\s+.* A )(RRSIG)", r"\1MX \2", "app.example.test NSEC: "),
        ("", "", ""),
    ],
)
def test_a_switch_whose_new_answer_nobody_who_validates_believes(
    signed: Signed, tmp_path: Path, was: str, instead: str, says: str
) -> None:
    """The record was changed in the signed file: each server returns it, and most users get SERVFAIL."""
    signed.sign()
    if was:
        signed.edit(was, instead)
    cutover = Cutover.model_validate(
        {"name": "app.example.test", "addresses": ["192.0.2.0/24"], "within": "2s"}
    )
    with bind.serving(signed.folder / "server", signed.file) as port:
        failed = truth(signed.folder, signed.ds, port, ("app",))
        server = {"name": "ns1.example.test", "address": "127.0.0.1", "port": port}
        settings = Dns.model_validate({"zone": bind.ZONE, "servers": [server], "timeout": "10s"})
        found = propagation.watch(settings, cutover, tmp_path / "seen", lambda _: None)
    judgement = judge_cutover.judge_cutover(found, cutover)
    assert bool(failed) == bool(says)
    assert (judgement.verdict is Verdict.FAIL) == bool(says), judgement.reason
    assert says in judgement.reason
    assert says or found.signed[0][1].state == "valid"
