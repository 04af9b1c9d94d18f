"""Which HTTP errors a health check takes for healthy."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

#: What a server answers that cannot do its work.
ERRORS = (500, 502, 503, 504)


def accepted_errors(accepts: Iterable[Callable[[int], bool]]) -> tuple[int, ...]:
    """Return the errors that all the rules accept."""
    rules = list(accepts)
    return tuple(status for status in ERRORS if all(rule(status) for rule in rules))


def in_ranges(text: str) -> Callable[[int], bool]:
    """Read `200-299,301`; what cannot be read accepts nothing."""
    ranges = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d{3})(?:\s*-\s*(\d{3}))?\s*", part)
        if found:
            ranges.append((int(found[1]), int(found[2] or found[1])))
    return lambda status: any(low <= status <= high for low, high in ranges)


def matching(pattern: str) -> Callable[[int], bool]:
    """Read a regular expression for the status; one that Python cannot read accepts nothing."""
    try:
        found = re.compile(pattern)
    except re.error:
        return lambda _status: False
    return lambda status: found.search(str(status)) is not None
