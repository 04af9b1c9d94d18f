"""The alerts after the night: what fires, what cannot be known, and what is listed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pytest_deploygate.checks.alerts import judge
from pytest_deploygate.checks.alerts.facts import Firing, Night, Past, Rule
from pytest_deploygate.checks.alerts.section import NightAlerts
from pytest_deploygate.model import Spans, Verdict

START = datetime(2026, 11, 29, 0, 0, tzinfo=UTC)
CRITICAL = {"severity": "critical"}
RULE = Rule("DiskFull", CRITICAL, "ok", evaluated_s=5.0, every_s=15.0)
NIGHT = Night(START, 43200.0, 60.0, (RULE,), (), ())
FIRING = Firing("DiskFull", {**CRITICAL, "instance": "db1"}, START + timedelta(hours=10), "Prometheus", 97.0)
PAST = Past("DiskFull", {**CRITICAL, "instance": "db1"}, ((3600.0, 4200.0),))
SECTION = NightAlerts()


def test_no_critical_alert_fires() -> None:
    got = judge.judge_night(NIGHT, SECTION)
    assert got.verdict is Verdict.PASS
    assert got.reason == (
        "no alert with severity=critical fires; 1 rule for them could see it; none fired in the last 12 h"
    )


@pytest.mark.parametrize(
    ("night", "verdict", "said"),
    [
        (
            replace(NIGHT, firing=(FIRING,)),
            Verdict.FAIL,
            "DiskFull (severity=critical, instance=db1) fires since 2026-11-29 10:00 UTC (2 h), says Prometheus, its expression is 97",
        ),
        (
            replace(NIGHT, firing=(replace(FIRING, hidden="silenced by 7f", seen_by="am1", value=None),)),
            Verdict.FAIL,
            "says am1; it is silenced by 7f, but fires",
        ),
        (replace(NIGHT, firing=(replace(FIRING, labels={"severity": "warning"}),)), Verdict.PASS, ""),
        (
            replace(NIGHT, rules=()),
            Verdict.INCONCLUSIVE,
            "Prometheus has no rule for alerts with severity=critical",
        ),
        (
            replace(NIGHT, rules=(replace(RULE, health="err", error="many-to-many"),)),
            Verdict.INCONCLUSIVE,
            "DiskFull: its rule cannot be evaluated, so it reads inactive whatever happens: many-to-many",
        ),
        (
            replace(NIGHT, rules=(replace(RULE, health="unknown"),)),
            Verdict.INCONCLUSIVE,
            "has not been evaluated yet",
        ),
        (
            replace(NIGHT, rules=(replace(RULE, evaluated_s=None),)),
            Verdict.INCONCLUSIVE,
            "has not been evaluated yet",
        ),
        (
            replace(NIGHT, rules=(replace(RULE, evaluated_s=60.0),)),
            Verdict.INCONCLUSIVE,
            "its rule was evaluated 60 s ago, and should be every 15 s",
        ),
        (replace(NIGHT, rules=(replace(RULE, evaluated_s=44.0),)), Verdict.PASS, ""),
        (
            replace(NIGHT, rules=(replace(RULE, no_metric=("disk_free",)),)),
            Verdict.INCONCLUSIVE,
            "DiskFull: the metric disk_free does not exist, so it cannot fire",
        ),
        (
            replace(NIGHT, rules=(replace(RULE, no_metric=("disk_free",), down=("node db1",)),)),
            Verdict.INCONCLUSIVE,
            "DiskFull: the target node db1 is down, so nobody knows whether it should fire",
        ),
        (replace(NIGHT, rules=(replace(RULE, no_series=('x{a="b"}',)),)), Verdict.PASS, ""),
        (
            replace(NIGHT, rules=(replace(RULE, problem="the expression x cannot be read"),)),
            Verdict.INCONCLUSIVE,
            "cannot be read",
        ),
        (
            replace(NIGHT, rules=(replace(RULE, oldest_s=200.0, oldest="disk_free of node db1"),)),
            Verdict.INCONCLUSIVE,
            "DiskFull: the newest disk_free of node db1 is 3.33 min old, so nobody knows whether it should fire now",
        ),
        (
            replace(NIGHT, rules=(replace(RULE, oldest_s=60.0, oldest="disk_free of node db1"),)),
            Verdict.PASS,
            "",
        ),
        (replace(NIGHT, clock_s=-90.0), Verdict.INCONCLUSIVE, "Prometheus' clock is 90 s behind ours"),
        (
            replace(NIGHT, unasked=("Alertmanager am1 does not answer",)),
            Verdict.INCONCLUSIVE,
            "am1 does not answer",
        ),
        (
            replace(NIGHT, past=(PAST,)),
            Verdict.PASS,
            "in the last 12 h 1 alert of theirs fired, which is over",
        ),
        (
            replace(NIGHT, past=(replace(PAST, lost="disk_free of node db1"),)),
            Verdict.INCONCLUSIVE,
            "it ended at 2026-11-29 01:10 UTC because its data went away, not because all was well: there is no disk_free of node db1",
        ),
        (replace(NIGHT, past=(replace(PAST, lost="disk_free of node db1", back=True),)), Verdict.PASS, ""),
        (
            replace(NIGHT, past=(replace(PAST, problem="refused"),)),
            Verdict.INCONCLUSIVE,
            "nobody knows why: refused",
        ),
        (replace(NIGHT, past=(replace(PAST, labels={"severity": "warning"}, lost="x"),)), Verdict.PASS, ""),
    ],
)
def test_what_fires_and_what_cannot_be_known(night: Night, verdict: Verdict, said: str) -> None:
    got = judge.judge_night(night, SECTION)
    assert got.verdict is verdict, got.reason
    assert said in got.reason


def test_rules_that_are_not_critical_do_not_decide() -> None:
    other = replace(RULE, name="Slow", labels={"severity": "warning"}, health="err")
    got = judge.judge_night(replace(NIGHT, rules=(RULE, other)), SECTION)
    assert got.verdict is Verdict.PASS
    assert got.notes == ("rules that cannot be evaluated, of alerts that are not critical: Slow",)


def test_the_list_of_the_night_has_everything_and_its_gaps() -> None:
    warning = Past("Slow", {"severity": "warning"}, ((60.0, 120.0), (300.0, 360.0)))
    got = judge.judge_night(replace(NIGHT, past=(warning, PAST), gaps=((7200.0, 10800.0),), ours=1), SECTION)
    assert got.notes == (
        "for 60 min of the last 12 h Prometheus has no samples, so alerts of that time are missing in the list",
        "left out: 1 alert of our own tests",
        "DiskFull (severity=critical, instance=db1): it fired for up to 10 min, until 2026-11-29 01:10 UTC",
        "other alerts of the night: Slow 2 times, for up to 2 min in all",
    )
    (picture,) = got.figures
    assert isinstance(picture, Spans)
    quiet, firing = "quiet", "firing"
    assert picture.rows == (
        (
            "DiskFull db1",
            (
                (0.0, 3600.0, quiet),
                (3600.0, 4200.0, firing),
                (4200.0, 7200.0, quiet),
                (10800.0, 43200.0, quiet),
            ),
        ),
        (
            "Slow",
            (
                (0.0, 60.0, quiet),
                (60.0, 120.0, firing),
                (120.0, 300.0, quiet),
                (300.0, 360.0, firing),
                (360.0, 7200.0, quiet),
                (10800.0, 43200.0, quiet),
            ),
        ),
    )


def test_a_night_without_alerts_is_a_row_too() -> None:
    (picture,) = judge.judge_night(NIGHT, SECTION).figures
    assert isinstance(picture, Spans)
    assert picture.rows == (("all alerts", ((0.0, 43200.0, "quiet"),)),)
