"""How large an item gets on the page, and which items there is room for in full.

Estimates round up: the page is rendered once, and only if it is too large after all, again with less room.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from pytest_deploygate.decision.compose import ItemResult
from pytest_deploygate.model import (
    Distribution,
    Figure,
    Finding,
    Grid,
    Picture,
    Places,
    Series,
    Shares,
    Takeover,
)

#: Maximum size of the page in bytes (UTF-8, including the style sheet).
LIMIT = 1_000_000
#: Maximum length of a text in a row.
BRIEF = 90
#: How much more than its row an item takes at least if everything measured is shown.
_LEAST = 1300


def in_full(bad: Iterable[ItemResult], inside: tuple[ItemResult, ...], room: int) -> frozenset[str]:
    """Choose the items that are shown in full: those that need action first, then the others, while there is room."""
    left = room - sum(_brief_bytes(r) for r in inside)
    chosen: set[str] = set()
    for result in itertools.chain(bad, (r for r in inside if r.verdict.good)):
        if left < _LEAST:
            break
        size = _full_bytes(result)
        if size <= left:
            left -= size
            chosen.add(result.item.id)
    return frozenset(chosen)


def _bytes(text: str) -> int:
    """Estimate the size of a text once it is escaped and encoded, rounding up."""
    if text.isascii():
        return len(text) + 5 * sum(map(text.count, "<>&\"'"))
    return 3 * len(text)


def _brief_bytes(result: ItemResult) -> int:
    """Estimate the size of a row."""
    return (
        (75 if result.verdict.good else 45)
        + len(result.item.id)
        + _bytes(result.item.text[:BRIEF])
        + _bytes(result.reason[:BRIEF])
    )


def outside_bytes(result: ItemResult) -> int:
    """Estimate the size of an item that is out of scope."""
    return 150 + len(result.item.id) + _bytes(result.item.text[:BRIEF])


def _full_bytes(result: ItemResult) -> int:
    """Estimate how much more than its row an item takes if everything measured is shown."""
    return (
        _LEAST
        + 5 * len(result.item.id)
        + _bytes(result.item.text)
        + _bytes(result.reason)
        + sum(_finding_bytes(f) for f in result.findings)
    )


def _finding_bytes(finding: Finding) -> int:
    texts: tuple[str, ...] = (finding.target, finding.reason, finding.criterion, finding.test, *finding.notes)
    return (
        480
        + sum(map(_bytes, texts))
        + 40 * len(finding.notes)
        + sum(220 + 2 * len(e.path) + _bytes(e.title) + _bytes(e.content) for e in finding.evidence)
        + sum(80 + _bytes(f"{r.name}{r.value}{r.unit}{r.limit}") for r in finding.readings)
        + sum(map(_figure_bytes, finding.figures))
    )


def _figure_bytes(figure: Figure) -> int:
    """Estimate the size of a figure and the text beside it."""
    match figure:
        case Distribution():
            points = min(len(figure.points), 160)
        case Series():
            points = sum(min(len(line.points), 1000) for line in figure.lines[:4])
        case Takeover():
            points = min(len(figure.per_100ms), 200) + 40 * min(len(figure.writable), 8)
        case Shares():
            points = 60 * min(len(figure.rows), 24)
        case Places():
            points = 20 * min(len(figure.rows), 12)
        case Grid():
            points = 20 * min(len(figure.rows), 16) * (1 + min(len(figure.columns), 8))
        case Picture():
            return 600 + 2 * len(figure.title) + len(figure.thumbnail) + 2 * len(figure.path)
        case _:
            points = 9 * sum(min(len(pieces), 300) for _, pieces in figure.rows[:12])
    return 4500 + 15 * points
