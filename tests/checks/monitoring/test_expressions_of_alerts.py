"""What an alert's expression needs: the selectors without whose series it never has a result."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.monitoring.probe import expressions


@pytest.mark.parametrize(
    ("expression", "needed"),
    [
        ("up == 0", [["up"]]),
        ('sum by (job) (rate(http_requests_total{code=~"5.."}[5m])) / sum(rate(http_requests_total[5m])) > 0.01',
         [['http_requests_total{code=~"5.."}'], ["http_requests_total"]]),
        ("absent(up)", []),
        ("absent_over_time(up[5m]) > 0", []),
        ("new_name > 1 or old_name > 1", [["new_name", "old_name"]]),
        ("sum(errors_total) or vector(0)", []),
        ("a unless b", [["a"]]),
        ("a and on(job) b", [["a"], ["b"]]),
        ("-max_over_time(a[1h:1m] offset 5m)", [["a"]]),
        ("predict_linear(node_filesystem_avail_bytes[1h], 3600) < 0", [["node_filesystem_avail_bytes"]]),
        ("histogram_quantile(0.9, sum by (le) (rate(took_seconds_bucket[5m])))", [["took_seconds_bucket"]]),
        ("quantile(0.9, a) > scalar(b)", [["a"], ["b"]]),
        ('{__name__="a", job="x"}', [['a{job="x"}']]),
        ('{__name__=~"a.*"}', [['{__name__=~"a.*"}']]),
        ('a{path="say \\"x\\\\y\\""}', [['a{path="say \\"x\\\\y\\""}']]),
        ("vector(1)", []),
        ('ALERTS{alertname="X"} == 1', []),
        ("time() > bool 5", []),
    ],
)  # fmt: skip
def test_needs(expression: str, needed: list[list[str]]) -> None:
    assert [[one.text() for one in entry] for entry in expressions.needs(expression)] == needed


def test_only_the_labels_of_targets() -> None:
    ((one,),) = expressions.needs('http_requests_total{job="api", code=~"5..", instance!="a"}')
    assert one.text(frozenset({"job", "instance"})) == 'http_requests_total{job="api", instance!="a"}'
    assert one.text(frozenset()) == "http_requests_total"


@pytest.mark.parametrize("expression", ["up ==", "", "sum(", '{job="a" or job="b"}'])
def test_what_cannot_be_read_is_said(expression: str) -> None:
    with pytest.raises(expressions.Unread, match="read"):
        expressions.needs(expression)


def test_without_the_extra_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "promql_parser", None)
    with pytest.raises(expressions.Unread, match=r"pip install 'pytest-deploygate\[monitoring\]'"):
        expressions.needs("up")
