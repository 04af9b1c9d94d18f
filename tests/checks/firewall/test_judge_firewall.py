"""What is as the table says, what is not, and what proves nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_deploygate.checks.firewall import judge
from pytest_deploygate.checks.firewall.facts import (
    Control,
    Filter,
    HostSide,
    Listener,
    Network,
    Outcome,
    Seen,
    Vantage,
)
from pytest_deploygate.checks.firewall.section import Expected, Firewall
from pytest_deploygate.judging.silent_hosts import Cause, Failure
from pytest_deploygate.model import Judgement, Verdict

Met, E = Outcome, Expected
SECTION = Firewall.model_validate(
    {"rules": [{"from": "here", "to": "a.b", "ports": "tcp/1", "expected": "open"}]}
)
FOUR, SIX = "192.0.2.1", "2001:db8::1"


def seen(outcome: Outcome, expected: Expected, **changes: object) -> Seen:
    given = Seen("here", "db1", FOUR, "tcp", "5432", 1, outcome, expected)
    return replace(given, **changes)


CONTROL = seen(Met.OPEN, E.OPEN, target="web1", address="192.0.2.9", ports="443")
SIXTH = replace(CONTROL, address="2001:db8::9")


def network(*all_seen: Seen, controls: tuple[Control, ...] = (), hosts: tuple[HostSide, ...] = ()) -> Network:
    sources = dict.fromkeys(each.source for each in all_seen)
    vantages = (Vantage(name, *[sum(e.number for e in all_seen if e.source == name)] * 2) for name in sources)
    return Network(all_seen, controls, tuple(vantages), hosts)


def judged(*all_seen: Seen, **more: object) -> Judgement:
    return judge.judge(network(*all_seen, **more), SECTION)


def test_all_as_declared():
    found = judged(CONTROL, seen(Met.FILTERED, E.CLOSED), seen(Met.REFUSED, E.CLOSED, ports="22"))
    assert found.verdict is Verdict.PASS
    assert found.reason.startswith("3 attempts from 1 vantage point met")


WRONG = {
    "open": (seen(Met.OPEN, E.CLOSED), "db1 tcp/5432 open, expected closed (close it"),
    "blocked": (seen(Met.FILTERED, E.OPEN), "db1 tcp/5432 filtered, expected open (let the filters"),
    "nothing listens": (seen(Met.REFUSED, E.OPEN), "db1 tcp/5432 refused, expected open (start what"),
    "rejected": (
        seen(Met.UNREACHABLE, E.OPEN),
        "unreachable, expected open (look for a filter that rejects it",
    ),
    "refused and not filtered": (seen(Met.REFUSED, E.FILTERED), "refused, expected filtered"),
    "filtered and not refused": (seen(Met.FILTERED, E.REFUSED), "filtered, expected refused"),
    "unreachable and not filtered": (seen(Met.UNREACHABLE, E.FILTERED), "unreachable, expected filtered"),
    "UDP open": (seen(Met.OPEN, E.CLOSED, protocol="dns", ports="53"), "db1 dns/53 open, expected closed"),
    "UDP refused": (
        seen(Met.REFUSED, E.OPEN, protocol="dns", ports="53"),
        "db1 dns/53 refused, expected open",
    ),
}


@pytest.mark.parametrize(("attempt", "says"), WRONG.values(), ids=WRONG)
def test_what_is_not_as_declared_fails(attempt, says):
    found = judged(CONTROL, attempt)
    assert found.verdict is Verdict.FAIL
    assert found.reason.startswith("from here: 1 of 2 not as declared: ")
    assert says in found.reason


UNKNOWN = {
    "own lag": (seen(Met.OWN_LAG, E.CLOSED), "while the vantage point itself was late"),
    "own limit": (seen(Met.OWN_LIMIT, E.OPEN), "lower `at_once`"),
    "untried": (seen(Met.UNTRIED, E.OPEN), "were not tried"),
    "no route from here, expected closed": (
        seen(Met.NOT_SENT, E.CLOSED, address=SIX),
        "not reachable from here over IPv6",
    ),
    "no route from here, expected open": (seen(Met.NOT_SENT, E.OPEN), "not reachable from here over IPv4"),
    "closed over IPv6 without a control there": (
        seen(Met.FILTERED, E.CLOSED, address=SIX),
        "no place that must be open answered over IPv6",
    ),
    "silent over UDP, expected open": (
        seen(Met.SILENT, E.OPEN, protocol="ntp"),
        "open and filtered look alike",
    ),
    "silent over UDP, expected closed": (
        seen(Met.SILENT, E.CLOSED, protocol="ntp"),
        "nothing else answers over UDP at that address",
    ),
    "silent over UDP, no protocol": (seen(Met.SILENT, E.CLOSED, protocol="udp"), "no question is known"),
}


@pytest.mark.parametrize(("attempt", "says"), UNKNOWN.values(), ids=UNKNOWN)
def test_what_proves_nothing_is_inconclusive(attempt, says):
    found = judged(CONTROL, attempt)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert says in found.reason


@pytest.mark.parametrize("outcome", [Met.FILTERED, Met.REFUSED, Met.UNREACHABLE])
def test_without_a_control_closed_is_not_green(outcome):
    found = judged(seen(outcome, E.CLOSED))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "so this proves nothing: name one in `controls`" in found.reason


def test_a_control_of_the_inventory():
    control = Control("here", "web1", "192.0.2.9", "tcp", 22, Met.OPEN)
    assert judged(seen(Met.FILTERED, E.CLOSED), controls=(control,)).verdict is Verdict.PASS
    shut = replace(control, outcome=Met.FILTERED)
    assert judged(seen(Met.FILTERED, E.CLOSED), controls=(shut,)).verdict is Verdict.INCONCLUSIVE


def test_a_control_of_another_vantage_point_does_not_count():
    far = seen(Met.FILTERED, E.CLOSED, source="web1")
    found = judged(CONTROL, far)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.reason.startswith("from web1: ")


def test_where_nothing_at_all_answers_our_own_network_may_be_the_cause():
    found = judged(seen(Met.FILTERED, E.OPEN))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "check the network of this machine first" in found.reason


def test_a_host_of_the_platform_that_reaches_nothing_fails():
    """We could log in there, so it has a network: what must be open from there is not."""
    assert judged(seen(Met.FILTERED, E.OPEN, source="web1")).verdict is Verdict.FAIL


def test_a_host_without_a_route_is_closed_on_its_way_out():
    out = seen(Met.NOT_SENT, E.CLOSED, source="db1", target="api.example.com")
    assert judged(out).verdict is Verdict.PASS
    assert judged(replace(out, expected=E.OPEN)).verdict is Verdict.FAIL
    assert judged(replace(out, expected=E.OPEN, address=SIX)).verdict is Verdict.INCONCLUSIVE


def test_silence_over_udp_is_closed_where_another_service_of_the_address_answers():
    quiet = seen(Met.SILENT, E.CLOSED, protocol="dns", ports="53")
    clock = seen(Met.OPEN, E.OPEN, protocol="ntp", ports="123")
    assert judged(clock, quiet).verdict is Verdict.PASS
    assert judged(replace(clock, address="192.0.2.7"), quiet).verdict is Verdict.INCONCLUSIVE
    assert judged(clock, replace(quiet, protocol="udp")).verdict is Verdict.INCONCLUSIVE
    assert judged(clock, replace(quiet, expected=E.REFUSED)).verdict is Verdict.FAIL


DNS = seen(Met.SILENT, E.OPEN, protocol="dns", ports="53")
ELSEWHERE = seen(Met.OPEN, E.OPEN, protocol="ntp", ports="123", address="192.0.2.8", target="time")


def test_a_udp_service_that_answers_another_place_is_filtered_where_it_is_silent():
    """Seen from two hosts: from web2 it answers, so its silence from web1 is that of a filter."""
    blocked, good = replace(DNS, source="web1"), replace(DNS, source="web2", outcome=Met.OPEN)
    found = judged(blocked, good)
    assert found.verdict is Verdict.FAIL
    assert (
        "from web1: 1 of 1 not as declared: db1 dns/53 filtered, expected open (let the filters"
        in found.reason
    )
    assert judged(blocked, replace(good, address=SIX)).verdict is Verdict.INCONCLUSIVE
    assert judged(blocked, replace(good, ports="54")).verdict is Verdict.INCONCLUSIVE
    assert judged(blocked, replace(good, ports="50-54", number=5)).verdict is Verdict.FAIL


def test_a_udp_service_that_answers_its_own_host_is_filtered_where_it_is_silent():
    answers = side(answers=(("dns", FOUR, 53),))
    assert judged(replace(DNS, source="web1"), hosts=(answers,)).verdict is Verdict.FAIL
    quiet = judged(replace(DNS, source="web1"), hosts=(side(),))
    assert quiet.verdict is Verdict.INCONCLUSIVE
    assert "no other place and not the host itself got one either" in quiet.reason


def test_from_here_silence_needs_something_that_answers_over_udp():
    """Many networks let no UDP out at all."""
    answers = side(answers=(("dns", FOUR, 53),))
    alone = judged(CONTROL, DNS, hosts=(answers,))
    assert alone.verdict is Verdict.INCONCLUSIVE
    assert "nothing else answers this machine over UDP and IPv4" in alone.reason
    assert judged(CONTROL, DNS, ELSEWHERE, hosts=(answers,)).verdict is Verdict.FAIL
    control = Control("here", "time", "192.0.2.8", "ntp", 123, Met.OPEN)
    assert judged(DNS, hosts=(answers,), controls=(control,)).verdict is Verdict.FAIL
    assert (
        judged(DNS, hosts=(answers,), controls=(replace(control, address=SIX),)).verdict
        is Verdict.INCONCLUSIVE
    )


@pytest.mark.parametrize(
    ("expected", "verdict"), [(E.CLOSED, Verdict.PASS), (E.FILTERED, Verdict.PASS), (E.REFUSED, Verdict.FAIL)]
)
def test_a_udp_service_that_is_served_and_silent_is_closed(expected, verdict):
    quiet = replace(DNS, expected=expected)
    answers = side(answers=(("dns", FOUR, 53),))
    assert judged(quiet, ELSEWHERE, hosts=(answers,)).verdict is verdict
    assert judged(quiet, ELSEWHERE, hosts=(side(),)).verdict is Verdict.INCONCLUSIVE
    assert judged(quiet, CONTROL, hosts=(answers,)).verdict is Verdict.INCONCLUSIVE


def test_a_hole_of_one_version_of_ip_is_named():
    shut, hole = seen(Met.FILTERED, E.CLOSED), seen(Met.OPEN, E.CLOSED, address=SIX)
    assert "db1 tcp/5432 over IPv6 alone open" in judged(CONTROL, SIXTH, shut, hole).reason
    both = judged(CONTROL, SIXTH, replace(hole, address=FOUR), hole).reason
    assert "db1 tcp/5432 open" in both
    assert "alone" not in both


def test_places_of_one_kind_are_named_together():
    many = [seen(Met.OPEN, E.CLOSED, target=f"db{n}", address=f"192.0.2.{n}") for n in range(1, 9)]
    assert (
        "8 of 9 not as declared: db1, db2, db3, db4, db5 and 3 more tcp/5432 open"
        in judged(CONTROL, *many).reason
    )


def test_addresses_of_a_network_are_counted():
    many = [
        seen(
            Met.OPEN,
            E.CLOSED,
            target="10.0.0.0/8",
            address=f"10.0.0.{n}",
            network=True,
            ports="1-3",
            number=3,
        )
        for n in range(1, 5)
    ]
    assert (
        "12 of 13 not as declared: 10.0.0.1 and 3 more of 10.0.0.0/8 tcp/1-3 open"
        in judged(CONTROL, *many).reason
    )


def test_the_same_from_several_places_is_one_sentence():
    hole = seen(Met.OPEN, E.CLOSED)
    found = judged(hole, *(replace(hole, source=f"web{n}") for n in (1, 2)))
    assert found.reason.startswith("from here, from web1, from web2: 1 of 1 not as declared")


def test_a_vantage_point_that_cannot_be_used_is_named():
    measured = network(CONTROL)
    down = Vantage("web9", 5, 5, Failure(Cause.DOWN, "it refuses the connection"))
    found = judge.judge(replace(measured, vantages=(*measured.vantages, down)), SECTION)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.reason == "web9: cannot be used: it refuses the connection"


def test_a_name_without_an_address_is_inconclusive():
    measured = network(CONTROL)
    vantage = replace(measured.vantages[0], unresolved=("gone.example.com",))
    found = judge.judge(replace(measured, vantages=(vantage,)), SECTION)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "gone.example.com has no address" in found.reason


def test_a_draw_names_its_share_and_seed():
    measured = network(CONTROL)
    vantage = replace(measured.vantages[0], of=400)
    found = judge.judge(replace(measured, vantages=(vantage,), seed=17), SECTION)
    assert found.verdict is Verdict.PASS
    assert "1 attempts, drawn from 400 with seed 17, from" in found.reason
    assert "1 of 400 attempts of the table were drawn (0.25 %); `seed: 17`" in found.notes[0]


def test_nothing_measured_is_no_pass():
    assert judge.judge(Network((), (), (), ()), SECTION).verdict is Verdict.INCONCLUSIVE


def side(**changes: object) -> HostSide:
    given = HostSide("db1", listeners=(Listener("tcp", "0.0.0.0", 22, "sshd"),), declared=(("tcp", 22, 22),))
    return replace(given, has_ipv6=True, **changes)


def test_declared_listeners_pass():
    assert judged(CONTROL, hosts=(side(),)).verdict is Verdict.PASS


def test_a_listener_that_nobody_declared_fails_with_its_process():
    both = (Listener("tcp", "0.0.0.0", 8099, "python"), Listener("tcp", "::", 8099, "python"))
    found = judged(CONTROL, hosts=(side(listeners=both),))
    assert found.verdict is Verdict.FAIL
    assert "db1: listens on tcp/8099 (python at 0.0.0.0 and ::), which nothing declares" in found.reason


def test_udp_counts_and_tcp_of_the_same_port_does_not_declare_it():
    found = judged(CONTROL, hosts=(side(listeners=(Listener("udp", "*", 22),)),))
    assert "listens on udp/22 (at *)" in found.reason


def test_a_udp_socket_on_a_port_of_outgoing_packets_is_a_note():
    found = judged(CONTROL, hosts=(side(listeners=(Listener("udp", "0.0.0.0", 40000, "named"),)),))
    assert found.verdict is Verdict.PASS
    assert "udp/40000 (named at 0.0.0.0)" in found.notes[0]
    tcp = side(listeners=(Listener("tcp", "0.0.0.0", 40000),))
    assert judged(CONTROL, hosts=(tcp,)).verdict is Verdict.FAIL


def test_listeners_that_a_host_cannot_tell_are_unknown():
    assert judged(CONTROL, hosts=(side(listeners=None),)).verdict is Verdict.INCONCLUSIVE


def test_listeners_that_are_not_declared_at_all_are_a_note():
    found = judged(CONTROL, hosts=(side(listeners=None, declared=None),))
    assert found.verdict is Verdict.PASS
    assert "what db1 listens on is not judged" in found.notes[0]


@pytest.mark.parametrize(
    ("filter_", "has_ipv6", "verdict", "says"),
    [
        (Filter("nftables", ipv4=True, ipv6=True), True, Verdict.PASS, "1 hosts drop"),
        (Filter("nftables", ipv4=False, ipv6=False), True, Verdict.FAIL, "over IPv4 and IPv6 lets in"),
        (Filter("nftables", ipv4=True, ipv6=False), True, Verdict.FAIL, "over IPv6 lets in"),
        (Filter("nftables", ipv4=True, ipv6=False), None, Verdict.FAIL, "over IPv6 lets in"),
        (Filter("nftables", ipv4=True, ipv6=False), False, Verdict.PASS, "1 hosts drop"),
        (
            Filter("ufw", None, None, "we lack the permission"),
            True,
            Verdict.INCONCLUSIVE,
            "IPv4 and IPv6 is not known: we lack",
        ),
        (Filter("ufw", True, None, "no file"), True, Verdict.INCONCLUSIVE, "over IPv6 is not known: no file"),
    ],
)
def test_host_policy(filter_, has_ipv6, verdict, says):
    found = judged(CONTROL, hosts=(replace(side(filters=(filter_,)), has_ipv6=has_ipv6),))
    assert found.verdict is verdict
    assert says in found.reason


def test_places_where_all_is_as_declared_have_one_reading_together():
    good = [replace(CONTROL, source=f"web{n}") for n in range(50)]
    sides = [replace(side(), name=f"web{n}") for n in range(50)]
    found = judged(*good, seen(Met.OPEN, E.CLOSED, source="web0"), hosts=tuple(sides))
    assert {reading.name: reading.value for reading in found.readings} == {
        "from web0: as declared": "1 of 2",
        "from web0: outcomes": "2 open",
        "attempts as declared": "50 of 51",
        "outcomes": "51 open",
        "vantage points with a control that answers": "50 of 50",
        "hosts that listen on nothing undeclared": "50 of 50",
    }


def test_the_table_is_drawn_as_it_was_met():
    """What is not as declared comes first; a version of IP is named where it is the only one."""
    shut = seen(Met.FILTERED, E.CLOSED, target="db2")
    hole = seen(Met.OPEN, E.CLOSED, target="db2", address=SIX)
    far = seen(Met.REFUSED, E.CLOSED, source="web1", target="db2")
    (figure,) = judged(CONTROL, SIXTH, shut, hole, far).figures
    assert figure.columns == ("here", "web1")
    assert figure.rows == (
        ("db2 tcp/5432", (("fail", "open v6"), ("unknown", "refused"))),
        ("web1 tcp/443", (("pass", "open"), ("", ""))),
    )


def test_a_service_that_is_blocked_over_udp_is_drawn_as_filtered():
    ask = {"protocol": "dns", "ports": "53"}
    other = seen(Met.OPEN, E.OPEN, source="web1", **ask)
    lost = seen(Met.SILENT, E.OPEN, source="web2", **ask)
    (figure,) = judged(other, lost).figures
    assert figure.rows == (("db1 dns/53", (("pass", "open"), ("fail", "filtered"))),)


def test_a_large_table_is_drawn_in_part_and_says_so():
    good = [replace(CONTROL, target=f"web{n}") for n in range(100)]
    sources = [replace(CONTROL, source=f"host{n}") for n in range(30)]
    bad = seen(Met.OPEN, E.CLOSED, source="last", target="db9")
    (figure,) = judged(*good, *sources, bad).figures
    assert figure.title == "The table as it was met (60 of 101 rows, 20 of 32 vantage points)"
    assert figure.rows[0][0] == "db9 tcp/5432"
    assert figure.columns[-1] == "last"


def test_addresses_of_a_network_are_one_row():
    net = {"target": "10.0.0.0/24", "network": True}
    these = [seen(Met.FILTERED, E.CLOSED, address=f"10.0.0.{n}", ports=str(n), **net) for n in range(1, 9)]
    (figure,) = judged(CONTROL, *these).figures
    assert figure.rows[1] == ("10.0.0.0/24 tcp", (("pass", "filtered"),))
