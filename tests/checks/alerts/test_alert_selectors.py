"""What series a rule needs."""

from __future__ import annotations

import sys

import pytest

from pytest_deploygate.checks.alerts.probe.selectors import Selector, needed
from pytest_deploygate.model import CannotTell


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (
            'sum(rate(a{code=~"5.."}[5m])) / sum(rate(a[5m])) > 0.1',
            [Selector("a", 'a{code=~"5.."}'), Selector("a", "a")],
        ),
        ("a > 1 or absent(b)", [Selector("a", "a")]),
        ("a unless on() b", [Selector("a", "a")]),
        ("absent_over_time(a[5m])", []),
        ('{__name__="a", b!="c"}', [Selector("a", '{__name__="a",b!="c"}')]),
        ('a{b="c"} offset 5m > 1', [Selector("a", 'a{b="c"}')]),
        ("max_over_time(rate(a[1m])[30m:1m]) > -b", [Selector("a", "a"), Selector("b", "b")]),
        ('vector(1) and ALERTS{alertname="x"}', []),
    ],
)
def test_selectors(query: str, found: list[Selector]) -> None:
    got = needed(query)
    assert [(each.metric, each.text.replace(", ", ",")) for each in got] == [
        (each.metric, each.text) for each in found
    ]


def test_an_expression_that_cannot_be_read() -> None:
    with pytest.raises(CannotTell, match="cannot be read"):
        needed("a >")


def test_without_the_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "promql_parser", None)
    with pytest.raises(CannotTell, match=r"pip install 'pytest-deploygate\[monitoring\]'"):
        needed("a")
