"""Alertmanager's tree of routes, read as Alertmanager reads it: amtool is asked the same."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from pytest_deploygate.checks.alerts.probe.matchers import Matcher, of_route, of_silence, parsed
from pytest_deploygate.checks.alerts.probe.tree import Configuration
from pytest_deploygate.model import CannotTell

OWN = ("alertname", "deploygate")
LABELS = {
    "severity": ["critical", "warning", "info"],
    "team": ["database", "web", ""],
    "zone": ["a,b", 'q"x', "c"],
}
RECEIVERS = ["one", "two", "three", "four"]


def configuration(route: dict[str, object], *receivers: dict[str, object]) -> Configuration:
    return Configuration(json.dumps({"route": route, "receivers": list(receivers)}))


def steps(route: dict[str, object], **labels: str) -> list[str]:
    return [step.receiver for step in configuration(route).steps(labels, OWN)]


def test_the_first_child_takes_an_alert_and_continue_asks_the_next_one() -> None:
    children = [
        {"matchers": ['severity="critical"', 'team="database"'], "receiver": "database", "continue": True},
        {"match": {"severity": "critical"}, "receiver": "pager"},
        {"match_re": {"severity": "crit.*"}, "receiver": "never"},
    ]
    route = {"receiver": "mail", "routes": children}
    assert steps(route, severity="critical", team="database") == ["database", "pager"]
    assert steps(route, severity="critical") == ["pager"]
    assert steps(route, severity="info") == ["mail"]


def test_a_child_has_the_waiting_times_and_the_groups_of_its_parent_unless_it_has_its_own() -> None:
    child = {
        "matchers": ["a=b"],
        "receiver": "x",
        "group_wait": "1m30s",
        "group_by": ["..."],
        "mute_time_intervals": ["nights"],
    }
    route = {"receiver": "mail", "group_by": ["team"], "group_interval": "2h", "routes": [child]}
    (step,) = configuration(route).steps({"a": "b"}, OWN)
    assert (step.wait_s, step.interval_s, step.repeat_s, step.fresh, step.muted) == (
        90,
        7200,
        14400,
        True,
        ("nights",),
    )
    assert step.longest_s == 90
    (step,) = configuration(route).steps({}, OWN)
    assert (step.wait_s, step.fresh, step.longest_s) == (30, False, 7200)


def test_receivers_that_send_nothing_or_never_say_that_it_is_over() -> None:
    found = configuration(
        {"receiver": "a"},
        {"name": "a"},
        {"name": "b", "webhook_configs": []},
        {"name": "c", "webhook_configs": [{"url": "http://x", "send_resolved": True}]},
        {"name": "d", "email_configs": [{"to": "x", "send_resolved": False}]},
    )
    assert (found.dead_ends(), found.unresolved(), found.receivers) == (
        ("a", "b"),
        ("d",),
        ("a", "b", "c", "d"),
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('severity="critical"', [Matcher("severity", "=", "critical")]),
        ("severity = critical", [Matcher("severity", "=", "critical")]),
        (
            '{a!="b", c=~"d|e,f", g!~""}',
            [Matcher("a", "!=", "b"), Matcher("c", "=~", "d|e,f"), Matcher("g", "!~", "")],
        ),
        (r'a="q\"x\\d"', [Matcher("a", "=", 'q"x\\d')]),
        ('"with space"="1"', [Matcher("with space", "=", "1")]),
        ("", []),
    ],
)
def test_matchers(text: str, found: list[Matcher]) -> None:
    assert list(parsed(text)) == found


def test_a_missing_label_is_empty_and_an_expression_matches_the_whole_value() -> None:
    assert Matcher("a", "=", "").matches({})
    assert not Matcher("a", "=~", "b").matches({"a": "bc"})
    assert Matcher("a", "!~", "b").matches({"a": "bc"})
    assert [
        str(each)
        for each in of_silence({"matchers": [{"name": "a", "value": "b", "isRegex": True, "isEqual": False}]})
    ] == ['a!~"b"']


@pytest.mark.parametrize("text", ["severity", '="x"', 'a="b'])
def test_what_is_no_matcher_is_said(text: str) -> None:
    with pytest.raises(CannotTell, match="cannot be read"):
        list(parsed(text))


@pytest.mark.parametrize("text", ["{", "[]", "route: x", '{"receivers": []}'])
def test_what_is_no_configuration_is_said(text: str) -> None:
    with pytest.raises(CannotTell, match="configuration"):
        Configuration(text)


def test_an_expression_that_python_cannot_read_is_said() -> None:
    with pytest.raises(CannotTell, match="cannot be read"):
        Matcher("a", "=~", r"\pL(").matches({"a": "b"})


def test_a_duration_that_cannot_be_read_is_said() -> None:
    with pytest.raises(CannotTell, match="duration"):
        configuration({"receiver": "a", "group_wait": "soon"}).steps({}, OWN)


def _tree(dice: random.Random, depth: int) -> dict[str, object]:
    route: dict[str, object] = {"receiver": dice.choice(RECEIVERS)}
    conditions = []
    for name in dice.sample(sorted(LABELS), dice.randint(1, 2)):
        value = dice.choice(LABELS[name])
        how = dice.choice(["=", "!=", "=~", "!~"])
        value = value if how in ("=", "!=") else dice.choice([".+", "critical|database", "[cw].*", value])
        conditions.append(f"{name}{how}{json.dumps(value)}")
    route["matchers"] = conditions
    route["continue"] = dice.random() < 0.4
    if depth and dice.random() < 0.7:
        route["routes"] = [_tree(dice, depth - 1) for _ in range(dice.randint(1, 3))]
    return route


@pytest.mark.parametrize("seed", range(6))
def test_amtool_reads_a_tree_alike(seed: int, tmp_path: Path) -> None:
    amtool = shutil.which("amtool")
    if amtool is None:
        pytest.skip("amtool is not installed")
    dice = random.Random(seed)
    route = {"receiver": "one", "routes": [_tree(dice, 2) for _ in range(4)]}
    whole = {"route": route, "receivers": [{"name": name} for name in RECEIVERS]}
    file = tmp_path / "alertmanager.json"
    file.write_text(json.dumps(whole))
    read = Configuration(file.read_text())
    for _ in range(8):
        labels = {name: value for name, values in LABELS.items() if (value := dice.choice(values))}
        said = subprocess.run(
            [
                amtool,
                "config",
                "routes",
                "test",
                f"--config.file={file}",
                *(f"{k}={json.dumps(v)}" for k, v in labels.items()),
            ],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert ",".join(step.receiver for step in read.steps(labels, OWN)) == said.strip(), labels


def test_matchers_of_a_route_in_three_spellings() -> None:
    found = of_route({"match": {"a": 1}, "match_re": {"b": "c"}, "matchers": ["d!=e"]})
    assert [str(each) for each in found] == ['a="1"', 'b=~"c"', 'd!="e"']
