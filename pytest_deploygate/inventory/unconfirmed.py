"""The inventory's `discovered`: places whose values a program saw, and that nobody has confirmed.

A place is written as keys with points, and an entry of a list by its name: `database.replicas[db2]`. What is around a
place stands for all in it.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_deploygate.problems import nearest

KEY = "discovered"
#: What names an entry of a list, the first that it has.
_NAMES = ("name", "relation", "table", "view", "job", "host", "url")


def label(entry: object) -> str:
    """Return the name of an entry of a list, as it stands in the file; empty if it has none."""
    if isinstance(entry, Mapping):
        return next((str(entry[key]) for key in _NAMES if entry.get(key)), "")
    return str(entry)


def places(node: object, around: str = "") -> Iterator[str]:
    """Yield every place of a document, outer ones first; entries without a name by their number, from 0."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            if around or key != KEY:
                here = f"{around}.{key}" if around else str(key)
                yield here
                yield from places(value, here)
    elif isinstance(node, Sequence) and not isinstance(node, str):
        for number, entry in enumerate(node):
            here = f"{around}[{label(entry) or number}]"
            yield here
            yield from places(entry, here)


def value(node: object, place: str, around: str = "") -> Any:
    """Return what a document has at a place. Raises KeyError if it has no such place."""
    inner: Iterator[tuple[str, object]] = iter(())
    if isinstance(node, Mapping):
        inner = ((f"{around}.{key}" if around else str(key), held) for key, held in node.items())
    elif isinstance(node, Sequence) and not isinstance(node, str):
        inner = ((f"{around}[{label(held) or n}]", held) for n, held in enumerate(node))
    for here, held in inner:
        if here == place:
            return held
        if within(place, here):
            with contextlib.suppress(
                KeyError
            ):  # an entry without a name may have the number of another one's name
                return value(held, place, here)
    raise KeyError(place)


def within(place: str, outer: str) -> bool:
    """Tell whether a place is another one or inside it."""
    return place == outer or place.startswith((f"{outer}.", f"{outer}["))


def wrong(document: Mapping[Any, Any]) -> list[tuple[int, str]]:
    """Return what is wrong with a document's `discovered`: the entry's number, and a sentence."""
    named = document.get(KEY)
    if not isinstance(named, Sequence) or isinstance(named, str):
        return []  # the model says what it must be
    known = list(places(document))
    found = []
    seen: set[str] = set()
    for number, place in enumerate(named):
        if not isinstance(place, str):
            continue
        if place in seen:
            found.append((number, f"{place} is named twice; remove one"))
        elif place not in known:
            found.append((number, f"the inventory has no place {place}{nearest(place, known)}"))
        seen.add(place)
    return found


def keys_of(place: str) -> tuple[str, ...]:
    """Return the keys of a place without its entries: `database.replicas[db2].port` is database, replicas, port."""
    kept, depth = "", 0
    for character in place:
        depth += (character == "[") - (character == "]")
        kept += character if not depth and character != "]" else ""
    return tuple(kept.split("."))
