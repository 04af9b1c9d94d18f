"""Matchers of labels as Alertmanager writes them. A label that an alert lacks has the empty value.

https://prometheus.io/docs/alerting/latest/configuration/#matcher
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell

# A name may be quoted since version 0.27, and so may a value, which then can have commas and braces.
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_MATCHER = re.compile(
    rf'\s*(?P<name>{_QUOTED}|[^\s"=!~,{{}}]+)\s*(?P<how>=~|!~|!=|=)\s*(?P<value>{_QUOTED}|[^",{{}}]*?)\s*(?:,|$)'
)
_ESCAPES = {"n": "\n", '"': '"', "\\": "\\"}


@dataclass(frozen=True)
class Matcher:
    """A condition on one label: `how` is one of =, !=, =~ and !~; expressions match the whole value."""

    name: str
    how: str
    value: str

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether an alert with these labels has it. Raises CannotTell for an expression that Python cannot read."""
        return self.takes(labels.get(self.name, ""))

    def takes(self, value: str) -> bool:
        """Return whether a value of the label has it. Raises CannotTell as `matches` does."""
        if self.how in ("=", "!="):
            return (value == self.value) == (self.how == "=")
        try:
            found = re.fullmatch(self.value, value, re.DOTALL) is not None
        except re.error as error:
            raise CannotTell(f"the expression of {self} cannot be read: {error}") from None
        return found == (self.how == "=~")

    def __str__(self) -> str:
        return f'{self.name}{self.how}"{self.value}"'


def parsed(text: str) -> Iterator[Matcher]:
    """Yield the matchers of a text such as `severity="critical", team=~"db|web"`. Raises CannotTell."""
    rest = text.strip()
    if rest.startswith("{") and rest.endswith("}"):
        rest = rest[1:-1]
    at = 0
    while rest[at:].strip():
        found = _MATCHER.match(rest, at)
        if found is None:
            raise CannotTell(f"the matcher {text!r} cannot be read")
        yield Matcher(_unquoted(found["name"]), found["how"], _unquoted(found["value"]))
        at = found.end()


def of_route(route: Mapping[str, Any]) -> list[Matcher]:
    """Return the matchers of a route of the configuration, in all three spellings. Raises CannotTell."""
    found = [Matcher(str(name), "=", str(value)) for name, value in (route.get("match") or {}).items()]
    found += [Matcher(str(name), "=~", str(value)) for name, value in (route.get("match_re") or {}).items()]
    for text in route.get("matchers") or ():
        found += parsed(str(text))
    return found


def of_silence(silence: Mapping[str, Any]) -> list[Matcher]:
    """Return the matchers of a silence as the API returns it."""
    kinds = {(True, False): "=", (False, False): "!=", (True, True): "=~", (False, True): "!~"}
    return [
        Matcher(
            str(each.get("name", "")),
            kinds[each.get("isEqual", True) is not False, bool(each.get("isRegex"))],
            str(each.get("value", "")),
        )
        for each in silence.get("matchers") or ()
    ]


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        return re.sub(r"\\(.)", _escaped, text)
    return re.sub(r"\\(.)", _escaped, text[1:-1])


def _escaped(found: re.Match[str]) -> str:
    # Anything else keeps its backslash: it belongs to a regular expression.
    return _ESCAPES.get(found[1], found[0])
