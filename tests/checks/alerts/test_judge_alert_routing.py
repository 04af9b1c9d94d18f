"""The routes: where alerts arrived, when, how often, and what hides them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pytest_deploygate.checks.alerts import judge
from pytest_deploygate.checks.alerts.facts import (
    Arrival,
    Measured,
    Node,
    Path,
    Routing,
    Sender,
    Sent,
    Silence,
    Step,
    Told,
    Tried,
    Watched,
)
from pytest_deploygate.checks.alerts.section import Alerts
from pytest_deploygate.drills import record
from pytest_deploygate.judging.own_lag import OwnLag
from pytest_deploygate.model import Judgement, Verdict

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
SECTION = Alerts.model_validate(
    {
        "always": "Watchdog",
        "receivers": [
            {"name": "pager", "webhook": {"url": "http://catcher/pager"}},
            {"name": "mail", "maildir": "/mails"},
        ],
        "routes": [
            {
                "name": "critical",
                "labels": {"severity": "critical"},
                "receivers": ["pager"],
                "alerts": ["DiskFull"],
            }
        ],
        "within": "5s",
    }
)
STEP = Step("pager", wait_s=10, interval_s=20, repeat_s=14400, fresh=True)
PATHS = (Path("critical", "am1", (STEP,)), Path("critical", "am2", (STEP,)))
NODES = tuple(
    Node(name, "ready", 2, receivers=("pager", "mail"), low_s=-0.5, high_s=0.5) for name in ("am1", "am2")
)
SENDER = Sender(
    ("http://am1/api/v2/alerts", "http://am2/api/v2/alerts"), {"am1": True, "am2": True}, fires=True
)
FIRED, OVER = Arrival("pager", "firing", 10.0, 10.2), Arrival("pager", "resolved", 19.0, 19.5)
TOLD = (Told("am1", ("pager",), "active"), Told("am2", ("pager",), "active"))
TRIED = Tried("critical", "DeploygateTest_1", ("am1", "am2"), (), (), TOLD, (FIRED, OVER), 15.5, 20.0)


def sent(tried: Tried = TRIED, **changes: object) -> Sent:
    return replace(
        Sent((tried,), (Watched("pager", "webhook"), Watched("mail", "maildir")), PATHS), **changes
    )  # type: ignore[arg-type]


def routing(**changes: object) -> Routing:
    return replace(Routing(NODES, PATHS, (), SENDER), **changes)  # type: ignore[arg-type]


def judged(found: Sent | None, where: Routing | None = None, section: Alerts = SECTION) -> Judgement:
    made = None if found is None else record.made(found, record.GOOD, {}, environment="prod")
    evidence = record.Evidence(
        made, "there is no record x", "x", made is not None, {}, "prod", datetime.now(UTC)
    )
    return judge.judge_routing(Measured(where or routing(), evidence), section)


def tried(*arrivals: Arrival, **changes: object) -> Sent:
    return sent(replace(TRIED, arrivals=arrivals, **changes))  # type: ignore[arg-type]


def test_an_alert_that_arrived_once_in_time_and_was_resolved_passes() -> None:
    found = judged(sent())
    assert found.verdict is Verdict.PASS
    assert (
        found.reason
        == "the alert of the route arrived in time at exactly the receivers that are declared, once each and within 10.2 s, and was "
        "resolved"
    )


@pytest.mark.parametrize(
    ("found", "verdict", "said"),
    [
        (tried(), Verdict.FAIL, "route critical: its alert did not arrive at pager within 15.5 s"),
        (tried(watched_s=12.0), Verdict.INCONCLUSIVE, "which is less than the 15 s that it may take"),
        (
            tried(told=(Told("am1", problem="am1 is silent"),)),
            Verdict.INCONCLUSIVE,
            "no node says what it did with it",
        ),
        (
            tried(replace(FIRED, not_before_s=16, after_s=17), OVER),
            Verdict.FAIL,
            "arrived at pager after 16 s, at most 15 s",
        ),
        (tried(replace(FIRED, not_before_s=14, after_s=17), OVER), Verdict.PASS, ""),
        (tried(FIRED, FIRED, OVER), Verdict.FAIL, "pager was told 2 times of one alert"),
        (tried(FIRED), Verdict.FAIL, "pager was not told within 25 s that its alert is resolved"),
        (
            tried(FIRED, replace(OVER, not_before_s=26, after_s=27)),
            Verdict.FAIL,
            "after 26 s that its alert is resolved",
        ),
        (tried(OVER), Verdict.INCONCLUSIVE, "but not that it fires"),
        (
            tried(replace(FIRED, state="")),
            Verdict.INCONCLUSIVE,
            "do not say whether the alert fires or is resolved",
        ),
        (
            tried(FIRED, unresolved=(("am2", "HTTP 503"),)),
            Verdict.INCONCLUSIVE,
            "its alert could not be resolved: HTTP 503",
        ),
        (
            tried(FIRED, OVER, Arrival("mail", "firing", 1, 1)),
            Verdict.FAIL,
            "its alert arrived at mail, declared is pager",
        ),
        (
            tried(FIRED, OVER, refused=(("am2", "HTTP 503"),)),
            Verdict.INCONCLUSIVE,
            "am2: it did not take the alert: HTTP 503",
        ),
        (
            tried(told=(Told("am1", ("pager",), "suppressed", silenced_by=("7f (night-shift)",)),)),
            Verdict.FAIL,
            "its alert was suppressed by the silence 7f (night-shift), so nobody was told",
        ),
        (
            tried(told=(Told("am1", ("pager",), "suppressed", inhibited_by=("SiteDown",)),)),
            Verdict.FAIL,
            "suppressed by the alert SiteDown, which inhibits it",
        ),
        (
            tried(FIRED, OVER, told=(Told("am1", ("mail",), "active"),)),
            Verdict.FAIL,
            "Alertmanager sent its alert to mail, declared is pager",
        ),
        (
            sent(receivers=(Watched("pager", "webhook", "HTTP 502"),)),
            Verdict.INCONCLUSIVE,
            "could not be seen: HTTP 502",
        ),
        (Sent((), paths=PATHS), Verdict.INCONCLUSIVE, "no alert was sent"),
        (
            sent(
                replace(TRIED, arrivals=(Arrival("pager", "firing", 16, 16), OVER)),
                lag=OwnLag(15.5, late_s=3.0),
            ),
            Verdict.INCONCLUSIVE,
            "may be our own delay",
        ),
    ],
)
def test_what_became_of_an_alert(found: Sent, verdict: Verdict, said: str) -> None:
    got = judged(found)
    assert got.verdict is verdict, got.reason
    assert said in got.reason


def test_without_a_known_configuration_an_alert_that_did_not_arrive_is_unknown() -> None:
    nodes = tuple(Node(name, problem=f"{name} does not answer") for name in ("am1", "am2"))
    got = judged(sent(replace(TRIED, arrivals=()), paths=()), routing(nodes=nodes, paths=()))
    assert got.verdict is Verdict.INCONCLUSIVE
    assert "no configuration could be read" in got.reason


def test_that_it_was_repeated_is_a_note() -> None:
    got = judged(sent(doubled=("pager",)))
    assert got.verdict is Verdict.PASS
    assert got.notes == (
        "in a first test pager was told twice of an alert, so it was repeated: this is the second one",
    )


def test_in_a_group_of_others_a_second_notification_is_a_note() -> None:
    paths = (Path("critical", "am1", (replace(STEP, fresh=False),)),)
    got = judged(sent(replace(TRIED, arrivals=(FIRED, FIRED, OVER)), paths=paths))
    assert got.verdict is Verdict.PASS
    assert got.notes == (
        "route critical: pager was told 2 times: the group that its alert is in was notified again",
    )


def test_in_a_group_of_others_an_alert_may_wait_for_the_interval() -> None:
    paths = (Path("critical", "am1", (replace(STEP, fresh=False),)),)
    late = replace(FIRED, not_before_s=24, after_s=24.5)
    assert judged(sent(replace(TRIED, arrivals=(late, OVER)), paths=paths)).verdict is Verdict.PASS


def test_where_nothing_is_sent_at_some_times_an_alert_that_did_not_arrive_is_unknown() -> None:
    paths = (Path("critical", "am1", (replace(STEP, muted=("nights",)),)),)
    got = judged(sent(replace(TRIED, arrivals=()), paths=paths))
    assert (got.verdict, "nights" in got.reason) == (Verdict.INCONCLUSIVE, True)


def test_a_receiver_that_need_not_be_told_the_end() -> None:
    receivers = [SECTION.receivers[0].model_copy(update={"resolved": False}), SECTION.receivers[1]]
    section = SECTION.model_copy(update={"receivers": receivers})
    assert judged(tried(FIRED), section=section).verdict is Verdict.PASS


def test_a_receiver_that_cannot_be_seen_is_a_note_and_its_routing_is_judged() -> None:
    document = SECTION.model_dump(mode="json", exclude_unset=True)
    document["receivers"][0] = {"name": "pager", "unseen": "PagerDuty gives us no key"}
    document["within"] = "5s"
    section = Alerts.model_validate(document)
    got = judged(tried(), section=section)
    assert (
        got.notes[-1]
        == "only the routing to pager was seen, not that alerts arrive there: PagerDuty gives us no key"
    )
    elsewhere = (Told("am1", ("mail",), "active"),)
    assert judged(tried(told=elsewhere), section=section).verdict is Verdict.FAIL


SILENCE = Silence(
    "7f", "critical", "DiskFull", 'alertname="DiskFull"', "night-shift", "later", NOW, whole=True
)


@pytest.mark.parametrize(
    ("where", "verdict", "said"),
    [
        (
            routing(paths=(Path("critical", "am1", (replace(STEP, receiver="mail"),)),)),
            Verdict.FAIL,
            "alerts with severity=critical go to mail, declared is pager: correct the routes",
        ),
        (
            routing(nodes=(replace(NODES[0], dead_ends=("pager",)), NODES[1])),
            Verdict.FAIL,
            "its receiver pager sends nothing anywhere",
        ),
        (
            routing(silences=(SILENCE,)),
            Verdict.FAIL,
            'a silence by night-shift until 2026-11-29 12:00 UTC hides DiskFull (alertname="DiskFull"; later)',
        ),
        (routing(silences=(replace(SILENCE, whole=False),)), Verdict.PASS, ""),
        (routing(nodes=(NODES[0], replace(NODES[1], peers=1))), Verdict.FAIL, "am2: knows 1 of 2 nodes"),
        (routing(nodes=(NODES[0], replace(NODES[1], peers=None))), Verdict.FAIL, "am2: is in no cluster"),
        (
            routing(nodes=(NODES[0], replace(NODES[1], peers=3))),
            Verdict.INCONCLUSIVE,
            "its cluster has 3 nodes",
        ),
        (
            routing(nodes=(NODES[0], replace(NODES[1], cluster="settling"))),
            Verdict.INCONCLUSIVE,
            "still settling",
        ),
        (
            routing(nodes=(NODES[0], Node("am2", problem="am2 is silent"))),
            Verdict.INCONCLUSIVE,
            "am2 is silent",
        ),
        (
            routing(nodes=(NODES[0], replace(NODES[1], low_s=-91, high_s=-89))),
            Verdict.INCONCLUSIVE,
            "am2: its clock is 89 s behind ours",
        ),
        (routing(sender=Sender()), Verdict.FAIL, "Prometheus knows no Alertmanager"),
        (
            routing(sender=Sender(problem="Prometheus is silent")),
            Verdict.INCONCLUSIVE,
            "Prometheus is silent",
        ),
        (routing(sender=replace(SENDER, fires=False)), Verdict.FAIL, "Watchdog does not fire in Prometheus"),
        (
            routing(sender=replace(SENDER, standing={"am1": True, "am2": False})),
            Verdict.FAIL,
            "am2: does not have Watchdog, which fires in Prometheus",
        ),
    ],
)
def test_what_the_nodes_and_prometheus_say(where: Routing, verdict: Verdict, said: str) -> None:
    got = judged(sent(), where)
    assert got.verdict is verdict, got.reason
    assert said in got.reason


def test_a_misrouted_alert_is_said_once() -> None:
    paths = tuple(Path("critical", name, (replace(STEP, receiver="mail"),)) for name in ("am1", "am2"))
    told = tuple(Told(name, ("mail",), "active") for name in ("am1", "am2"))
    got = judged(
        sent(replace(TRIED, arrivals=(Arrival("mail", "firing", 1, 1),), told=told), paths=paths),
        routing(paths=paths),
    )
    assert got.reason.count("declared is pager") == 1
    assert "did not arrive" not in got.reason


def test_without_leave_and_without_a_record_it_is_never_a_pass() -> None:
    got = judged(None)
    assert got.verdict is Verdict.INCONCLUSIVE
    assert "no test of alert routing on record" in got.reason
    assert "alerts.opt_in: prod" in got.reason
    assert judged(None, routing(silences=(SILENCE,))).verdict is Verdict.FAIL


def test_a_record_of_long_ago_or_of_other_routes_is_unknown() -> None:
    made = record.made(sent(), record.GOOD, {"route critical": "to mail"}, environment="prod")
    for changed, said in (
        (made, "tested another configuration"),
        (replace(made, date=made.date - timedelta(days=400)), "400 d old"),
    ):
        evidence = record.Evidence(
            changed, "", "x", False, {"route critical": "to pager"}, "prod", datetime.now(UTC)
        )
        got = judge.judge_routing(Measured(routing(), evidence), SECTION)
        assert (got.verdict, said in got.reason) == (Verdict.INCONCLUSIVE, True), got.reason


def test_a_route_that_was_not_tried_is_unknown() -> None:
    other = SECTION.routes[0].model_copy(update={"name": "new"})
    got = judged(sent(), section=SECTION.model_copy(update={"routes": [*SECTION.routes, other]}))
    assert (got.verdict, "route new: no alert was sent for it" in got.reason) == (Verdict.INCONCLUSIVE, True)
