"""Additions to pytest-html's page (`--html FILE`): the decision on top, verdicts in its rows, and missing tests.

pytest-html counts tests and has no row for a test whose worker died: it shows "0 Failed". The decision is never
computed from it. It inserts node ids as HTML, so they are escaped here.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import pytest

from pytest_deploygate.journal import finding_from_json
from pytest_deploygate.model import Finding, Reading, Verdict
from pytest_deploygate.redaction import redact
from pytest_deploygate.report import ending, grouping, words
from pytest_deploygate.report.leaving import plain
from pytest_deploygate.report.record import Record
from pytest_deploygate.session import outcome

_COLOUR = {"GO": "#1a6632", "HOLD": "#8a4b00", "ROLLBACK": "#a8201a"}
_ID_CELL = '<td class="col-testId">'
_MOST_NAMED = 20


class HtmlTable:
    """Hooks of pytest-html for one run. `record` gives the decided record, `missing` the tests without a finding."""

    def __init__(
        self, record: Callable[[], Record | None], missing: Callable[[], list[str]], report: str
    ) -> None:
        self._record = record
        self._missing = missing
        self._report = report
        self._crashed: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record tests whose worker died: pytest-xdist reports no phase for them, so pytest-html shows no row."""
        if report.when not in ("setup", "call", "teardown"):
            self._crashed.append(report.nodeid)

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_summary(self, prefix: list[str]) -> None:
        """Show the decision, its reasons and missing tests above pytest-html's own counts."""
        record = self._record()
        prefix.insert(0, _decision(record, self._report))
        gone = list(dict.fromkeys([*self._crashed, *self._missing()]))
        if gone:
            prefix.insert(0, _incomplete(gone))

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_header(self, cells: list[str]) -> None:
        """Add a column for our verdict."""
        cells.insert(1, '<th class="sortable" data-column-type="verdict">Verdict</th>')

    @pytest.hookimpl(optionalhook=True, trylast=True)
    def pytest_html_results_table_row(self, report: pytest.TestReport, cells: list[str]) -> None:
        """Escape the id, and show our verdict beside pytest's outcome."""
        for place, cell in enumerate(cells):
            if cell.startswith(_ID_CELL):
                inside = cell.removeprefix(_ID_CELL).removesuffix("</td>")
                cells[place] = f"{_ID_CELL}{_safe(inside)}</td>"
        verdict = getattr(report, outcome.VERDICT, None)
        said = words.verdict(Verdict(verdict)) if verdict else "–"
        if cells:
            cells.insert(1, f'<td class="col-verdict">{said}</td>')

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_html(self, report: pytest.TestReport, data: list[str]) -> None:
        """Add each finding with its numbers, limits and evidence to the row of its test."""
        found = getattr(report, outcome.FINDINGS, None) or ()
        data[:0] = [_finding(finding_from_json(one)) for one in found]


def _safe(said: str) -> str:
    return escape(redact(plain(said)))


def _decision(record: Record | None, report: str) -> str:
    decision = record.decision if record else None
    if record is None or decision is None:
        return "<h2>deploygate: NO DECISION, do not proceed</h2>"
    ended = ending.of(record)
    rules = grouping.deciding(decision.rules, decision.outcome)
    colour = _COLOUR[decision.outcome.value]
    reasons = "".join(f"<li>{_safe(rule.because)}</li>" for rule in rules)
    counted = words.tally_words(r.verdict for r in grouping.in_scope(record))
    return (
        f'<h2 style="color:{colour}">deploygate: {_safe(ended.headline)}, '
        f"{_safe(ended.means)}</h2><ul>{reasons}</ul>"
        f"<p>{_safe(counted)} in scope {_safe(decision.scope)}. This table shows tests, not the checklist: "
        f"the report is <code>{_safe(report)}</code></p>"
    )


def _incomplete(gone: list[str]) -> str:
    named = "".join(f"<li><code>{_safe(test)}</code></li>" for test in gone[:_MOST_NAMED])
    more = f"<li>and {len(gone) - _MOST_NAMED} more</li>" if len(gone) > _MOST_NAMED else ""
    return (
        '<h2 style="color:#a8201a">THIS TABLE IS INCOMPLETE: '
        f"{words.count(len(gone), 'test')} without a result {'is' if len(gone) == 1 else 'are'} not counted below "
        f"(a worker that crashed, a test that was left out)</h2><ul>{named}{more}</ul>"
    )


def _finding(finding: Finding) -> str:
    rows = "".join(_reading(r) for r in finding.readings)
    kept = "".join(
        f"\nevidence {_safe(e.path) or 'in the journal,'} sha256 {_safe(e.sha256)}" for e in finding.evidence
    )
    target = f" [{_safe(finding.target)}]" if finding.target else ""
    return (
        f"<b>{_safe(finding.item)}{target}: {words.verdict(finding.verdict)}</b>\n"
        f"{_safe(finding.reason)}{rows}{kept}\n"
    )


def _reading(reading: Reading) -> str:
    limit = f" (limit {_safe(reading.limit)}, {words.met(reading)})" if reading.limit else ""
    return f"\n  {_safe(reading.name)}: {_safe(words.measured(reading))}{limit}"
