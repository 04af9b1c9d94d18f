"""A checklist with its boxes ticked, and verdict, reason and time appended to each line.

    - [x] Verify table structures {#phase2.tables .critical} <!--deploygate--> **pass**: 9 targets pass (2026-12-01 …)

Nothing else in the file changes, including line ends and whitespace. The text after the mark is not part of the
checklist: a ticked file parses as the checklist that it was made from, and can be ticked again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from pytest_deploygate.checklist import parser
from pytest_deploygate.checklist.markdown import LINE_END, NOTE, What, lines, without_note
from pytest_deploygate.files import write_whole
from pytest_deploygate.model import Finding, Item, Verdict

#: Verdicts for which a box is ticked.
TICKED = frozenset({Verdict.PASS, Verdict.ATTESTED, Verdict.NOT_APPLICABLE})
_BOX = re.compile(r"(^[\s>]*(?:(?:[-*+]|\d{1,9}[.)])\s+)*\[)([ xX])(?=\])")
_WORDS = {
    Verdict.NOT_COVERED: "not covered",
    Verdict.NOT_APPLICABLE: "not applicable",
}
_MOST_REASON = 140
#: Characters of a reason that Markdown would treat as markup.
_MARKUP = re.compile(r"([\\`*\[\]<&~|]|(?<!\w)_|_(?!\w))")


class Result(Protocol):
    """The result of an item; `decision.compose.ItemResult` is one."""

    @property
    def item(self) -> Item:
        """The item."""

    @property
    def verdict(self) -> Verdict:
        """Its verdict."""

    @property
    def reason(self) -> str:
        """Its reason, redacted."""

    @property
    def in_scope(self) -> bool:
        """Whether it is in scope."""

    @property
    def findings(self) -> Sequence[Finding]:
        """Its current findings; the newest gives the time."""


class TickError(ValueError):
    """The text is not the checklist of the results."""


def ticked(text: str, results: Sequence[Result], at: datetime) -> str:
    """Return a checklist's text with its boxes ticked; `at` is the time for items without a finding.

    Boxes of items that are not good lose an existing tick: it has no evidence. Sign-off lines stay unchanged. Raises
    TickError if the text lacks an item of the results.
    """
    items = {item.id: item for item in parser.parse(text, Path("checklist")).items}
    last = {line.line: line.last for line in lines(text) if line.what is What.LIST_LINE}
    parts = _parts(text)
    for result in results:
        item = items.get(result.item.id)
        if item is None:
            raise TickError(
                f"the checklist no longer has the item {result.item.id!r}; run again with the current checklist"
            )
        first, end = item.line - 1, last[item.line] - 1
        mark = "x" if result.verdict in TICKED else " "
        parts[first][0] = _with_box(parts[first][0], mark)
        parts[end][0] = _noted(parts[end][0], _note(result, at))
    return "".join(body + line_end for body, line_end in parts)


def write(checklist: Path, target: Path, results: Sequence[Result], at: datetime) -> None:
    """Write the ticked checklist to `target`, byte for byte except for ticks and notes. Raises OSError, TickError."""
    text = ticked(checklist.read_bytes().decode(), results, at)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, text)


def _parts(text: str) -> list[list[str]]:
    """Split a text into lines, each with its own line end."""
    bodies, ends = LINE_END.split(text), LINE_END.findall(text)
    return [[body, end] for body, end in zip(bodies, [*ends, ""], strict=True)]


def _with_box(line: str, mark: str) -> str:
    """Set the box of a line, if it has one (criteria have none); an existing tick keeps its form."""
    found = _BOX.match(line)
    if not found or found[2].lower() == mark:
        return line
    return f"{found[1]}{mark}{line[found.end() :]}"


def _noted(line: str, note: str) -> str:
    """Append the note to a line, replacing an older one, before trailing blanks (they can be a line break)."""
    words = without_note(line)
    bare = words.rstrip(" \t")
    blanks = words[len(bare) :] or line[len(line.rstrip(" \t")) :]
    return f"{bare} {NOTE} {note}{blanks}"


def _note(result: Result, at: datetime) -> str:
    if not result.in_scope and not result.findings:
        return "out of scope: not checked"
    when = max((finding.at for finding in result.findings), default=at).astimezone(UTC)
    verdict = _WORDS.get(result.verdict, result.verdict.value)
    reason = _short(result.reason)
    return f"**{verdict}**{f': {reason}' if reason else ''} ({when:%Y-%m-%d %H:%M} UTC)"


def _short(reason: str) -> str:
    words = " ".join(reason.split())
    if len(words) > _MOST_REASON:
        words = words[: _MOST_REASON - 1].rsplit(" ", 1)[0].rstrip(",;:") + "…"
    return _MARKUP.sub(r"\\\1", words)
