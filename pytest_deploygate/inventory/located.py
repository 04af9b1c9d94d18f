"""Which lines of an inventory's file findings are about: entries by their names, and the sections that items read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_deploygate.files import yaml
from pytest_deploygate.inventory import sections
from pytest_deploygate.inventory.loader import Loaded, subjects_of
from pytest_deploygate.inventory.models import Inventory

#: Keys whose text names the entry that they are in.
_NAMING = frozenset({"name", "host", "domain", "path", "address", "table", "hostname"})
#: With more entries than this their findings point at the section, so that no run begins with a long line.
_MOST = 2000


def lines(loaded: Loaded, root: Path, items: Iterable[tuple[str, Sequence[str]]]) -> dict[str, Any]:
    """Return the file below `root`, the lines of its entries by name, and of sections by item; empty if it is elsewhere.

    `items` are ids, each with the arguments of a test that is bound to it.
    """
    file = loaded.file.resolve()
    if not file.is_relative_to(root.resolve()):
        return {}
    named: dict[str, int] = {}
    for text, line in _names(loaded.document):
        named.setdefault(text, line)
    # A section of another subject is not in the file, and need not be imported.
    among = subjects_of(loaded.document)
    deepest: dict[str, tuple[int, int]] = {}
    for item, arguments in items:
        for path in filter(None, (_path(loaded.inventory, argument, among) for argument in arguments)):
            line = _line(loaded.document, path)
            if line and len(path) > deepest.get(item, (0, 0))[0]:
                deepest[item] = len(path), line
    return {
        "file": file.relative_to(root.resolve()).as_posix(),
        "names": named if len(named) <= _MOST else {},
        "items": {item: line for item, (_, line) in sorted(deepest.items())},
    }


def _path(inventory: Inventory, argument: str, among: Collection[str] | None) -> tuple[str, ...]:
    subject = sections.subject_of(argument)
    if subject is None or (among is not None and subject and subject not in among):
        return ()
    return sections.path(inventory, argument)


def _line(document: object, path: Sequence[str]) -> int:
    """Return the line of a section that is in the file; 0 if it is not."""
    node, line = document, 0
    for part in path:
        if not isinstance(node, yaml.Mapping) or part not in node:
            return 0
        line, node = node.lines.get(part, 0), node[part]
    return line


def _names(node: object) -> Iterator[tuple[str, int]]:
    """Yield the names in a file with their lines: of entries, words of lists, and keys that have a section."""
    if isinstance(node, yaml.Mapping):
        for key, value in node.items():
            line = node.lines.get(key, 0)
            if not line:  # merged from elsewhere: it is named there
                continue
            if isinstance(value, str) and key in _NAMING:
                yield value, line
            elif isinstance(value, Mapping):
                yield str(key), line
            yield from _names(value)
    elif isinstance(node, yaml.Sequence):
        for value, line in zip(node, node.lines, strict=False):
            if isinstance(value, str):
                yield value, line
            yield from _names(value)
