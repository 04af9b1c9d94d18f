"""pytest's closing line: it counts tests, and would contradict the decision, which counts items.

`84 passed, 2 inconclusive` below a HOLD says the opposite of the exit code. The line names the decision and the exit
code instead. Tests that are bound to no item are still counted by their results: nothing else speaks for them.
"""

from __future__ import annotations

import pytest

from pytest_deploygate.model import Outcome, words_for_count
from pytest_deploygate.report import ending
from pytest_deploygate.report.record import Record
from pytest_deploygate.session import outcome

_Part = tuple[str, dict[str, bool]]
#: pytest's categories for tests that ended.
_ENDED = ("passed", "failed", "error", "skipped", "xfailed", "xpassed")


def replace(reporter: pytest.TerminalReporter, record: Record, code: int) -> None:
    """Make the closing line say how the run ended; pytest adds the time."""
    good = code in (0, 20) and record.decision is not None and record.decision.outcome is Outcome.GO
    colour = "green" if good else "red"
    if not good and record.decision and record.decision.outcome is Outcome.HOLD:
        colour = "yellow" if code == record.decision.exit_code else "red"
    ended = ending.of_run(record, code)
    said: list[_Part] = [(f"{ended.headline} (exit code {code})", {colour: True, "bold": True})]
    said += [(text, {}) for text in _counted(reporter)]
    reporter.build_summary_stats_line = lambda: (said, colour)  # type: ignore[method-assign]


def _counted(reporter: pytest.TerminalReporter) -> list[str]:
    reports = [
        (category, report)
        for category, found in reporter.stats.items()
        for report in found
        if hasattr(report, "nodeid") and category not in ("deselected", "warnings", "")
    ]
    bound = {report.nodeid for _, report in reports if hasattr(report, outcome.VERDICT)}
    others = {
        category: len({report.nodeid for known, report in reports if known == category} - bound)
        for category in _ENDED
    }
    tests = words_for_count(len(bound), "test of the checklist", "tests of the checklist")
    return [tests, *(f"{number} other {category}" for category, number in others.items() if number)]
