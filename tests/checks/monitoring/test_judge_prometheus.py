"""Judgements of Prometheus itself, from values."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from pytest_deploygate.checks.monitoring import judge
from pytest_deploygate.checks.monitoring.facts import (
    Clock,
    Group,
    Rule,
    Server,
    Target,
    Watched,
    Watches,
)
from pytest_deploygate.checks.monitoring.section import Expected
from pytest_deploygate.model import Verdict

EXPECTED = Expected.model_validate(
    {
        "targets": [{"job": "node", "instances": ["a:9100", "b:9100"]}, {"job": "api", "at_least": 1}],
        "alerts": [{"name": "Down", "labels": {"severity": "critical"}}],
    }
)


def target(job: str, instance: str, health: str = "up", **more: object) -> Target:
    labels = f"instance={instance},job={job}"
    told = {"url": f"http://{instance}/metrics", "scraped_ago_s": 3.0, "interval_s": 15.0, "series": labels}
    return Target(job, instance, health, **(told | more))


def rule(
    name: str = "Down", health: str = "ok", *, alerting: bool = True, severity: str = "critical"
) -> Rule:
    error = "execution: many-to-many matching" if health == "err" else ""
    return Rule("platform", name, alerting, health, error, "inactive", "up == 0", {"severity": severity})


SERVER = Server(
    "http://prometheus:9090",
    Clock(-0.1, 0.1),
    {},
    running_s=86400.0,
    reloaded=True,
    configured="2026-11-29T03:00:00Z",
    retention="15d",
    series=1000,
    largest=("up", 3),
    targets=(target("node", "a:9100"), target("node", "b:9100"), target("api", "c:80")),
    groups=(Group("platform", "rules.yml", 15.0, 0.1, 5.0),),
    rules=(rule(),),
    watched={"Down": Watched(((Watches("up", 3, known=True, by_target=3),),))},
)


def test_a_healthy_server_passes() -> None:
    said = judge.judge_server(SERVER, EXPECTED)
    assert (said.verdict, said.notes) == (Verdict.PASS, ())
    assert (
        said.reason
        == "Prometheus is ready: 3 targets up, 1 rules evaluated without error, 1 required alerts have series"
    )


def without(instance: str) -> dict[str, object]:
    return {"targets": tuple(t for t in SERVER.targets if t.instance != instance)}


def replaced(**more: object) -> dict[str, object]:
    """The target a:9100 with something else."""
    return {"targets": (target("node", "a:9100", **more), *SERVER.targets[1:])}


def watches(series: int, *, known: bool, by_target: int) -> dict[str, object]:
    one = Watches('errors_total{code="5"}', series, known=known, by_target=by_target)
    return {"watched": {"Down": Watched(((one,),))}}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (without("a:9100"), "the target a:9100 of node is absent, so nothing about it can alert"),
        ({**without("a:9100"), "dropped": ({"__address__": "a:9100", "job": "node"},)}, "was discovered and dropped"),
        (without("c:80"), "api has 0 targets, fewer than 1"),
        ({"targets": ()}, "a:9100 of node is absent"),
        (replaced(health="down", error="connection refused"), "a:9100 of node is down: connection refused"),
        ({"targets": (*SERVER.targets, target("other", "z:1", "down"))}, "the target z:1 of other is down"),
        ({"targets": (*SERVER.targets, target("node", "a:9100", url="http://x"))}, "overwrite each other's samples"),
        ({"targets": (*SERVER.targets, target("again", "y:1", url="http://a:9100/metrics"))}, "is scraped 2 times"),
        ({"rules": (rule(health="err"),)}, "ends in an error (it reads inactive, but says nothing): execution: many-to-many"),
        ({"rules": (rule(), rule("x:y", "err", alerting=False))}, "the recording rule x:y of platform ends in an error"),
        ({"rules": ()}, "the required alert Down is missing"),
        ({"rules": (rule(severity="warning"),)}, "has severity='warning' instead of 'critical'"),
        ({"groups": (Group("platform", "", 15.0, 0.1, 31.0),)}, "were last evaluated 31 s ago, their interval is 15 s"),
        ({"groups": (Group("platform", "", 15.0, 20.0, 21.0),)}, "take 20.0 s, longer than their interval of 15 s"),
        ({"reloaded": False}, "goes on with the rules and targets of 2026-11-29T03:00:00Z"),
        ({"retention": "6h"}, "it keeps samples for 6h, less than 15 d"),
        ({"retention": "1d12h or 50GiB"}, "less than 15 d"),
        ({"series": 3_000_000, "largest": ("by_user", 2_900_000)}, "by_user alone has 2900000"),
        (watches(0, known=False, by_target=0), "has nothing to watch: there is no metric errors_total"),
        (watches(0, known=True, by_target=0), "has nothing to watch: there is no series errors_total"),
    ],
)  # fmt: skip
def test_what_is_wrong(more: dict[str, object], words: str) -> None:
    said = judge.judge_server(replace(SERVER, **more), EXPECTED)
    assert said.verdict is Verdict.FAIL, said.reason
    assert words in said.reason


@pytest.mark.parametrize(
    ("more", "words"),
    [
        # The target list is empty for the first seconds after a start.
        ({"targets": (), "running_s": 4.0}, "it started 4 s ago and may not have everything yet: the target a:9100 of node is absent"),
        ({**watches(0, known=False, by_target=0), "running_s": 4.0}, "may not have everything yet: the required alert Down"),
        (replaced(health="unknown", scraped_ago_s=None), "the target a:9100 of node was not scraped yet"),
        ({"rules": (rule(health="unknown"),)}, "1 rules were not evaluated yet (Down)"),
        ({"ready": "/-/ready answers HTTP 503"}, "it is not ready"),
        ({"clock": Clock(89.5, 90.5)}, "its clock is 89.5 s ahead of that of this machine"),
        ({"clock": Clock(-90.5, -89.5)}, "its clock is 89.5 s behind that of this machine"),
        ({"retention": ""}, "it does not say how long it keeps samples"),
        ({"retention": "50GiB"}, "it keeps samples up to a size (50GiB)"),
        ({"problems": {"targets": "HTTP 404"}, "targets": ()}, "what it scrapes is unknown: HTTP 404"),
        ({"problems": {"rules": "HTTP 404"}, "rules": ()}, "what its rules do is unknown: HTTP 404"),
        ({"watched": {"Down": Watched(problem="it cannot be read: x")}}, "watches anything is unknown: it cannot be read"),
        ({"watched": {}}, "watches anything is unknown"),
    ],
)  # fmt: skip
def test_what_is_unknown(more: dict[str, object], words: str) -> None:
    said = judge.judge_server(replace(SERVER, **more), EXPECTED)
    assert said.verdict is Verdict.INCONCLUSIVE, said.reason
    assert words in said.reason


def test_a_series_that_comes_with_the_event_is_a_note() -> None:
    """There is no series of 5xx before the first one."""
    said = judge.judge_server(replace(SERVER, **watches(0, known=True, by_target=4)), EXPECTED)
    assert said.verdict is Verdict.PASS
    assert any("right if they come with the event" in note for note in said.notes)


def test_one_of_two_metrics_is_enough() -> None:
    either = (Watches("new", 0, known=False, by_target=0), Watches("old", 2, known=True, by_target=2))
    assert (
        judge.judge_server(replace(SERVER, watched={"Down": Watched((either,))}), EXPECTED).verdict
        is Verdict.PASS
    )


def test_what_is_declared_is_not_asked_for() -> None:
    expected = EXPECTED.model_copy(
        update={
            "may_be_down": ["node"],
            "does_without": ["reload"],
            "max_series": 2000,
            "retention": timedelta(1),
        }
    )
    down = replace(SERVER, targets=(target("node", "a:9100", "down"), *SERVER.targets[1:]))
    said = judge.judge_server(down, expected)
    assert said.verdict is Verdict.PASS, said.reason
    assert "this server cannot tell, as declared: reload" in said.notes


def test_many_targets_down_are_a_short_reason() -> None:
    many = tuple(target("x", f"host{n}:9100", "down") for n in range(200))
    said = judge.judge_server(replace(SERVER, targets=(*SERVER.targets, *many)), EXPECTED)
    assert said.verdict is Verdict.FAIL
    assert len(said.reason) < 900
    assert any(note.startswith("200 targets are down: ") for note in said.notes)
