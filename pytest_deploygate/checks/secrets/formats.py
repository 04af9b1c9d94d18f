"""Formats of secrets, read from rules as gitleaks writes them (TOML), and how a text is searched for them.

gitleaks' rules are expressions for RE2. What Python's `re` writes in another way is translated; a rule with anything else
is not used, and named with the reason. Source: https://github.com/gitleaks/gitleaks, README.md and config/.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any, Protocol

from pytest_deploygate.checks.secrets.expressions import translated
from pytest_deploygate.files import bounded
from pytest_deploygate.lazy import dataclass

#: Of one rule in one text.
_MOST = 20
#: Our own rules, in the same form.
OWN = Path(__file__).with_name("formats.toml")


class OddRulesError(Exception):
    """The file has no rules that can be read; the text says where and why."""


@dataclass(frozen=True)
class Hit:
    """What a rule found in a text: the secret, and where it begins; at its path if that alone is what the rule forbids."""

    rule: str
    secret: str
    at: int


class Searching(Protocol):
    """Rules of one file. `unusable` are those that cannot be used, with the reason."""

    @property
    def usable(self) -> tuple[Any, ...]:
        """Those that can be used."""
        ...

    @property
    def unusable(self) -> tuple[str, ...]:
        """Those that cannot, with the reason."""
        ...

    def search(self, text: str, path: str) -> Iterator[Hit]:
        """Yield what they find in a text."""
        ...


@dataclass(frozen=True)
class Allowed:
    """What a rule's findings may be. `all_of_it`: every condition must hold; `target` is what the expressions look at."""

    expressions: tuple[re.Pattern[str], ...] = ()
    paths: tuple[re.Pattern[str], ...] = ()
    words: tuple[str, ...] = ()
    target: str = "secret"
    all_of_it: bool = False

    def allows(self, texts: Mapping[str, str], path: str) -> bool:
        """Tell whether a finding with these texts (`secret`, `match`, `line`) is allowed at a path."""
        about = texts[self.target]
        said = []
        if self.expressions:
            said.append(any(each.search(about) for each in self.expressions))
        if self.paths:
            said.append(any(each.search(path) for each in self.paths))
        if self.words:
            lower = texts["secret"].lower()
            said.append(any(word in lower for word in self.words))
        return bool(said) and (all(said) if self.all_of_it else any(said))


@dataclass(frozen=True)
class Rule:
    """One format. `keywords` are in lower case: a text without any of them is not searched."""

    name: str
    expression: re.Pattern[str] | None
    path: re.Pattern[str] | None = None
    group: int = 0
    entropy: float = 0.0
    keywords: tuple[str, ...] = ()
    allowed: tuple[Allowed, ...] = ()


@dataclass(frozen=True)
class Rules:
    """Rules that can be used, those that cannot, with the reason, and what all of them allow."""

    usable: tuple[Rule, ...]
    unusable: tuple[str, ...] = ()
    allowed: tuple[Allowed, ...] = field(default=())

    def search(self, text: str, path: str) -> Iterator[Hit]:
        """Yield what the rules find in a text."""
        lower = text.lower()
        for rule in self.usable:
            if rule.path is not None and not rule.path.search(path):
                continue
            if rule.expression is None:
                yield Hit(rule.name, path, 0)
            elif not rule.keywords or any(word in lower for word in rule.keywords):
                yield from _hits(rule, rule.expression, (*rule.allowed, *self.allowed), text, path)


def read(file: Path) -> Rules:
    """Read a file of rules. Raises OddRulesError."""
    try:
        data = tomllib.loads(bounded.text(file))
    except OSError as error:
        raise OddRulesError(f"{file} cannot be read: {error.strerror}") from None
    except bounded.OddTextError as error:
        raise OddRulesError(f"{file}: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise OddRulesError(f"{file} is not TOML: {error}") from None
    entries = data.get("rules")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries) or not entries:
        raise OddRulesError(f"{file} has no [[rules]]: it must be written as a configuration of gitleaks")
    usable, unusable = [], []
    if isinstance(data.get("extend"), dict):
        unusable.append("[extend]: rules that are not in the file cannot be read; copy them into it")
    for number, entry in enumerate(entries, 1):
        name = str(entry.get("id") or f"rule {number}")
        try:
            usable.append(_rule(name, entry))
        except (re.error, ValueError, TypeError, AttributeError, OverflowError) as error:
            unusable.append(f"{name}: {error}")
    try:
        general = _allowed(data)
    except (re.error, ValueError, TypeError, AttributeError) as error:
        unusable.append(f"[allowlist]: {error}")
        general = ()
    return Rules(tuple(usable), tuple(unusable), general)


def _rule(name: str, entry: Mapping[str, Any]) -> Rule:
    if not entry.get("regex") and not entry.get("path"):
        raise ValueError("it has neither `regex` nor `path`")
    expression = translated(entry["regex"]) if entry.get("regex") else None
    group = int(entry.get("secretGroup", 0))
    if expression is not None and group > expression.groups:
        raise ValueError(f"secretGroup is {group}, but the expression has {expression.groups} groups")
    return Rule(
        name,
        expression,
        translated(entry["path"]) if entry.get("path") else None,
        group,
        float(entry.get("entropy", 0)),
        tuple(str(word).lower() for word in entry.get("keywords", [])),
        _allowed(entry),
    )


def _allowed(entry: Mapping[str, Any]) -> tuple[Allowed, ...]:
    """Read `allowlist` and `allowlists`; those for commits do not concern hosts."""
    given = [*([entry["allowlist"]] if "allowlist" in entry else []), *entry.get("allowlists", [])]
    found = []
    for each in given:
        target = str(each.get("regexTarget", "secret")) or "secret"
        if target not in ("secret", "match", "line"):
            raise ValueError(f"regexTarget is {target!r}: it must be secret, match or line")
        found.append(
            Allowed(
                tuple(map(translated, each.get("regexes", []))),
                tuple(map(translated, each.get("paths", []))),
                tuple(str(word).lower() for word in each.get("stopwords", [])),
                target,
                str(each.get("condition", "OR")).upper() == "AND",
            )
        )
    return tuple(found)


def search(rules: Iterable[Searching], text: str, path: str) -> Iterator[Hit]:
    """Yield what the rules find in a text."""
    for some in rules:
        yield from some.search(text, path)


def _hits(
    rule: Rule, expression: re.Pattern[str], allowed: tuple[Allowed, ...], text: str, path: str
) -> Iterator[Hit]:
    for number, found in enumerate(expression.finditer(text)):
        if number == _MOST:
            return
        secret = _secret(rule, found)
        if not secret or (rule.entropy and entropy(secret) <= rule.entropy):
            continue
        begin = text.rfind("\n", 0, found.start()) + 1
        end = text.find("\n", found.end())
        texts = {"secret": secret, "match": found[0], "line": text[begin : end if end >= 0 else len(text)]}
        if not any(each.allows(texts, path) for each in allowed):
            yield Hit(rule.name, secret, found.start())


def _secret(rule: Rule, found: re.Match[str]) -> str:
    """Return the group that the rule names, else the first that is not empty, else the whole match."""
    if rule.group:
        return found[rule.group] or ""
    return next((group for group in found.groups() if group), found[0])


def entropy(text: str) -> float:
    """Return Shannon's entropy of a text, in bits for each character."""
    counts, length = Counter(text), len(text)
    return -sum(number / length * math.log2(number / length) for number in counts.values())
