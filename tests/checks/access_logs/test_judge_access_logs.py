"""The logs as a whole, the lines of a hop, and its files."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pytest_deploygate.checks.access_logs import judge
from pytest_deploygate.checks.access_logs.facts import (
    Clock,
    File,
    Followed,
    Hop,
    Line,
    Log,
    Rule,
    Sent,
    Stamp,
)
from pytest_deploygate.checks.access_logs.section import AccessLogs
from pytest_deploygate.judging.own_lag import OwnLag
from pytest_deploygate.model import Judgement, Verdict

AT = datetime(2026, 11, 29, 11, 30, 1, 500_000, tzinfo=UTC)
SENT = Sent("request", "GET", AT.timestamp(), AT.timestamp() + 0.1, 200, carried=("the query",))
TOLD = {
    "time": "…",
    "source": "203.0.113.7",
    "method": "GET",
    "path": "/",
    "status": "200",
    "duration": "0.012",
    "user": "-",
}
STAMP = Stamp(AT.replace(microsecond=0), 1.0)
FILE = File(
    mode=0o640,
    owner="www-data",
    size=1000,
    in_open_folders=True,
    now=AT,
    first=Stamp(AT - timedelta(hours=5), 1.0),
    rotated=AT - timedelta(hours=5),
    rule=Rule(has=False, problem="there is no logrotate"),
)


def line(**changes: object) -> Line:
    """Return a good line of the request."""
    return replace(Line("request", TOLD, STAMP, 0.2), **changes)  # type: ignore[arg-type]


def log(*lines: Line, name: str = "web1:/var/log/a.log", **changes: object) -> Log:
    """Return a log with these lines, or a good one."""
    return replace(Log(name, lines or (line(),), file=FILE), **changes)  # type: ignore[arg-type]


def followed(*logs: Log, sent: Sent = SENT, more: tuple[Log, ...] = ()) -> Followed:
    """Return a measurement of one hop."""
    return Followed((sent,), (Hop("web", logs, more),), OwnLag())


def section(**keys: object) -> AccessLogs:
    """Return the section of one hop; keys of `hop` change that."""
    hop = {
        "name": "web",
        "connection": "local://",
        "file": "/var/log/a.log",
        "format": "combined",
        **keys.pop("hop", {}),  # type: ignore[dict-item]
    }
    request = {"url": "https://www.example.com/", **keys.pop("request", {})}  # type: ignore[dict-item]
    return AccessLogs.model_validate({"request": request, "canaries": {"body": False}, "hops": [hop], **keys})


def judged(measured: Followed, **keys: object) -> Judgement:
    """Judge a measurement."""
    return judge.judge(measured, section(**keys))


def without(name: str) -> dict[str, str]:
    """Return what a line tells without one value."""
    return {key: value for key, value in TOLD.items() if key != name}


def test_a_good_log_passes():
    judgement = judged(followed(log()))
    assert judgement.verdict is Verdict.PASS
    assert "in the log of the hop within 0.2 s" in judgement.reason
    assert "nothing of what it carried in the query is there" in judgement.reason


WRONG = {
    "absent": (log(lines=()), "the GET request is not in it after 10 s, nor is anything else"),
    "absent among others": (log(lines=(), others=3), "while 3 other lines were logged"),
    "no file": (
        Log("web1:/var/log/a.log", missing="there is no such file"),
        "there is no such file: turn logging on",
    ),
    "a secret": (log(secrets=("the cookie",)), "what the request carried in the cookie is in the log"),
    **{
        f"no {name}": (log(line(told=without(name))), f"has no {name}: add it")
        for name in ("time", "source", "method", "path", "status")
    },
    "status is a dash": (log(line(told=TOLD | {"status": "-"})), "has no status of the request"),
    "status is 000": (log(line(told=TOLD | {"status": "000"})), "has no status of the request"),
    "source is no address": (log(line(told=TOLD | {"source": "unix:"})), "has no source of the request"),
    "no duration anywhere": (log(line(told=without("duration"))), "no hop logs the duration"),
    "duration is a dash": (log(line(told=TOLD | {"duration": "-"})), "no hop logs the duration"),
    "no user anywhere": (log(line(told=without("user"))), "no hop logs the user"),
    "no zone": (log(line(stamp=Stamp(STAMP.at.replace(tzinfo=None), 1.0))), "(11:30:01) has no zone"),
    "an hour ahead": (
        log(line(stamp=Stamp(STAMP.at + timedelta(hours=1), 1.0))),
        "1 h ahead of the request: its time zone is wrong",
    ),
    "five hours and a half behind": (
        log(line(stamp=Stamp(STAMP.at - timedelta(hours=5, minutes=30), 1.0))),
        "5.5 h behind the request: its time zone is wrong",
    ),
    "forty seconds ahead": (
        log(line(stamp=Stamp(STAMP.at + timedelta(seconds=40), 1.0))),
        "ahead of the request; its host's clock is not the cause",
    ),
    "world-readable": (log(file=replace(FILE, mode=0o644)), "everybody on the host can read it"),
    "writable by the group": (log(file=replace(FILE, mode=0o660)), "mode is 0660, at most 0640"),
    "large": (log(file=replace(FILE, size=2 * 1024**3)), "is not rotated: it has 2 GB"),
    "old": (
        log(file=replace(FILE, first=Stamp(AT - timedelta(days=40), 1.0))),
        "is not rotated: its first line is 40 d old",
    ),
    "no rule": (log(file=replace(FILE, rotated=None, rule=Rule(has=False))), "logrotate has no rule for it"),
    "a rule that is not there, and rotated long ago": (
        log(file=replace(FILE, rotated=AT - timedelta(days=40), rule=Rule(has=False))),
        "was last rotated 40 d ago",
    ),
}


@pytest.mark.parametrize(("wrong", "says"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_fails(wrong, says):
    judgement = judged(followed(wrong))
    assert judgement.verdict is Verdict.FAIL
    assert says in judgement.reason


UNKNOWN = {
    "permission denied": (Log("web1:/a", problem="permission to read it is denied"), "permission to read it"),
    "another form": (
        log(line(told=None, stamp=None, shape="a 9")),
        "another form than declared; it is like: a 9",
    ),
    "half a line": (log(lines=(), half=True), "its line has no end"),
    "an unknown form of time": (log(line(stamp=None)), "its time is in a form that is not known"),
    "rotation": (
        log(file=replace(FILE, rotated=None)),
        "whether it is rotated is unknown: there is no logrotate",
    ),
}


@pytest.mark.parametrize(("log_", "says"), UNKNOWN.values(), ids=UNKNOWN)
def test_what_cannot_be_told_is_inconclusive(log_, says):
    judgement = judged(followed(log_))
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert says in judgement.reason


NEIGHBOURS = {
    "readable in a closed folder": (log(file=replace(FILE, mode=0o644, in_open_folders=False)), {}),
    "may be readable": (log(file=replace(FILE, mode=0o644)), {"hop": {"mode": "0644"}}),
    "a mode with fewer bits": (log(file=replace(FILE, mode=0o600)), {}),
    "a rule of logrotate": (log(file=replace(FILE, rotated=None, rule=Rule(has=True))), {}),
    "need not have a status": (log(line(told=without("status"))), {"hop": {"may_lack": ["status"]}}),
    "nobody need log the user": (log(line(told=without("user"))), {"may_lack": ["user"]}),
    "the zone is declared": (
        log(line(stamp=Stamp(datetime(2026, 11, 29, 12, 30, 1), 1.0))),  # noqa: DTZ001
        {"hop": {"zone": "Europe/Berlin"}},
    ),
    "the host's clock is three seconds ahead": (
        log(line(stamp=Stamp(STAMP.at + timedelta(seconds=3), 1.0)), clock=Clock(2.9, 3.1)),
        {},
    ),
    "a zone east of here": (
        log(line(stamp=Stamp(STAMP.at.astimezone(), 1.0))),
        {},
    ),
    "several addresses": (log(line(told=TOLD | {"source": "2001:db8::1, 10.0.0.1"})), {}),
    "an address with its port": (log(line(told=TOLD | {"source": "[2001:db8::1]:443"})), {}),
    "a name for the address": (log(line(told=TOLD | {"source": "client.example.com"})), {}),
    "a duration with its unit": (log(line(told=TOLD | {"duration": "12.5ms"})), {}),
}


@pytest.mark.parametrize(("log_", "keys"), NEIGHBOURS.values(), ids=NEIGHBOURS)
def test_healthy_neighbours_pass(log_, keys):
    judgement = judged(followed(log_), **keys)
    assert judgement.verdict is Verdict.PASS, judgement.reason


def test_the_wrong_zone_is_declared():
    naive = Stamp(datetime(2026, 11, 29, 12, 30, 1), 1.0)  # noqa: DTZ001
    judgement = judged(followed(log(line(stamp=naive))), hop={"zone": "UTC"})
    assert "its time zone is wrong, or `zone` is" in judgement.reason


def test_the_hour_that_comes_twice():
    """At half past two in the night in which summer time ends, both moments are meant."""
    for hour in (0, 1):
        at = datetime(2026, 10, 25, hour, 30, 1, tzinfo=UTC)
        sent = replace(SENT, sent_s=at.timestamp(), answered_s=at.timestamp() + 0.1)
        naive = Stamp(datetime(2026, 10, 25, 2, 30, 1), 1.0)  # noqa: DTZ001
        judgement = judged(followed(log(line(stamp=naive)), sent=sent), hop={"zone": "Europe/Berlin"})
        assert judgement.verdict is Verdict.PASS


def test_a_host_with_another_clock_is_a_note():
    judgement = judged(
        followed(log(line(stamp=Stamp(STAMP.at + timedelta(seconds=3), 1.0)), clock=Clock(2.9, 3.1)))
    )
    assert "clock is 2.9 s ahead of ours" in judgement.notes[0]


def test_a_request_that_was_not_answered_is_no_failure_of_the_log():
    lost = replace(SENT, status=None, problem="no connection (connection refused)")
    judgement = judged(followed(log(lines=()), sent=lost))
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert judgement.reason.startswith("GET https://www.example.com/: the request was not answered")


def test_a_line_that_comes_too_late():
    judgement = judged(followed(log(line(after_s=12.1, not_before_s=11.6))))
    assert judgement.verdict is Verdict.FAIL
    assert "web: the GET request is logged after 11.6 s, at most 10 s is allowed" in judgement.reason


def test_a_line_that_came_between_two_readings():
    judgement = judged(followed(log(line(after_s=10.3, not_before_s=9.8))))
    assert judgement.verdict is Verdict.PASS


def test_a_line_that_may_be_late_because_we_were():
    late = replace(followed(log(line(after_s=12.1, not_before_s=11.6))), lag=OwnLag(over_s=13.0, late_s=3.0))
    judgement = judged(late)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "our own delay" in judgement.reason


def test_another_status_may_not_have_come_so_far():
    judgement = judged(followed(log(lines=()), sent=replace(SENT, status=403)))
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "answered with 403, expected is 200" in judgement.reason


def test_one_of_several_hosts_logs_the_request():
    judgement = judged(followed(log(), log(lines=(), name="web2:/var/log/a.log")))
    assert judgement.verdict is Verdict.PASS
    assert any("web2" in note and "not known whether this one logs" in note for note in judgement.notes)


def test_a_host_without_the_file_fails_although_another_one_answered():
    gone = Log("web2:/var/log/a.log", missing="there is no such file")
    assert judged(followed(log(), gone)).reason.startswith("web2:/var/log/a.log: there is no such file")


def test_a_host_that_cannot_be_asked_leaves_it_open():
    silent = Log("web2:/var/log/a.log", problem="the host cannot be asked: it refuses our key")
    assert judged(followed(log(), silent)).verdict is Verdict.INCONCLUSIVE
    assert judged(followed(log(lines=()), silent)).verdict is Verdict.INCONCLUSIVE


def test_forty_hosts_that_cannot_be_asked_for_one_reason_are_one_sentence():
    why = "the host cannot be asked: it refuses our key"
    silent = [Log(f"web{n}:/var/log/a.log", problem=why) for n in range(2, 42)]
    said = judged(followed(log(), *silent)).reason
    assert said.endswith(f"web6:/var/log/a.log and 35 more: {why}")
    assert said.count(why) == 1


def test_a_secret_in_a_further_file():
    more = (Log("web1:/var/log/error.log", secrets=("the body",)),)
    assert judged(followed(log(), more=more)).reason.startswith(
        "web1:/var/log/error.log: what the request carried"
    )


def test_a_further_file_that_is_not_there_is_a_note():
    more = (Log("web1:/var/log/error.log", missing="there is no such file"),)
    assert judged(followed(log(), more=more)).verdict is Verdict.PASS


def test_a_line_that_is_there_twice_is_a_note():
    assert "is there 2 times" in judged(followed(log(line(), line()))).notes[0]


def test_the_owner():
    assert judged(followed(log()), hop={"owner": "www-data"}).verdict is Verdict.PASS
    assert "belongs to www-data, not to root" in judged(followed(log()), hop={"owner": "root"}).reason


def test_a_hop_that_must_have_more():
    assert (
        "has no user: add it"
        in judged(followed(log(line(told=without("user")))), hop={"must_have": ["user"]}).reason
    )


def test_the_address_of_the_client_is_lost_between_hops():
    inner = Hop("application", (log(line(told=TOLD | {"source": "10.0.0.5"}), name="app1:/a"),))
    measured = replace(followed(log()), hops=(*followed(log()).hops, inner))
    both = section()
    hop = both.hops[0].model_copy(update={"name": "application"})
    judgement = judge.judge(measured, both.model_copy(update={"hops": [*both.hops, hop]}))
    assert judgement.verdict is Verdict.PASS
    assert "logs 10.0.0.5 as the source, web logged 203.0.113.7" in judgement.notes[0]
