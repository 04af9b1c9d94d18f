"""The PromQL of a resource: what is used, and of how much, at each step of a window."""

from __future__ import annotations

import re
from collections.abc import Callable

from pytest_deploygate.checks.resources.section import Resource

_TERM = re.compile(r"\b(last|rate)\((\w+)(\{[^}]*\})?\)")
_LABEL = re.compile(r'([A-Za-z_]\w*)\s*(?:=~|!~|!=|=)\s*"(?:\\.|[^"\\])*"')
#: A rate needs two samples, also where one was missed.
_SCRAPES_OF_A_RATE = 4


def used(resource: Resource) -> str:
    """Return the expression of what is used, or of what is free."""
    kind = resource.of_kind
    own = resource.used or resource.free
    return f"last({own})" if own else kind.used or kind.free


def limit(resource: Resource) -> str:
    """Return the expression of the limit; a number stands for itself."""
    if resource.limit is None:
        return resource.of_kind.limit
    return f"last({resource.limit})" if isinstance(resource.limit, str) else f"{resource.limit!r}"


def is_free(resource: Resource) -> bool:
    """Return whether `used` tells what is left instead of what is used."""
    return resource.free is not None or (resource.kind is not None and bool(resource.of_kind.free))


def at_steps(expression: str, resource: Resource, step_s: float, every_s: float) -> str:
    """Return the query of an expression whose value is missing at a step within which there was no sample."""
    enough = max(step_s, _SCRAPES_OF_A_RATE * every_s)

    def term(function: str, selector: str) -> str:
        if function == "last":
            return f"last_over_time({selector}[{_ms(step_s)}])"
        return f"rate({selector}[{_ms(enough)}])"

    return _filled(expression, resource, term)


def highest(expression: str, resource: Resource, step_s: float, every_s: float) -> str:
    """Return the query of an expression's highest value within each step; the lowest where it tells what is free."""

    def term(function: str, selector: str) -> str:
        return selector if function == "last" else f"rate({selector}[{_ms(_SCRAPES_OF_A_RATE * every_s)}])"

    extreme = "min" if is_free(resource) else "max"
    inner = _filled(expression, resource, term)
    return f"{extreme}_over_time(({inner})[{_ms(step_s)}:{_ms(every_s)}])"


def first_series(expression: str, resource: Resource) -> str:
    """Return the first selector of an expression: its samples tell how old the values are."""
    found = _TERM.search(expression)
    return _filled(found[0] if found else expression, resource, lambda _, selector: selector)


def selected(metric: str, resource: Resource) -> str:
    """Return the selector of another metric of the same things."""
    return _filled(f"last({metric})", resource, lambda _, selector: selector)


def _filled(expression: str, resource: Resource, term: Callable[[str, str], str]) -> str:
    def one(found: re.Match[str]) -> str:
        matchers = [(found[3] or "{}")[1:-1], _labels(resource)]
        inside = ",".join(filter(None, matchers))
        return term(found[1], f"{found[2]}{{{inside}}}" if inside else found[2])

    return _TERM.sub(one, expression)


def _labels(resource: Resource) -> str:
    """Return the matchers of the inventory, and those of the kind for other labels than these."""
    named = {found[1] for found in _LABEL.finditer(resource.labels)}
    usual = [found[0] for found in _LABEL.finditer(resource.of_kind.labels) if found[1] not in named]
    return ",".join(filter(None, [resource.labels, *usual]))


def _ms(seconds: float) -> str:
    return f"{max(1, round(seconds * 1000))}ms"
