"""The parts of a notice's text, from which its HTML is made: both say the same, as there is only one source.

A paragraph ends at an empty line. Lines that begin with `- ` are a list. Two lines or more of the form `Label:  value`, with
two blanks or more after the colon, are facts. Addresses of the web are links.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from pytest_deploygate.lazy import dataclass

_FACT = re.compile(r"(\S[^:]{0,40}):(?: {2,}|\t)(\S.*)")
_LINK = re.compile(
    r"https?://[^\s<>\"']*[^\s<>\"'.,;:!?)\]]|(?<![\w.+-])[\w.+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"
)


@dataclass(frozen=True)
class Piece:
    """A part of a line; `url` is empty for words."""

    text: str
    url: str = ""


@dataclass(frozen=True)
class Block:
    """A paragraph, a list or facts. A row has its label, which only facts have, and its pieces."""

    kind: Literal["paragraph", "list", "facts"]
    rows: tuple[tuple[str, tuple[Piece, ...]], ...]


def of(text: str) -> list[Block]:
    """Return the blocks of a text."""
    return [block for part in re.split(r"\n{2,}", text.strip()) for block in _part(part.splitlines())]


def _part(lines: list[str]) -> Iterator[Block]:
    """Yield the blocks of lines without an empty one between them: words before a list are a paragraph."""
    at = next((n for n, line in enumerate(lines) if line.startswith("- ")), len(lines))
    if before := lines[:at]:
        facts = [_FACT.fullmatch(line) for line in before]
        if all(facts):
            yield Block("facts", tuple((fact[1], pieces(fact[2])) for fact in facts if fact))
        else:
            yield Block("paragraph", (("", pieces(" ".join(line.strip() for line in before))),))
    if lines[at:]:
        yield Block("list", tuple(("", pieces(entry)) for entry in _entries(lines[at:])))


def _entries(lines: list[str]) -> Iterator[str]:
    """Yield the entries of a list; a line that is indented goes on with the one before."""
    entry = ""
    for line in lines:
        if line.startswith("- "):
            if entry:
                yield entry
            entry = line[2:].strip()
        else:
            entry += f" {line.strip()}"
    yield entry


def pieces(line: str) -> tuple[Piece, ...]:
    """Return the words and the links of a line."""
    found, at = [], 0
    for link in _LINK.finditer(line):
        if link.start() > at:
            found.append(Piece(line[at : link.start()]))
        found.append(Piece(link[0], link[0] if "://" in link[0] else f"mailto:{link[0]}"))
        at = link.end()
    if at < len(line):
        found.append(Piece(line[at:]))
    return tuple(found)
