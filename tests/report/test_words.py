"""Values in the units of their limits, and each reason once."""

from __future__ import annotations

import dataclasses
import re

import pytest
import sample
from agreeing import disagreements

from pytest_deploygate.decision.compose import ItemResult
from pytest_deploygate.model import Distribution, Reading, Verdict
from pytest_deploygate.report import html, words
from pytest_deploygate.report.plots import distribution


@pytest.mark.parametrize(
    ("reading", "said"),
    [
        (Reading("lag", 16_777_216, "bytes", "at most 16 MB", True), "16 MB"),
        (Reading("lag", 16_800_000, "bytes", "at most 16 MB", False), "16.02 MB"),
        (Reading("size", 512, "B", "at most 1 kB", True), "512 B"),
        (Reading("age", 52_000, "s", "at most 24 h", True), "14.44 h"),
        (Reading("took", 3.06, "s", "at most 3 s", False), "3.06 s"),
        (Reading("rows", 200_000, "rows"), "200,000 rows"),
        (Reading("share", 99.95, "%"), "99.95%"),
        (Reading("lag", None, "bytes", "at most 16 MB"), "not measured"),
    ],
)
def test_a_value_is_in_the_unit_of_its_limit(reading: Reading, said: str) -> None:
    assert words.measured(reading) == said


def test_what_has_no_limit_is_not_called_not_judged() -> None:
    assert words.met(Reading("rows", 5)) == "–"
    assert words.met(Reading("rows", 5, limit="at least 1")) == "not judged"


def test_the_reason_of_a_single_bad_target_is_on_the_page_once_in_full() -> None:
    """In the card; the list at the top, and rules, have a line of their own."""
    record = sample.hold()
    one = next(r for r in record.items if r.item.id == "phase2.replication")
    bad, good = one.findings
    reason = f"replica2: {bad.reason}"
    result = dataclasses.replace(one, reason=reason, findings=(bad, good))
    text = html.render(dataclasses.replace(record, items=(result,)))
    card = text[text.index('<article class="card fail"') :]
    card = card[: card.index("</article>")]
    assert card.count("its receiver streams".capitalize()) == 1


def test_an_item_with_a_reason_of_its_own_shows_it() -> None:
    record = sample.hold()
    one = next(r for r in record.items if r.item.id == "phase2.tables")
    silent = "1 of its tests yielded no finding: suites/test_structure.py::test_more"
    result = ItemResult(one.item, Verdict.NOT_COVERED, silent, True, one.findings, complete=False)
    text = html.render(dataclasses.replace(record, items=(result,)))
    assert text[text.index('id="attention"') :].count(silent) >= 1


@pytest.mark.parametrize(("samples", "last"), [(4000, "p99.9"), (60, "p90"), (2_000_000, "p99.999")])
def test_no_percentile_is_marked_that_so_many_values_cannot_show(samples: int, last: str) -> None:
    points = tuple((10.0 + n, 1 - 10 ** (-n / 10)) for n in range(1, 70))
    figure = Distribution("t", "ms", (*points, (90.0, 1.0)), 0.5, 100.0, samples=samples)
    marks = re.findall(r">(p[\d.]+)<", distribution.draw(figure))
    assert marks[-1] == last


def test_the_samples_of_these_tests_agree_with_their_verdicts() -> None:
    for result in sample.hold().items:
        for finding in result.findings:
            if finding.verdict in (Verdict.FAIL, Verdict.PASS) and result.item.id != "phase2.indexes":
                assert disagreements(finding.verdict, finding.readings) == [], finding.item
