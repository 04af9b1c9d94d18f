"""What arrived of the messages, and what is judged of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pytest_deploygate.checks.access_logs.facts import Clock, Stamp
from pytest_deploygate.checks.log_delivery import judge
from pytest_deploygate.checks.log_delivery.facts import Arrived, Delivered, Kind, Place, Sender
from pytest_deploygate.checks.log_delivery.section import LogDelivery
from pytest_deploygate.judging.own_lag import OwnLag
from pytest_deploygate.model import Judgement, Verdict

AT = datetime(2026, 11, 29, 11, 30, 1, tzinfo=UTC)
FILE = "logs1:/var/log/remote/all.log"
WANTED = LogDelivery.model_validate({"aggregator": {"host": "logs1", "file": "/var/log/remote/all.log"}})
#: What the gate's own machine may have delayed.
BUSY = OwnLag(over_s=20.0, late_s=15.0)


def arrived(kind: Kind = Kind.PLAIN, **changes: object) -> Arrived:
    """A good message of web1."""
    good = Arrived(kind, FILE, "web1", "warning", Stamp(AT, 0.001), "", 0.2, 0.0)
    return replace(good, **changes)  # type: ignore[arg-type]


def sender(*found: Arrived, **changes: object) -> Sender:
    """A host of which these messages arrived, or all."""
    good = Sender(
        "web1", ("web1", "web1.example.com"), tuple(Kind), 100, Clock(-0.1, 0.1), AT.timestamp(), AT.timestamp() + 0.3,
        found or tuple(arrived(kind) for kind in Kind), 100,
    )  # fmt: skip
    return replace(good, **changes)  # type: ignore[arg-type]


def judged(
    *senders: Sender, place: Place | None = None, lag: OwnLag | None = None, wanted: LogDelivery = WANTED
) -> Judgement:
    """Judge what arrived."""
    return judge.judge(Delivered(senders, (place or Place(FILE),), lag or OwnLag()), wanted)


def test_all_arrived() -> None:
    found = judged(sender(), sender(name="web2"))
    assert found.verdict is Verdict.PASS
    assert found.reason == (
        "4 messages of each of 2 hosts, and 100 more at once, arrived once and whole within 0.2 s, with host, time and level"
    )


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (
            sender(arrived(), arrived(), arrived(Kind.LINES), arrived(Kind.LONG), arrived(Kind.NON_ASCII)),
            "web1: 1 of its 104 messages arrived twice or more often in logs1:/var/log/remote/all.log: two forwarders",
        ),
        (sender(burst_twice=40), "web1: 40 of its 104 messages arrived twice or more often: two forwarders"),
        (
            sender(arrived(), arrived(Kind.LINES), arrived(Kind.NON_ASCII)),
            "web1: its long message did not arrive within 10 s, while others did: look for limits of size and rate",
        ),
        (
            sender(burst_arrived=66),
            "web1: 34 of 100 messages that it logged at once did not arrive within 10 s, at most 0 % may be lost: UDP",
        ),
        (
            sender(*(arrived(kind, host="localhost") for kind in Kind)),
            "its message arrived as that of 'localhost', expected is web1 or web1.example.com",
        ),
        (sender(*(arrived(kind, host=None) for kind in Kind)), "its message arrived without a host"),
        (sender(*(arrived(kind, level=None) for kind in Kind)), "its message arrived without a level"),
        (
            sender(*(arrived(kind, level="info") for kind in Kind)),
            "its message of level warning arrived as info",
        ),
        (sender(*(arrived(kind, stamp=None) for kind in Kind)), "its message arrived without a time"),
        (
            sender(*(arrived(kind, stamp=Stamp(AT.replace(tzinfo=None), 1.0)) for kind in Kind)),
            "the time of its message has no zone",
        ),
        (
            sender(*(arrived(kind, stamp=Stamp(AT + timedelta(hours=5, minutes=30), 1.0)) for kind in Kind)),
            "a time zone is wrong by 5.5 h",
        ),
        (
            sender(
                *(arrived(kind, stamp=Stamp(AT - timedelta(seconds=90), 1.0)) for kind in Kind),
                clock=Clock(-89.9, -89.5),
            ),
            "is 89 s behind when it was logged: so is the host's clock; synchronise it",
        ),
        (
            sender(*(arrived(kind, stamp=Stamp(AT - timedelta(seconds=90), 1.0)) for kind in Kind)),
            "and its clock is not the cause",
        ),
        (
            sender(*(arrived(kind, after_s=14.0, not_before_s=13.5) for kind in Kind)),
            "its message arrived after 13.5 s, at most 10 s is allowed",
        ),
        (
            sender(
                arrived(),
                arrived(Kind.LINES),
                arrived(Kind.LONG, differs="it is cut after 1024 of 8192 B"),
                arrived(Kind.NON_ASCII),
            ),
            "its long message is not whole: it is cut after 1024 of 8192 B; raise `maxMessageSize`",
        ),
        (
            sender(refused="logger: socket /dev/log: Connection refused", arrived=(), burst_arrived=0),
            "web1: its logging does not take messages (its syslog socket): logger: socket /dev/log: Connection refused",
        ),
    ],
)
def test_wrong(changed: Sender, says: str) -> None:
    found = judged(changed, sender(name="web2", names=("web2", "web1")))
    assert found.verdict is Verdict.FAIL
    assert says in found.reason
    assert found.confirmed


def test_one_host_sends_nothing() -> None:
    silent = sender(name="web2", arrived=(), burst_arrived=0)
    assert judged(silent, sender()).reason == (
        "web2: none of its messages arrived within 10 s, while those of other hosts did: look at its forwarder, its rules and "
        "its queue"
    )
    found = judged(silent)
    assert (found.verdict, found.reason) == (
        Verdict.FAIL,
        "web2: none of its messages arrived within 10 s, nor those of any other host: look at the aggregator",
    )
    assert "nothing else arrived meanwhile" in found.notes[0]
    assert "12 lines of others arrived meanwhile" in judged(silent, place=Place(FILE, others=12)).notes[0]
    missing = judged(silent, place=Place(FILE, missing="there is no such file"))
    assert "there is no such file: nothing arrives, or `aggregator.file` is wrong" in missing.reason


def test_single_messages_lost_before_a_burst() -> None:
    found = judged(sender(arrived=(), burst_arrived=90))
    assert (
        "none of its 4 single messages arrived within 10 s, but 90 of the 100 after them did" in found.reason
    )


def test_what_cannot_be_read_is_unknown() -> None:
    found = judged(sender(arrived=(), burst_arrived=0), place=Place(FILE, "permission to read it is denied"))
    assert (found.verdict, found.reason) == (
        Verdict.INCONCLUSIVE,
        f"{FILE}: permission to read it is denied",
    )
    found = judged(
        sender(problem="no answer within 10 s", kinds=(), arrived=(), burst_arrived=0), sender(name="web2")
    )
    assert (found.verdict, found.reason) == (
        Verdict.INCONCLUSIVE,
        "web1: the host cannot be asked: no answer within 10 s",
    )
    found = judged(sender(unable="it has no `logger`", arrived=()))
    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, "web1: it has no `logger`")


def test_one_of_two_places_cannot_be_read() -> None:
    """What did not arrive may be there."""
    places = (Place(FILE), Place("logs1:/var/log/remote/web1.log", "permission to read it is denied"))
    found = judge.judge(
        Delivered((sender(arrived=(), burst_arrived=0), sender(name="web2")), places, OwnLag()), WANTED
    )
    assert found.verdict is Verdict.INCONCLUSIVE


def test_another_form_of_lines_is_unknown() -> None:
    found = judged(
        sender(*(arrived(kind, host=None, level=None, stamp=None, shape="a 9 9:9:9 a a: a") for kind in Kind))
    )
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "has another form than `format: rfc5424`; it is like: a 9 9:9:9 a a: a" in found.reason


def test_our_own_delay_is_no_failure() -> None:
    late = [arrived(kind, after_s=14.0, not_before_s=13.5) for kind in Kind]
    found = judged(sender(*late), lag=BUSY)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "may be our own delay" in found.reason


def test_no_messages_are_no_pass() -> None:
    assert judged().verdict is Verdict.INCONCLUSIVE


def test_what_may_lack_is_not_judged() -> None:
    wanted = WANTED.model_copy(update={"may_lack": ["host", "time", "level"], "lost_percent": 40.0})
    bare = sender(*(arrived(kind, host=None, level=None, stamp=None) for kind in Kind), burst_arrived=61)
    found = judged(bare, wanted=wanted)
    assert found.verdict is Verdict.PASS
    assert found.reason.endswith("with its text alone")
