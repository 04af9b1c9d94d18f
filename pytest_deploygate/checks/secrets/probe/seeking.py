"""Searches what a host shows for secrets, here, in memory. What is returned is the place and a fingerprint, never the secret."""

from __future__ import annotations

import hmac
import re
import secrets as randomness
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache

from pytest_deploygate import redaction, spellings
from pytest_deploygate.checks.secrets import formats, rule_files
from pytest_deploygate.checks.secrets.section import Secrets
from pytest_deploygate.lazy import dataclass

#: A shorter secret stands in many texts by chance.
_SHORTEST = 8
#: So many different characters has at least what is not a placeholder or a sequence of one key.
_LEAST_VARIED = 5
#: A word of this length at most may stand anywhere as what it means.
_WORD = 12
#: Well-known passwords, and words of their kind: they stand in documentation, examples and word lists.
_COMMON = re.compile(
    r"(p[a4@]ssw[o0]rd|postgres(ql)?|admin(istrator)?|root|guest|test(ing)?|user|demo|example|change_?me|secret|default|welcome"
    r"|qwerty\w*|letmein|foobar(ed)?|platform|database|redis|replicator|vault|1234\w*|abcd?\w*)[\d!_.-]*",
    re.IGNORECASE,
)
#: Lines with a part of a secret that are looked at one by one; after that, all that is left of the text is.
_MOST_LINES = 500


@dataclass(frozen=True)
class Match:
    """What was found in a text: a secret of the inventory by its reference (`ours`), or a rule's. `line` counts from 1."""

    what: str
    ours: bool
    line: int
    fingerprint: str


@dataclass(frozen=True)
class Wanted:
    """What is looked for: secrets by their references, and formats. `key` is that of the fingerprints."""

    secrets: Mapping[str, str]
    rules: Sequence[formats.Searching]
    key: bytes

    def fingerprint(self, secret: str) -> str:
        """Return what stands for a secret, and tells nothing about it without the key."""
        return hmac.digest(self.key, secret.encode(errors="backslashreplace"), "sha256").hex()[:32]


def weak(value: str) -> str | None:
    """Tell why a secret cannot be looked for: it would be found where it is only a word; None if it can be."""
    if len(value) < _SHORTEST:
        return f"has fewer than {_SHORTEST} characters"
    if len(set(value)) < _LEAST_VARIED:
        return f"has fewer than {_LEAST_VARIED} different characters"
    if _COMMON.fullmatch(value):
        return "is a common word"
    if value.isalpha() and len(value) <= _WORD and value[1:] == value[1:].lower():
        return "may be a word"
    return None


def wanted(section: Secrets) -> tuple[Wanted, dict[str, str]]:
    """Return what is looked for, and the references of secrets that cannot be, each with the reason."""
    known = {value: source for source, value in reversed(redaction.by_reference().items())}
    left_out = {source: why for value, source in known.items() if (why := weak(value))}
    values = {source: value for value, source in known.items() if source not in left_out}
    rules: list[formats.Searching] = [
        *([formats.read(formats.OWN)] if section.known_formats else []),
        *([rule_files.read(section.rules)] if section.rules else []),
    ]
    key = section.fingerprint_key.reveal().encode() if section.fingerprint_key else randomness.token_bytes(32)
    return Wanted(values, rules, key), left_out


def search(wanted: Wanted, text: str, path: str) -> Iterator[Match]:
    """Yield the secrets in a text, of which each character is a byte; each secret once, at its first place."""
    ours: set[str] = set()
    spelled_out: bool | None = None
    for source, value in wanted.secrets.items():
        at = text.find(value.encode(errors="backslashreplace").decode("latin-1"))
        if at < 0:
            if spelled_out is None:
                spelled_out = spellings.SPELLED_OUT.search(text) is not None
            at = _written(value, text, spelled_out=spelled_out)
        if at >= 0:
            ours.add(value)
            yield Match(source, True, _line(text, at), wanted.fingerprint(value))
    seen: set[tuple[str, str]] = set()
    for hit in formats.search(wanted.rules, text, path):
        known = any(value in hit.secret or hit.secret in value for value in ours)
        if not known and (hit.rule, hit.secret) not in seen:
            seen.add((hit.rule, hit.secret))
            yield Match(hit.rule, False, _line(text, hit.at), wanted.fingerprint(hit.secret))


def without(wanted: Wanted, text: str) -> str:
    """Return a path or a name with what rules find in it masked; the inventory's own secrets are masked wherever they go."""
    for hit in formats.search(wanted.rules, text, ""):
        text = text.replace(hit.secret, "[secret]")
    return text


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _written(value: str, text: str, *, spelled_out: bool) -> int:
    """Return where a value stands in another writing (base64, escaped, …), -1 if nowhere."""
    clues = spellings.clues(value)
    if "\n" in value or not clues:
        near = spelled_out or not clues or any(clue in text for clue in clues)
        found = _pattern(value).search(text) if near else None
        return found.start() if found else -1
    for begin, end in _lines(text, clues, spelled_out=spelled_out):
        found = _pattern(value).search(text, begin, end)
        if found:
            return found.start()
    return -1


def _lines(text: str, clues: Iterable[str], *, spelled_out: bool) -> Iterator[tuple[int, int]]:
    """Yield where the lines begin and end that have one of the clues, or letters that are spelled out."""
    places = [_places(text, clue) for clue in clues]
    if spelled_out:
        places.append(found.start() for found in spellings.SPELLED_OUT.finditer(text))
    for some in places:
        last, lines = -1, 0
        for at in some:
            if at < last:
                continue
            begin, end = text.rfind("\n", 0, at) + 1, text.find("\n", at)
            lines += 1
            last = end if end >= 0 and lines < _MOST_LINES else len(text)
            yield begin, last


def _places(text: str, clue: str) -> Iterator[int]:
    at = text.find(clue)
    while at >= 0:
        yield at
        at = text.find(clue, at + 1)


@cache
def _pattern(value: str) -> re.Pattern[str]:
    return re.compile(spellings.pattern(value))
