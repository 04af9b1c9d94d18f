"""Names, zones and switches as resolvers see them: servers without EDNS or with truncated answers, aliases, CAA, serials."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import subprocess
import time

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest
from bind import free_port
from dns_peer import records, serving, truncated, without_edns

from pytest_deploygate.checks.dns.judge import cutover as judge_cutover
from pytest_deploygate.checks.dns.judge import names as judge_names
from pytest_deploygate.checks.dns.judge import zone as judge_zone
from pytest_deploygate.checks.dns.probe import names, propagation
from pytest_deploygate.checks.dns.section import Cutover, Dns, DnsName
from pytest_deploygate.clients import reach
from pytest_deploygate.model import Verdict

ZONE = (
    "@ 60 SOA ns1.example.test. hostmaster.example.test. 1 3600 600 604800 60",
    "@ 60 NS ns1.example.test.",
    "@ 60 NS ns2.example.test.",
    "ns1 60 A 127.0.0.1",
    "ns2 60 A 127.0.0.1",
)
APP = (*ZONE, "app 60 A 192.0.2.10")
WANTED = DnsName.model_validate({"name": "app.example.test", "addresses": ["192.0.2.10"]})


@pytest.fixture(autouse=True)
def afresh():
    reach.begin()
    names._without_edns.clear()
    yield
    reach.begin()


@contextlib.contextmanager
def zone(*answers, resolvers=(), timeout="500ms"):
    """Serve each of these as a server of the zone, or as a resolver."""
    with contextlib.ExitStack() as stack:

        def section(prefix, each):
            return [
                {
                    "name": f"{prefix}{n}.example.test",
                    "address": "127.0.0.1",
                    "port": stack.enter_context(serving(one)),
                }
                for n, one in enumerate(each, 1)
            ]

        keys = {
            "zone": "example.test",
            "servers": section("ns", answers),
            "timeout": timeout,
            "min_servers": 1,
        }
        yield Dns.model_validate(keys | ({"resolvers": section("r", resolvers)} if resolvers else {}))


def of_name(settings, wanted=WANTED):
    found = names.name(settings, wanted)
    return judge_names.judge_name(judge_names.Named(found), judge_names.ExpectedName(settings, wanted))


def of_zone(settings):
    return judge_zone.judge_zone(names.zone(settings), settings)


def test_truncated_over_udp_and_whole_over_tcp():
    """Resolvers ask again over TCP."""
    with zone(truncated(records(*APP)), records(*APP)) as settings:
        assert of_name(settings).verdict is Verdict.PASS
        judgement = of_zone(settings)
        assert "lame" not in judgement.reason
        assert judgement.verdict is Verdict.PASS, judgement.reason


def cut_short(asked, tcp):
    """Some of the addresses fit, and the answer says that it is not whole."""
    lines = (*ZONE, "app 60 A 192.0.2.10", *(() if not tcp else ("app 60 A 192.0.2.11",)))
    made = records(*lines)(asked, tcp)
    if not tcp:
        made.flags |= dns.flags.TC
    return made


@pytest.mark.parametrize(
    ("addresses", "verdict", "says"),
    [(["192.0.2.10", "192.0.2.11"], Verdict.PASS, ""), (["192.0.2.10"], Verdict.FAIL, "192.0.2.11")],
)
def test_a_truncated_answer_with_a_part_of_the_records(addresses, verdict, says):
    """The whole answer counts, not what happened to fit."""
    wanted = DnsName.model_validate({"name": "app.example.test", "addresses": addresses})
    with zone(cut_short) as settings:
        judgement = of_name(settings, wanted)
    assert judgement.verdict is verdict, judgement.reason
    assert says in judgement.reason


def test_no_record_by_a_truncated_answer():
    """Over TCP too there is none."""
    with zone(truncated(records(*ZONE))) as settings:
        judgement = of_name(settings)
    assert judgement.verdict is Verdict.FAIL, judgement.reason
    assert "truncated" not in judgement.reason


def test_truncated_and_no_tcp():
    """Then nobody gets an answer from it."""

    def answers(asked, tcp):
        return None if tcp else truncated(records(*APP))(asked, tcp)

    with zone(answers, records(*APP)) as settings:
        judgement = of_name(settings)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "truncated" in judgement.reason


@pytest.mark.parametrize("rcode", [dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.BADVERS, None])
def test_no_edns(rcode):
    """Resolvers ask again without it; the note names EDNS and the server."""
    with zone(without_edns(records(*APP), rcode), records(*APP)) as settings:
        judgement = of_name(settings)
        assert judgement.verdict is Verdict.PASS, judgement.reason
        assert [note for note in judgement.notes if "EDNS" in note and note.startswith("ns1")]
        assert not [note for note in judgement.notes if note.startswith("ns2")]
        whole = of_zone(settings)
    assert whole.verdict is Verdict.PASS, whole.reason
    assert [note for note in whole.notes if "EDNS" in note]


def test_a_server_that_ignores_edns_is_no_server_without_it():
    """It answers, without the record of EDNS: nothing is asked twice, and nothing is noted."""
    asked_twice = []

    def answers(asked, tcp):
        asked_twice.append(asked.edns)
        made = records(*APP)(asked, tcp)
        made.use_edns(False)
        return made

    with zone(answers) as settings:
        judgement = of_name(settings)
    assert judgement.verdict is Verdict.PASS, judgement.reason
    assert set(asked_twice) == {0}
    assert not [note for note in judgement.notes if "EDNS" in note]


@pytest.mark.parametrize("rcode", [dns.rcode.FORMERR, dns.rcode.NOTIMP])
def test_no_edns_and_a_wrong_address(rcode):
    """What it answers without EDNS is judged like any other answer."""
    with zone(without_edns(records(*ZONE, "app 60 A 198.51.100.1"), rcode)) as settings:
        judgement = of_name(settings)
    assert judgement.verdict is Verdict.FAIL
    assert "198.51.100.1" in judgement.reason


def test_a_dead_server_is_not_one_without_edns():
    with zone(lambda _asked, _tcp: None, records(*APP), timeout="200ms") as settings:
        judgement = of_name(settings)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert not [note for note in judgement.notes if "EDNS" in note]


@pytest.mark.parametrize(
    ("name", "caa", "verdict", "says"),
    [
        ("app", ['0 ISSUE "LetsEncrypt.org"'], Verdict.PASS, ""),
        ("app", ['0 issue "letsencrypt.org; validationmethods=dns-01"'], Verdict.PASS, ""),
        ("app", ['0 iodef "mailto:security@example.test"'], Verdict.PASS, "restrict nobody"),
        ("app", ['0 issuewild "other.example"'], Verdict.PASS, "restrict nobody"),
        ("app", ['0 issue ";"'], Verdict.FAIL, "CAA allows nobody"),
        ("app", ['0 issue "other.example"'], Verdict.FAIL, "CAA allows other.example"),
        (
            "app",
            ['0 issue "letsencrypt.org"', '128 tbs "unknown"'],
            Verdict.INCONCLUSIVE,
            "critical CAA tag 'tbs'",
        ),
        ("*", ['0 issue "letsencrypt.org"', '0 issuewild ";"'], Verdict.FAIL, "CAA allows nobody"),
        ("*", ['0 issue ";"', '0 IssueWild "letsencrypt.org"'], Verdict.PASS, ""),
        ("*", ['0 issue "letsencrypt.org"'], Verdict.PASS, ""),
    ],
)
def test_caa(name, caa, verdict, says):
    lines = [f"{name} 60 CAA {one}" for one in caa]
    wanted = DnsName.model_validate(
        {"name": f"{name}.example.test", "addresses": ["192.0.2.10"], "caa": ["letsencrypt.org"]}
    )
    with zone(records(*ZONE, f"{name} 60 A 192.0.2.10", *lines)) as settings:
        judgement = of_name(settings, wanted)
    assert judgement.verdict is verdict, judgement.reason
    assert says in judgement.reason or any(says in note for note in judgement.notes)


@pytest.mark.parametrize(
    ("rcode", "says"),
    [(dns.rcode.SERVFAIL, "answers SERVFAIL to AAAA"), (dns.rcode.NXDOMAIN, "answers NXDOMAIN to AAAA")],
)
def test_aaaa_fails_while_a_is_right(rcode, says):
    def answers(asked, tcp):
        made = records(*APP)(asked, tcp)
        if asked.question[0].rdtype == dns.rdatatype.AAAA:
            made.authority.clear()
            made.set_rcode(rcode)
        return made

    with zone(answers) as settings:
        judgement = of_name(settings)
    assert judgement.verdict is Verdict.FAIL
    assert says in judgement.reason


LOOP = ("app 60 CNAME www.example.test.", "www 60 CNAME app.example.test.")


ROTATING = itertools.cycle(
    [("192.0.2.10", "192.0.2.77"), ("192.0.2.200",), ("192.0.2.77", "192.0.2.10", "192.0.2.9")]
)


def rotating(asked, tcp):
    """Answer other addresses of a block each time, as a load balancer does."""
    lines = [f"app 60 A {address}" for address in next(ROTATING)]
    return records(*ZONE, *lines)(asked, tcp)


@pytest.mark.parametrize(
    ("block", "verdict"),
    [
        (["192.0.2.0/24"], Verdict.PASS),
        (["192.0.2.0/25", "192.0.2.128/25"], Verdict.PASS),
        (["192.0.2.0/24", "2001:db8::/32"], Verdict.PASS),
        (["192.0.2.10", "192.0.2.77", "192.0.2.200", "192.0.2.9"], Verdict.PASS),
        (["192.0.2.0/25"], Verdict.FAIL),
        (["192.0.2.10", "192.0.2.77"], Verdict.FAIL),
        (["192.0.3.0/24"], Verdict.FAIL),
    ],
)
def test_rotating_addresses(block, verdict):
    """Within the block they pass, however often they change; one outside of it is named."""
    wanted = DnsName.model_validate({"name": "app.example.test", "addresses": block})
    seen = []
    with zone(rotating, rotating) as settings:
        seen = [of_name(settings, wanted) for _ in range(6)]
    if verdict is Verdict.PASS:
        assert {one.verdict for one in seen} == {Verdict.PASS}, seen
        return
    failed = [one for one in seen if one.verdict is Verdict.FAIL]  # an answer by chance may be all within
    assert failed
    assert all("expected 192.0." in one.reason for one in failed)


@pytest.mark.parametrize(
    ("addresses", "lines", "verdict", "says"),
    [
        (["192.0.2.10", "2001:db8::10"], ["app 60 A 192.0.2.10"], Verdict.FAIL,
         "returns 192.0.2.10 for app.example.test, but has no AAAA record, expected 2001:db8::10 too"),
        (["192.0.2.10", "2001:db8::10"], ["app 60 AAAA 2001:db8::10"], Verdict.FAIL, "but has no A record, expected 192.0.2.10 too"),
        (["192.0.2.10", "192.0.2.11", "2001:db8::10"], ["app 60 A 192.0.2.11", "app 60 AAAA 2001:db8::10"], Verdict.PASS, ""),
        (["192.0.2.10", "2001:db8::/32"], ["app 60 A 192.0.2.10"], Verdict.PASS, ""),
        # Addresses of which one is in a block of the other family, written otherwise.
        (["192.0.2.10", "2001:DB8:0:0::10"], ["app 60 A 192.0.2.10", "app 60 AAAA 2001:db8::10"], Verdict.PASS, ""),
    ],
)  # fmt: skip
def test_a_family_of_addresses_that_is_missing(addresses, lines, verdict, says, tmp_path):
    """Who names an address of each family wants both: before the switch, and at it."""
    keys = {"name": "app.example.test", "addresses": addresses}
    with zone(records(*ZONE, *lines)) as settings:
        judgement = of_name(settings, DnsName.model_validate(keys))
        cutover = Cutover.model_validate(keys | {"within": "1s"})
        found = propagation.watch(settings, cutover, tmp_path / "seen", lambda _: None)
    assert judgement.verdict is verdict, judgement.reason
    assert says in judgement.reason
    switched = judge_cutover.judge_cutover(found, cutover)
    assert (switched.verdict is Verdict.FAIL) == (verdict is Verdict.FAIL), switched.reason
    assert says.partition("but ")[2] in switched.reason


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("192.0.2.10/24", "write 192.0.2.10 if only it is meant, 192.0.2.0/24 if all 256 addresses are"),
        ("2001:db8::1/64", "write 2001:db8::1 if only it is meant"),
        ("0.0.0.0/0", "is every address, so no answer could be wrong"),
        ("::/0", "is every address"),
        ("10.0.0.1/0", "is one address within a block"),
        ("192.0.2.0/33", "neither an address nor a CIDR block"),
    ],
)
def test_a_block_covers_what_it_says(written, says):
    """An address with a mask is not taken for all of its block, nor everything for a limit."""
    with pytest.raises(ValueError, match="address") as refused:
        DnsName.model_validate({"name": "app.example.test", "addresses": [written]})
    assert says in str(refused.value)


@pytest.mark.parametrize(
    "lines",
    [
        LOOP,
        ("app 60 CNAME app.example.test.",),
        (*LOOP[:1], "www 60 CNAME b.example.test.", "b 60 CNAME www.example.test."),
    ],
)
@pytest.mark.parametrize("keys", [{"addresses": ["192.0.2.10"]}, {"cname": "www.example.test"}])
def test_aliases_in_a_loop(lines, keys):
    if "cname" in keys and "app 60 CNAME app" in lines[0]:
        keys = {"cname": "app.example.test"}
    with zone(records(*ZONE, *lines), records(*ZONE, *lines)) as settings:
        judgement = of_name(settings, DnsName.model_validate({"name": "app.example.test", **keys}))
    assert judgement.verdict is Verdict.FAIL, judgement.reason
    assert "leads back to itself" in judgement.reason


def test_an_alias_to_elsewhere_without_a_resolver():
    with zone(records(*ZONE, "app 60 CNAME cdn.example.net.")) as settings:
        judgement = of_name(settings)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "dns.resolvers" in judgement.reason


ELSEWHERE = records("cdn 60 A 192.0.2.10", zone="example.net.")


def resolver(asked, tcp):
    """Resolve the alias and what it leads to in one answer."""
    made = records(*ZONE, "app 60 CNAME cdn.example.net.")(asked, tcp)
    question = asked.question[0]
    if question.name.to_text() == "app.example.test." and question.rdtype in (
        dns.rdatatype.A,
        dns.rdatatype.AAAA,
    ):
        inner = dns.message.make_query("cdn.example.net.", question.rdtype)
        made.answer.extend(ELSEWHERE(inner, tcp).answer)
    made.flags |= dns.flags.RA
    return made


@pytest.mark.parametrize(
    ("keys", "with_resolver", "verdict", "says"),
    [
        ({"addresses": ["192.0.2.10"]}, True, Verdict.PASS, ""),
        ({"addresses": ["192.0.2.11"]}, True, Verdict.FAIL, "192.0.2.10"),
        ({"cname": "cdn.example.net"}, False, Verdict.PASS, ""),
        ({"cname": "cdn.example.org"}, False, Verdict.FAIL, "cdn.example.net"),
    ],
)
def test_an_alias_to_elsewhere(keys, with_resolver, verdict, says):
    """With a resolver the addresses are known; who expects the alias itself needs none."""
    wanted = DnsName.model_validate({"name": "app.example.test", **keys})
    own = records(*ZONE, "app 60 CNAME cdn.example.net.")
    with zone(own, resolvers=(resolver,) if with_resolver else ()) as settings:
        judgement = of_name(settings, wanted)
    assert judgement.verdict is verdict, judgement.reason
    assert says in judgement.reason


def test_an_alias_at_the_apex():
    """SOA and NS are asked, and the alias comes."""
    lines = ("@ 60 CNAME cdn.example.net.",)
    apex = DnsName.model_validate({"name": "example.test", "addresses": ["192.0.2.10"]})
    with zone(records(*lines)) as settings:
        for judgement in (of_zone(settings), of_name(settings, apex)):
            assert judgement.verdict is Verdict.FAIL
            assert "alias" in judgement.reason
            assert "at the top of the zone" in judgement.reason
            assert "lame" not in judgement.reason


@pytest.mark.parametrize(
    "line", ["@ 60 CNAME www.example.test.", "@ 60 CNAME example.net.", "@ 60 CNAME d111.cdn.example."]
)
def test_other_aliases_at_the_apex(line):
    """Within the zone too; the records beside it do not help whoever asks for the addresses."""
    apex = DnsName.model_validate({"name": "example.test", "addresses": ["192.0.2.10"]})
    with zone(records(*ZONE, line, "www 60 A 192.0.2.10")) as settings:
        judgement = of_name(settings, apex)
    assert judgement.verdict is Verdict.FAIL, judgement.reason
    assert "at the top of the zone" in judgement.reason


def test_addresses_at_the_apex():
    """The healthy way."""
    apex = DnsName.model_validate({"name": "example.test", "addresses": ["192.0.2.10"]})
    with zone(records(*ZONE, "@ 60 A 192.0.2.10")) as settings:
        assert of_name(settings, apex).verdict is Verdict.PASS
        assert of_zone(settings).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("serials", "newest"),
    [
        ((4294967295, 2), "newest is 2"),
        ((1, 2), "newest is 2"),
        ((2147483649, 1, 2), "none is newer"),
        ((4294967290, 5, 4294967295), "newest is 5"),
    ],
)
def test_serials(serials, newest):
    """Serial number arithmetic: after the largest comes 0."""
    each = [
        records(f"@ 60 SOA ns1.example.test. h.example.test. {one} 3600 600 604800 60", *APP[1:])
        for one in serials
    ]
    with zone(*each) as settings:
        judgement = of_zone(settings)
    assert judgement.verdict is Verdict.FAIL
    assert newest in judgement.reason, judgement.reason


def switched(settings, folder, within="3s"):
    cutover = Cutover.model_validate(
        {"name": "app.example.test", "addresses": ["192.0.2.10"], "within": within}
    )
    found = propagation.watch(settings, cutover, folder / "seen.jsonl", lambda _: None)
    return judge_cutover.judge_cutover(found, cutover)


@pytest.mark.parametrize("before", [None, "NXDOMAIN"])
def test_a_name_that_was_never_observed(tmp_path, before):
    """However often it is asked: what resolvers keep is unknown. A name without a record is kept as that, too."""
    if before:
        with zone(records(*ZONE, soa_minimum=86400)) as settings:
            assert switched(settings, tmp_path, within="100ms").verdict is Verdict.FAIL
    with zone(records(*APP)) as settings:
        for _ in range(3):
            judgement = switched(settings, tmp_path)
            assert judgement.verdict is Verdict.INCONCLUSIVE, judgement.reason
    assert ("TTL 86400 s" if before else "never observed before") in judgement.reason


def test_a_name_that_was_observed_once_and_switched(tmp_path):
    """The old answer was seen with its TTL of 1 s, and when that has run out since the new one was first seen it passes."""
    with zone(records(*ZONE, "app 1 A 198.51.100.1")) as settings:
        assert switched(settings, tmp_path, within="100ms").verdict is Verdict.FAIL
    with zone(records(*ZONE, "app 1 A 192.0.2.10")) as settings:
        assert switched(settings, tmp_path).verdict is Verdict.INCONCLUSIVE
        time.sleep(1.2)
        judgement = switched(settings, tmp_path)
    assert judgement.verdict is Verdict.PASS, judgement.reason


def test_an_old_answer_that_was_observed_and_is_still_kept(tmp_path):
    with zone(records(*ZONE, "app 3600 A 198.51.100.1")) as settings:
        assert switched(settings, tmp_path, within="100ms").verdict is Verdict.FAIL
    with zone(records(*APP)) as settings:
        for _ in range(2):
            judgement = switched(settings, tmp_path)
            assert judgement.verdict is Verdict.INCONCLUSIVE, judgement.reason
    assert "TTL 3600 s" in judgement.reason


def test_another_name_that_was_observed_tells_nothing(tmp_path):
    """The record of one name is none of another."""
    with zone(records(*APP, "old 1 A 198.51.100.1")) as settings:
        other = Cutover.model_validate(
            {"name": "old.example.test", "addresses": ["192.0.2.10"], "within": "100ms"}
        )
        propagation.watch(settings, other, tmp_path / "seen.jsonl", lambda _: None)
        judgement = switched(settings, tmp_path)
    assert judgement.verdict is Verdict.INCONCLUSIVE, judgement.reason
    assert "never observed before" in judgement.reason


@pytest.mark.parametrize("turns", [3, 5])
def test_a_resolver_that_flaps_otherwise(tmp_path, turns):
    """Every third answer, or every fifth."""
    counts = itertools.count(1)

    def flapping(asked, tcp):
        old = next(counts) % turns == 0
        return records(*ZONE, f"app 60 A {'198.51.100.1' if old else '192.0.2.10'}")(asked, tcp)

    with zone(records(*APP), resolvers=(records(*APP), flapping)) as settings:
        judgement = switched(settings, tmp_path)
    assert judgement.verdict is Verdict.FAIL, judgement.reason
    assert "r2.example.test" in judgement.reason


def test_a_resolver_that_turns_silent_is_no_pass(tmp_path):
    counts = itertools.count()

    def silent(asked, tcp):
        return records(*APP)(asked, tcp) if next(counts) < 2 else None

    with zone(records(*APP), resolvers=(records(*APP), silent), timeout="200ms") as settings:
        judgement = switched(settings, tmp_path)
    assert judgement.verdict is not Verdict.PASS, judgement.reason


def test_a_resolver_that_flaps(tmp_path):
    """One of its caches has the old answer: a round in which it happens to be new is not enough."""
    counts = itertools.count()

    def flapping(asked, tcp):
        old = next(counts) % 12 >= 8
        return records(*ZONE, f"app 60 A {'198.51.100.1' if old else '192.0.2.10'}")(asked, tcp)

    with zone(records(*APP), resolvers=(records(*APP), flapping, records(*APP))) as settings:
        judgement = switched(settings, tmp_path)
    assert judgement.verdict is Verdict.FAIL, judgement.reason
    assert "r2.example.test" in judgement.reason


@pytest.fixture
def bind(tmp_path):
    """BIND with a zone that has a loop, an alias to elsewhere, and CAA records in capitals."""
    if not (named := shutil.which("named") or shutil.which("/usr/sbin/named")):
        pytest.skip("BIND is not installed here")
    port = free_port()
    zone_file = tmp_path / "zone"
    zone_file.write_text(
        "$TTL 60\n@ IN SOA ns1 h 1 3600 600 604800 60\n@ IN NS ns1\n@ IN NS ns2\nns1 IN A 127.0.0.1\nns2 IN A 127.0.0.1\n"
        'app IN A 192.0.2.10\napp IN CAA 0 ISSUE "LetsEncrypt.org"\na IN CNAME b\nb IN CNAME a\nout IN CNAME cdn.example.net.\n'
    )
    (tmp_path / "named.conf").write_text(
        f'options {{ directory "{tmp_path}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; pid-file none; '
        "recursion no; allow-transfer { none; }; };\ncontrols {};\n"
        f'zone "example.test" {{ type primary; file "{zone_file}"; }};\n'
    )
    process = subprocess.Popen(
        [named, "-g", "-n", "1", "-c", str(tmp_path / "named.conf")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        asked = dns.message.make_query("example.test", "SOA")
        for _ in range(100):
            with contextlib.suppress(OSError, dns.exception.DNSException):
                # It answers with SERVFAIL before it has loaded the zone.
                if dns.query.udp(asked, "127.0.0.1", port=port, timeout=0.2).answer:
                    break
            time.sleep(0.05)
        server = {"name": "ns1.example.test", "address": "127.0.0.1", "port": port}
        yield Dns.model_validate(
            {"zone": "example.test", "servers": [server], "min_servers": 1, "timeout": "10s"}
        )
    finally:
        process.terminate()
        process.wait(10)


def test_bind(bind):
    """A real server's answers: a whole zone, a loop, an alias to elsewhere, CAA."""
    assert of_zone(bind).verdict is Verdict.PASS
    keys = {"name": "app.example.test", "addresses": ["192.0.2.10"], "caa": ["letsencrypt.org"]}
    assert of_name(bind, DnsName.model_validate(keys)).verdict is Verdict.PASS
    looped = of_name(bind, DnsName.model_validate({"name": "a.example.test", "addresses": ["192.0.2.10"]}))
    assert looped.verdict is Verdict.FAIL
    assert "leads back to itself (a.example.test -> b.example.test -> a.example.test)" in looped.reason
    out = of_name(bind, DnsName.model_validate({"name": "out.example.test", "addresses": ["192.0.2.10"]}))
    assert out.verdict is Verdict.INCONCLUSIVE
