"""What is not in the issue log yet, as a list: items that are not green for the same reason are one entry."""

from __future__ import annotations

import shutil
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence

from pytest_deploygate.checks.people.judge.issue_log import BadItem
from pytest_deploygate.model import WORST_FIRST, Severity, Verdict
from pytest_deploygate.report import causes, words

#: Maximum length of a reason.
_MOST_REASON = 300


def lines(bad: Sequence[tuple[BadItem, Severity]]) -> Iterator[str]:
    """Yield the lines, worst verdict first, no line wider than the terminal (80 to 120 columns)."""
    width = max(60, min(shutil.get_terminal_size((80, 24)).columns, 120))
    found: dict[tuple[Verdict, str], list[tuple[BadItem, Severity]]] = {}
    for what, severity in bad:
        found.setdefault((what.verdict, causes.neutral(what.reason, what.item)), []).append((what, severity))
    for (verdict, reason), some in sorted(found.items(), key=lambda entry: WORST_FIRST.index(entry[0][0])):
        yield from _entry(verdict, reason, some, width)


def _entry(
    verdict: Verdict, reason: str, some: Sequence[tuple[BadItem, Severity]], width: int
) -> Iterator[str]:
    counted = Counter(severity for _, severity in some)
    severities = ", ".join(f"{counted[s]} {s.value}" for s in Severity if counted[s])
    if len(some) == 1:
        what, severity = some[0]
        yield f"{words.verdict(verdict)}, {severity.value}: {_named(what)}"
        reason = what.reason
    else:
        yield f"{words.verdict(verdict)}, {len(some)} ({severities}):"
        yield from _wrapped(", ".join(dict.fromkeys(_named(what) for what, _ in some)), width)
    yield from _wrapped(words.shortened(reason, _MOST_REASON), width, "    ")


def _named(what: BadItem) -> str:
    return f"{what.item} [{what.target}]" if what.target not in ("", "attestation") else what.item


def _wrapped(text: str, width: int, indent: str = "  ") -> Iterator[str]:
    yield from textwrap.wrap(
        text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )
