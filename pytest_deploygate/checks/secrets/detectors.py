"""Detectors of detect-secrets, as its baseline names them, and how a text is searched with them.

The library's own detectors and filters look at a text. Its settings are those of a whole process and are not used, so
nothing is verified over the network. Source: https://github.com/Yelp/detect-secrets, its README and docs/.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from pytest_deploygate.checks.secrets.formats import Hit
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.problems import nearest

#: Of one detector in one text.
_MOST = 20
#: Longer lines are looked at in pieces, with so much in two of them.
_PIECE, _OVERLAP = 8192, 1024
#: A setting whose value has no quotes: `key: value`, `key = value`.
_SETTING = re.compile(r"""^(\s*(?:- )?[\w.-]{1,100}\s*[:=]\s*)([^\s'"#&*|>{\[][^\s'"]*)(?=\s*(?:#.*)?$)""")
_OWN = "detect_secrets.filters."
#: Whether a file is there on our disk, and what a service says of a secret: neither concerns a host's files.
_NOT_HERE = ("common.is_invalid_file", "common.is_ignored_due_to_verification_policies")
#: What excluded a line, a file or a secret by expressions: `detect_secrets.filters.regex`.
_BY_EXPRESSION = re.compile(r"regex\.should_exclude_(line|file|secret)")


class NoLibraryError(Exception):
    """detect-secrets is not installed."""


@dataclass(frozen=True)
class _Filter:
    """Leaves out what it returns true for. `takes` are the names of what it is given."""

    leaves_out: Callable[..., bool]
    takes: tuple[str, ...]

    def __call__(self, **given: Any) -> bool:
        return bool(self.leaves_out(**{name: given[name] for name in self.takes}))


@dataclass(frozen=True)
class Detectors:
    """Detectors that can be used, those and the filters that cannot, and what people looked at and found to be no secret.

    `no_secrets` are kinds and SHA-1 digests of audited entries, as the baseline has them.
    """

    usable: tuple[Any, ...]
    unusable: tuple[str, ...]
    filters: tuple[_Filter, ...]
    no_secrets: frozenset[tuple[str, str]]

    def search(self, text: str, path: str) -> Iterator[Hit]:
        """Yield what the detectors find in a text."""
        if self._left_out({"filename": path}):
            return
        from detect_secrets.util.code_snippet import get_code_snippet  # noqa: PLC0415

        pieces, quoted, number_of = list(_pieces(text)), _quoted(path), Counter[str]()
        lines = [line for _, line in pieces]
        for number, (start, line) in enumerate(pieces, 1):
            given = {"filename": path, "line": line, "context": get_code_snippet(lines, number)}
            found = [
                (detector, secret.secret_value)
                for detector in self.usable
                for secret in detector.analyze_line(filename=path, line=quoted(line), line_number=number)
                if secret.secret_value
            ]
            if not found or self._left_out(given):
                continue
            for detector, secret in found:
                kind = detector.secret_type
                if number_of[kind] >= _MOST or self._is_no_secret(kind, secret):
                    continue
                if not self._left_out({**given, "secret": secret, "plugin": detector}):
                    number_of[kind] += 1
                    yield Hit(kind, secret, max(start, text.find(secret, start)))

    def _left_out(self, given: Mapping[str, Any]) -> bool:
        """Tell whether a filter that needs what was not known before, and is known now, leaves it out."""
        return any(each(**given) for each in self.filters if _stage(each.takes) == _stage(tuple(given)))

    def _is_no_secret(self, kind: str, secret: str) -> bool:
        digest = hashlib.sha1(secret.encode(), usedforsecurity=False).hexdigest()
        return (kind, digest) in self.no_secrets


def _stage(names: Sequence[str]) -> int:
    """Return when a filter can be asked: for a file, for a line, or for a secret."""
    return 2 if {"secret", "plugin"} & set(names) else 1 if {"line", "context"} & set(names) else 0


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines and where each begins, long ones in pieces: some expressions take the square of a line's length."""
    start = 0
    for line in text.split("\n"):
        for at in range(0, max(1, len(line) - _OVERLAP), _PIECE - _OVERLAP):
            yield start + at, line[at : at + _PIECE].rstrip()
        start += len(line) + 1


def _quoted(path: str) -> Callable[[str], str]:
    """Return how a line of a file is shown to detectors: those of settings need no quotes around a value, detectors do.

    The library reads YAML and INI files for that, which a file made for it lets take for ever.
    """
    from detect_secrets.util.filetype import FileType, determine_file_type  # noqa: PLC0415

    settings = {FileType.YAML, FileType.INI, FileType.CONFIG, FileType.PROPERTIES, FileType.TOML}
    if determine_file_type(path) not in settings:
        return lambda line: line
    return lambda line: _SETTING.sub(r'\1"\2"', line)


def read(baseline: Mapping[str, Any]) -> Detectors:
    """Read a baseline. Raises NoLibraryError, and ValueError or TypeError if it is none."""
    try:
        from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class  # noqa: PLC0415
    except ImportError:
        raise NoLibraryError from None
    named, filtered = baseline.get("plugins_used"), baseline.get("filters_used", [])
    for key, entries in (("plugins_used", named), ("filters_used", filtered)):
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise TypeError(f"`{key}` is not a list of mappings")
    if not named:
        raise ValueError("`plugins_used` is empty: nothing would be looked for")
    classes: dict[str, Any] = get_mapping_from_secret_type_to_class()
    known: dict[str, Callable[..., Any]] = {each.__name__: each for each in classes.values()}
    usable: list[Any] = []
    unusable: list[str] = []
    filters: list[_Filter] = []
    for entry in named:
        name = str(entry.get("name"))
        try:
            usable.append(_detector(known, name, entry))
        except (TypeError, ValueError, re.error) as error:
            unusable.append(f"{name}: {error}")
    for entry in filtered:
        name = str(entry.get("path"))
        try:
            filters += _filter(name, entry)
        except (TypeError, ValueError, re.error) as error:
            unusable.append(f"{name}: {error}")
    return Detectors(tuple(usable), tuple(unusable), tuple(filters), frozenset(_audited(baseline)))


def _detector(known: Mapping[str, Callable[..., Any]], name: str, entry: Mapping[str, Any]) -> Any:
    if "path" in entry:
        raise ValueError(
            "a detector of your own is Python code, which is not run: write it as a rule of gitleaks"
        )
    if name not in known:
        raise ValueError(f"detect-secrets has no such detector{nearest(name, known)}")
    return known[name](**{key: value for key, value in entry.items() if key != "name"})


def _filter(name: str, entry: Mapping[str, Any]) -> list[_Filter]:
    from detect_secrets.filters import allowlist, heuristic  # noqa: PLC0415

    own = name.removeprefix(_OWN)
    module, _, function = own.rpartition(".")
    if own in _NOT_HERE:
        return []
    if by_expression := _BY_EXPRESSION.fullmatch(own):
        patterns = entry.get("pattern")
        given = [re.compile(each) for each in ([patterns] if isinstance(patterns, str) else patterns or [])]
        return [_excluding(by_expression[1].replace("file", "filename"), given)]
    if own == "common.is_baseline_file":
        baseline = PurePosixPath(str(entry.get("filename"))).name
        return [_Filter(lambda filename: PurePosixPath(filename).name == baseline, ("filename",))]
    asked = getattr({"allowlist": allowlist, "heuristic": heuristic}.get(module), function, None)
    if asked is None or function.startswith("_") or not inspect.isfunction(asked):
        raise ValueError("this filter cannot be used here: remove it, or audit what it leaves out")
    return [_Filter(asked, tuple(inspect.signature(asked).parameters))]


def _excluding(what: str, patterns: Sequence[re.Pattern[str]]) -> _Filter:
    return _Filter(lambda **given: any(each.search(given[what]) for each in patterns), (what,))


def _audited(baseline: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what people found to be no secret. What nobody looked at is not accepted: the library has only seen it before."""
    results = baseline.get("results", {})
    if not isinstance(results, dict):
        raise TypeError("`results` is not a mapping")
    for entries in results.values():
        for entry in entries:
            if isinstance(entry, dict) and entry.get("is_secret") is False:
                yield str(entry.get("type")), str(entry.get("hashed_secret"))
