"""Which subject has which part of the inventory, read from the files of sections without importing them.

A run composes its inventory from the subjects whose keys its file has: to make the models of all others takes longer than
most runs. A subject's keys are the fields of its classes derived from `InventoryKeys` and `DatabaseKeys`; the names that
tests can request are the first arguments of `Given` and `Each`. A test compares what is read with what is declared.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pytest_deploygate import checks
from pytest_deploygate.files import compiled
from pytest_deploygate.lazy import dataclass

_CLASS = re.compile(
    r"^class \w+\((?P<kind>InventoryKeys|DatabaseKeys)\):\n(?P<body>(?:(?: {4}.*)?\n)+)", re.MULTILINE
)
_FIELD = re.compile(r"^ {4}(?P<name>\w+): (?!ClassVar)", re.MULTILINE)
_NAMED = re.compile(r"\b(?P<kind>Given|Each)\(\s*\"(?P<name>\w+)\"")
_DEFAULT = re.compile(r"\bdefault=[A-Z]\w*\(\)|\bdefault_factory=[A-Z]| = [A-Z]\w*\(\)$", re.MULTILINE)
_KINDS = {"InventoryKeys": "", "DatabaseKeys": "database"}
_SECTIONS = frozenset(_KINDS.values()) - {""}


@dataclass(frozen=True)
class _Read:
    """What the files of sections say: see `keys`, `names`, `with_optional`, `with_defaults` and `revealing`."""

    keys: Mapping[tuple[str, str], str]
    names: Mapping[str, tuple[str, str]]
    optional: frozenset[str]
    defaults: frozenset[str]
    revealing: frozenset[str]


def keys() -> Mapping[tuple[str, str], str]:
    """Return the subject of each key, by the section that it is in: `""` for the whole inventory, or `database`."""
    return _read().keys


def subject_at(path: Sequence[str]) -> str:
    """Return the subject that has the key at a place of the inventory, or one around it; empty for the inventory's own."""
    return keys().get(("", path[0])) or keys().get((path[0], path[1]) if path[1:] else ("", ""), "")


def holds_others(path: Sequence[str]) -> bool:
    """Tell whether a place of the inventory has keys of several subjects below it."""
    return not path or tuple(path) in {(section,) for section, _ in keys()}


def names() -> Mapping[str, tuple[str, str]]:
    """Return the subject of each name that tests can request, and how it is declared: `Given` or `Each`.

    A name that is declared as both counts as `Given`.
    """
    return _read().names


def with_optional() -> frozenset[str]:
    """Return the subjects that have an optional section."""
    return _read().optional


def with_defaults() -> frozenset[str]:
    """Return the subjects of which an inventory without any of their keys has a section all the same."""
    return _read().defaults


def revealing() -> frozenset[str]:
    """Return the subjects whose section is right or wrong by the value of a secret, such as its length."""
    return _read().revealing


def subjects(document: Mapping[str, object], own: Mapping[str, Collection[str]]) -> frozenset[str] | None:
    """Return the subjects whose keys an inventory file has; None if it has a key of no subject.

    `own` are the keys that a section has without any subject, by the name of the section, as in `keys`.
    """
    found: set[str] = set()
    for section, known in own.items():
        below = document.get(section) if section else document
        for key in below if isinstance(below, Mapping) else ():
            if subject := keys().get((section, str(key))):
                found.add(subject)
            elif key not in known:
                return None
    return frozenset(found)


def of_subjects(document: Mapping[str, Any], subjects: Collection[str]) -> dict[str, Any]:
    """Return an inventory without the keys of other subjects."""
    return {
        key: {inner: below for inner, below in value.items() if _is_of((key, inner), subjects)}
        if key in _SECTIONS and isinstance(value, Mapping)
        else value
        for key, value in document.items()
        if _is_of(("", key), subjects)
    }


def _is_of(place: tuple[str, str], subjects: Collection[str]) -> bool:
    return keys().get(place, "") in {"", *subjects}


@cache
def _read() -> _Read:
    files = {subject: checks.files(subject, "section") for subject in checks.subjects()}
    read_by = (Path(__file__), *(file for found in files.values() for file in found))
    return compiled.kept("sections", read_by, lambda: _of(files))


def _of(files: Mapping[str, Sequence[Path]]) -> _Read:
    texts = {subject: "".join(file.read_text("utf-8") for file in found) for subject, found in files.items()}
    classes = [(subject, found) for subject, text in texts.items() for found in _CLASS.finditer(text)]
    names: dict[str, tuple[str, str]] = {}
    for subject, text in texts.items():
        for name in _NAMED.finditer(text):
            if names.get(name["name"], ("", ""))[1] != "Given":
                names[name["name"]] = (subject, name["kind"])
    return _Read(
        {
            (_KINDS[found["kind"]], field["name"]): subject
            for subject, found in classes
            for field in _FIELD.finditer(found["body"])
        },
        names,
        frozenset(subject for subject, text in texts.items() if "optional=" in text),
        frozenset(
            [subject for subject, text in texts.items() if "defaults_with=" in text]
            + [subject for subject, found in classes if _DEFAULT.search(found["body"])]
        ),
        frozenset(subject for subject, text in texts.items() if ".reveal()" in text),
    )
