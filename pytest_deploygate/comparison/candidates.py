"""Which keys of a piece differ, from the checksums of both sides; and which of their rows do. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_deploygate.comparison.adapter import Keyed, Values
from pytest_deploygate.lazy import dataclass

#: Of one key: checksums, and how often each is there more often than on the other side. Not a mapping: there are thousands.
Surplus = tuple[tuple[int, int], ...]
#: Checksum and values of a row.
Row = tuple[int, tuple[str | None, ...]]


@dataclass(frozen=True)
class Candidate:
    """A key whose rows differ: checksums that the source has and the target has not, and the reverse."""

    key: str
    source: Surplus
    target: Surplus


def differing(source: Iterable[Keyed], target: Iterable[Keyed]) -> list[Candidate]:
    """Return the keys whose rows differ, in the order of their texts."""
    left: dict[tuple[str, int], int] = {}
    for key, number, rows in source:
        left[key, number] = left.get((key, number), 0) + rows
    for key, number, rows in target:
        now = left.get((key, number), 0) - rows
        if now:
            left[key, number] = now
        else:
            del left[key, number]
    found: list[Candidate] = []
    same: list[tuple[int, int]] = []
    ordered = sorted(left.items())
    left.clear()
    for n, ((key, number), rows) in enumerate(ordered):
        same.append((number, rows))
        if n + 1 == len(ordered) or ordered[n + 1][0][0] != key:
            missing = tuple((number, rows) for number, rows in same if rows > 0)
            extra = tuple((number, -rows) for number, rows in same if rows < 0)
            found.append(Candidate(key, missing, extra))
            same = []
    return found


def by_key(rows: Iterable[Values]) -> dict[str, list[Row]]:
    """Return checksum and values of the rows of each key."""
    found: dict[str, list[Row]] = {}
    for key, number, values in rows:
        found.setdefault(key, []).append((number, values))
    return found


def chosen(rows: list[Row], surplus: Surplus) -> list[tuple[str | None, ...]]:
    """Return the rows with these checksums, each as often as it is too many, in a fixed order."""
    left = dict(surplus)
    found = []
    for number, values in sorted(rows, key=lambda row: (row[0], [v or "" for v in row[1]])):
        if left.get(number, 0) > 0:
            left[number] -= 1
            found.append(values)
    return found
