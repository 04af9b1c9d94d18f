"""Secrets: one wrapper type that hides them, one function that masks them in a text.

A secret is wrapped in `Secret(...)` and known from then on; everything that the product writes (journal,
report, evidence, terminal) passes through `redact`. A weak one (short, or a word that the inventory uses elsewhere) would
make paths and names unreadable: it is masked only where it stands as a password could. Of URLs, `redact` leaves out the
values of the query and the user, whether they are known to be secret or not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from pytest_deploygate import packed, spellings

_MASK = packed.MASK
_LEFT_OUT = "…"
_LONG_NUMBER = 6  # a shorter number is too common to be masked everywhere
_NAMES_A_SECRET = re.compile(r"passw|pwd|secret|token|api_?key", re.IGNORECASE)
#: Parameters of a URL whose value is a secret wherever it stands.
_SECRET_PARAMETER = re.compile(r"passw|pwd|secret|token|key|sig|auth|session|sid\b|jwt|code\b", re.IGNORECASE)
#: A shorter secret is weak.
_SHORT = 6
#: Words of every record, which a mask would make unreadable: its files, keys and values. A secret that is one is weak.
RECORD_WORDS = (
    "deploygate deploygate-out evidence journal journal.jsonl verdicts verdicts.json signoff signoff.html signatures "
    "measurement measured criterion checklist inventory change scope whole the whole checklist target targets verdict "
    "reason reasons decision decisions decided finding findings reading readings attempts confirmed deferred_to figures "
    "critical automated hybrid manual passed failed inconclusive not_covered not covered covered attested waived waiver "
    "waivers attestation attestations not_applicable not applicable applicable rollback rolled back incident deadline "
    "segment interrupted versions python pytest pytest-deploygate severity phases policy records contacts windows "
    "remarks weakenings circumstances controls baseline healthy platform verified unknown nothing exit code"
)
#: All values but weak ones, longest first, so that no part of one remains.
_known: tuple[str, ...] = ()
#: Texts of which one is in any text that holds one of `_known`; and the values without such texts.
_clues: frozenset[str] = frozenset()
_without_clues: tuple[str, ...] = ()
#: Weak values, each with the places where it is masked, and in any place.
_weak: dict[str, re.Pattern[str]] = {}
_weak_anywhere: dict[str, re.Pattern[str]] = {}
#: The value of each source (`env:NAME`).
_sources: dict[str, str] = {}

_SLASHES = r":(?:\\*/){2}"  # JSON may have backslashes before them
_OF_URL = r"(?:[^\s\"'<>\\`?#]|\\+/)"
#: Who logs in, in a URL: of the web anybody, elsewhere only with a password, since `ssh://user@host` says no secret.
_USER = re.compile(
    rf"((?:https?|wss?|ftps?){_SLASHES})[^\s\"'<>\\`/?#]*@|({_SLASHES})[^\s\"'<>\\`/?#:@]*:[^\s\"'<>\\`/?#]*@",
    re.IGNORECASE,
)
#: Schemes whose user can be a token.
_WITH_TOKENS = ("http", "https", "ws", "wss", "ftp", "ftps")
#: A URL or its path, as far as it stands before a query or fragment, and these.
_QUERY = re.compile(rf"(?:{_SLASHES}|(?<![^\s\"'(=,])/(?=[^\s?#]*[?#])){_OF_URL}*[?#](?:[^\s\"'<>\\`]|\\+/)+")
#: A value; not what is left of one, with the number by which pytest tells two parameters of one name apart.
_VALUE = re.compile(r"([?&;#][^=&;?#]*)=(?!…_?\d*[,.:)\]}]*(?:$|[&;#]))([^&;#]*?)(?=[,.:)\]}]*(?:$|[&;#]))")


class Secret:
    """A secret value. Only `reveal()` returns it; printing, logging or comparing reprs does not show it."""

    __slots__ = ("_value", "source")

    def __init__(self, value: str, source: str = "") -> None:
        self._value = value
        self.source = source
        if value:
            _sources[source] = value
            _hide(value)

    def reveal(self) -> str:
        """Return the value itself: call this only where the value is sent to its server."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({self.source or _MASK})"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str:
        raise TypeError("a secret cannot be pickled")


def _hide(value: str) -> None:
    """Mask a value from now on, and if it is a URL the secrets in it."""
    if value in _known or value in _weak:
        return
    if len(value) < _SHORT:
        _weaken(value)
    else:
        _know({*_known, value})
    hide_those_of_url(value)


def _know(values: Iterable[str]) -> None:
    """Mask these values from now on."""
    global _known, _clues, _without_clues  # noqa: PLW0603 (sorted once, not for each text)
    _known = tuple(sorted(values, key=len, reverse=True))
    _clues = frozenset(clue for value in _known for clue in spellings.clues(value))
    _without_clues = tuple(value for value in _known if not spellings.clues(value))


def hide_those_of_url(text: str) -> None:
    """Mask the password, and the values of parameters such as `token`, of every URL in a text, wherever they appear."""
    if "://" not in text:
        return
    from urllib.parse import unquote, unquote_plus  # noqa: PLC0415 (only URLs with a secret need it)

    for found in re.finditer(r"(\w*)://([^\s\"'<>/?#]*)@", text):
        user, colon, password = found[2].partition(":")
        # A token can stand for the user of the web; `ssh://deploy@host` says no secret.
        if colon or found[1].lower() in _WITH_TOKENS:
            _hide_longer(unquote(password if colon else user))
    for url in _QUERY.findall(text):
        for name, value in _VALUE.findall(url):
            if _SECRET_PARAMETER.search(name):
                _hide_longer(unquote_plus(value))


def _hide_longer(value: str) -> None:
    """Mask a value unless it is weak: nobody said that it is a secret, and in its URL it is left out anyway."""
    if len(value) >= _SHORT:
        _hide(value)


def _weaken(value: str) -> None:
    """Mask a value only in the writings that nobody has by chance, and as it stands: as a password."""
    _know({*_known} - {value})
    readable, encoded = spellings.readable(value), spellings.encoded(value, _SHORT)
    anywhere = f"{readable}|{encoded}" if encoded else readable
    _weak_anywhere[value] = re.compile(anywhere, re.IGNORECASE)
    stands = (
        r"""((?:passw(?:or)?d|passwd|pwd|secret|token|api[_-]?key|bearer|basic|credentials?)["']?(?:\s*[=:]\s*|\s+)["']?"""
        rf"""|://[^/\s:@]*:)(?:{readable})(?![A-Za-z0-9])"""
    )
    _weak[value] = re.compile(f"{stands}|(?-i:{encoded})" if encoded else stands, re.IGNORECASE)


def weak(texts: Iterable[str], whose: str = "that this file uses elsewhere") -> dict[str, str]:
    """Return the weak secrets by their source (`env:NAME`), each with why it is: short, or a word of these texts.

    `whose` says whose words they are. From then on they are masked only where they stand as a password could.
    """
    whole = "\n".join(texts)
    found = {}
    for source, value in _sources.items():
        if re.search(rf"(?<![A-Za-z0-9]){re.escape(value)}(?![A-Za-z0-9])", whole):
            if value not in _weak:
                _weaken(value)
            found[source] = f"is a word {whose}"
        elif len(value) < _SHORT:
            found[source] = f"has fewer than {_SHORT} characters"
    return {source: why for source, why in found.items() if source}


def by_reference() -> dict[str, str]:
    """Return the secrets that were read by a reference (`env:NAME`), with their values: never to be written anywhere."""
    return {source: value for source, value in _sources.items() if source}


def known() -> object:
    """Return an object that is another one once another secret is known: what was masked before may hold that one."""
    return _known


def redact(text: str) -> str:
    """Return the text with every known secret masked, and without the values and users of URLs."""
    return _without_values(masked(text))


def shortened(text: str, most: int) -> str:
    """Return the beginning of a text, redacted before it is cut: the first half of a secret is not known as one."""
    return redact(text)[:most]


def masked(text: str, _deep: int = 0) -> str:
    """Return the text with every known secret masked, also in compressed data; what else is in URLs stays."""
    if (_known or _weak) and packed.may_be(text):
        text = packed.replaced(text, lambda inner: masked(inner, _deep + 1), deep=_deep)
    if _may_be_known(text):
        any_of_them = _spells_out(text)
        for value in _known:
            if any_of_them or spellings.may_be_in(value, text):
                text = _pattern(value).sub(_MASK, text)
    for value, place in _weak.items():
        if len(value) < len(text) and _may_be_weak(value, text):
            text = place.sub(lambda found: (found[1] or "") + _MASK, text)
    return text


def _may_be_known(text: str) -> bool:
    for clue in _clues:  # a loop, because this is asked of each text
        if clue in text:
            return True
    return any(_pattern(value).search(text) for value in _without_clues) or (
        bool(_known) and _spells_out(text)
    )


def _may_be_weak(value: str, text: str) -> bool:
    clues = spellings.clues_whole(value)
    if not clues:
        return _weak_anywhere[value].search(text) is not None
    lower = text.lower()
    return any(clue in lower for clue in clues) or _spells_out(text)


def _spells_out(text: str) -> bool:
    return ("%" in text or "&" in text or "\\" in text) and spellings.SPELLED_OUT.search(text) is not None


@cache
def _pattern(value: str) -> re.Pattern[str]:
    """Return the compiled pattern of a value. Most runs meet no secret in a text, and compile none."""
    return re.compile(spellings.pattern(value))


def _without_values(text: str) -> str:
    """Leave out who logs in and the values of queries and fragments of URLs: any of them can be a secret."""
    if "@" in text and "/" in text:
        text = _USER.sub(lambda found: f"{found[1] or found[2]}{_LEFT_OUT}@", text)
    if "/" in text and ("?" in text or "#" in text):
        text = _QUERY.sub(_shortened, text)
    return text


def _shortened(found: re.Match[str]) -> str:
    url = _VALUE.sub(rf"\1={_LEFT_OUT}", found[0])
    if "://" not in url or "=" in url:
        return url
    address, mark, query = url.partition("?")  # the query itself can be a key
    return f"{address}?{_LEFT_OUT}" if mark and query else url


def may_hold(text: str) -> bool:
    """Tell whether a JSON text (with `ensure_ascii=False`) may hold what `redact` masks.

    If not, `redact_values` of the data would change nothing: to look at one text takes less than to look at each value.
    """
    return (
        _may_be_known(text)
        or (bool(_known or _weak) and packed.may_be(text))
        or any(_may_be_weak(value, text) for value in _weak)
        or ("@" in text and _USER.search(text) is not None)
        or (("?" in text or "#" in text) and _QUERY.search(text) is not None)
    )


def redact_values(value: Any, *, keep: frozenset[str] = frozenset()) -> Any:
    """Return JSON data with its texts masked; the structure stays intact whatever the secret is.

    Values under a key in `keep` (our own words, digests, times) stay unchanged, and so do all keys. A password such as
    `verdict` would otherwise make a record unreadable. A text under a key that names a secret is masked if it is a weak one.
    """
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {
            key: inner
            if key in keep
            else _MASK
            if isinstance(inner, str) and inner in _weak and _NAMES_A_SECRET.search(str(key))
            else redact_values(inner, keep=keep)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [redact_values(inner, keep=keep) for inner in value]
    if isinstance(value, int | float) and len(str(value)) >= _LONG_NUMBER and str(value) in _known:
        return _MASK
    return value
