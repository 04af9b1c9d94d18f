"""Which subject has which part of the inventory, read from the files of sections without importing them.

A run composes its inventory from the subjects whose keys its file has: to make the models of all others takes longer than
most runs. A subject's keys are the fields of its classes derived from `InventoryKeys` and `DatabaseKeys`; the names that
tests can request are the first arguments of `Given` and `Each`. A test compares what is read with what is declared.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from pytest_deploygate import checks

_CLASS = re.compile(
    r"^class \w+\((?P<kind>InventoryKeys|DatabaseKeys)\):\n(?P<body>(?:(?: {4}.*)?\n)+)", re.MULTILINE
)
_FIELD = re.compile(r"^ {4}(?P<name>\w+): (?!ClassVar)", re.MULTILINE)
_NAMED = re.compile(r"\b(?P<kind>Given|Each)\(\s*\"(?P<name>\w+)\"")
_DEFAULT = re.compile(r"\bdefault=[A-Z]\w*\(\)|\bdefault_factory=[A-Z]| = [A-Z]\w*\(\)$", re.MULTILINE)
_KINDS = {"InventoryKeys": "", "DatabaseKeys": "database"}


@cache
def keys() -> dict[tuple[str, str], str]:
    """Return the subject of each key, by the section that it is in: `""` for the whole inventory, or `database`."""
    return {
        (_KINDS[found["kind"]], field["name"]): subject
        for subject, text in _texts().items()
        for found in _CLASS.finditer(text)
        for field in _FIELD.finditer(found["body"])
    }


def subject_at(path: Sequence[str]) -> str:
    """Return the subject that has the key at a place of the inventory, or one around it; empty for the inventory's own."""
    return keys().get(("", path[0])) or keys().get((path[0], path[1]) if path[1:] else ("", ""), "")


def holds_others(path: Sequence[str]) -> bool:
    """Tell whether a place of the inventory has keys of several subjects below it."""
    return not path or tuple(path) in {(section,) for section, _ in keys()}


@cache
def names() -> dict[str, tuple[str, str]]:
    """Return the subject of each name that tests can request, and how it is declared: `Given` or `Each`.

    A name that is declared as both counts as `Given`.
    """
    found: dict[str, tuple[str, str]] = {}
    for subject, text in _texts().items():
        for name in _NAMED.finditer(text):
            if found.get(name["name"], ("", ""))[1] != "Given":
                found[name["name"]] = (subject, name["kind"])
    return found


@cache
def with_optional() -> frozenset[str]:
    """Return the subjects that have an optional section."""
    return frozenset(subject for subject, text in _texts().items() if "optional=" in text)


@cache
def with_defaults() -> frozenset[str]:
    """Return the subjects of which an inventory without any of their keys has a section all the same."""
    return frozenset(
        subject
        for subject, text in _texts().items()
        if "defaults_with=" in text or any(_DEFAULT.search(keys["body"]) for keys in _CLASS.finditer(text))
    )


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


@cache
def _texts() -> dict[str, str]:
    return {subject: "".join(_sources(subject)) for subject in checks.subjects()}


def _sources(subject: str) -> Iterator[str]:
    spec = find_spec(f"{checks.__name__}.{subject}")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        inner = Path(folder) / "section"
        files = sorted(inner.glob("*.py")) if inner.is_dir() else [Path(folder) / "section.py"]
        yield from (file.read_text("utf-8") for file in files if file.is_file())
