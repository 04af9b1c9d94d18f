"""Times in which several things were so at once, from spans of each of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

#: A span: who, from when, to when.
Span = tuple[str, float, float]


def overlaps(spans: Iterable[Span]) -> list[tuple[float, float, tuple[str, ...]]]:
    """Return the times in which two or more different ones had a span, with their names, in order.

    Spans that only touch do not overlap.
    """
    known = [span for span in spans if span[2] > span[1]]
    edges = sorted({edge for _, began, ended in known for edge in (began, ended)})
    found: list[tuple[float, float, tuple[str, ...]]] = []
    for began, ended in itertools.pairwise(edges):
        names = tuple(sorted({who for who, first, last in known if first <= began and ended <= last}))
        if len(names) < 2:
            continue
        if found and found[-1][1] == began and found[-1][2] == names:
            found[-1] = (found[-1][0], ended, names)
        else:
            found.append((began, ended, names))
    return found
