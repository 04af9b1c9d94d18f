"""Split SQL text into statements without comments; quotes, dollar quotes and nested comments are respected."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pytest_deploygate.lazy import dataclass

# A $ within a name begins no quote.
_PIECE = re.compile(
    r"--[^\n]*|/\*|(?:[eE])?'|\"(?:[^\"]|\"\")*\"|\$(?:[A-Za-z_][A-Za-z_0-9]*)?\$|;|[^\W\d][\w$]*|\d+|[^'\"$;/\-\w]+|.",
    re.DOTALL,
)
_PLAIN = re.compile(r"(?:[^']|'')*'")
_ESCAPED = re.compile(r"(?:[^'\\]|\\.|'')*'", re.DOTALL)
_COMMENT = re.compile(r"/\*|\*/")


@dataclass(frozen=True)
class Statement:
    """One statement: its text on one line without comments, strings emptied in `bare`, and its first line."""

    text: str
    bare: str
    line: int


def statements(text: str) -> Iterator[Statement]:
    """Split a text at its semicolons. An unterminated string or comment extends to the end of the text."""
    whole: list[str] = []
    bare: list[str] = []
    at, start = 0, -1
    while at < len(text):
        found = _PIECE.match(text, at)
        if not found:
            break
        piece, begins = found[0], at
        at = found.end()
        shown, kept = piece, piece
        if piece == "/*":
            at, shown, kept = _after_comment(text, at), " ", " "
        elif piece.startswith("--"):
            shown = kept = " "
        elif piece.endswith("'"):
            end = (_PLAIN if piece == "'" else _ESCAPED).match(text, at)
            at = end.end() if end else len(text)
            shown, kept = text[begins:at], "''"
        elif len(piece) > 1 and piece[0] == piece[-1] == "$":
            end_at = text.find(piece, at)
            at = len(text) if end_at < 0 else end_at + len(piece)
            shown, kept = text[begins:at], "''"
        if piece == ";":
            yield from _made(whole, bare, text, start)
            whole, bare, start = [], [], -1
            continue
        if start < 0 and shown.strip():
            start = begins + len(piece) - len(piece.lstrip())
        whole.append(shown)
        bare.append(kept)
    yield from _made(whole, bare, text, start)


def _made(whole: list[str], bare: list[str], text: str, start: int) -> Iterator[Statement]:
    said = " ".join("".join(whole).split())
    if said:
        yield Statement(said, " ".join("".join(bare).split()), text.count("\n", 0, max(start, 0)) + 1)


def _after_comment(text: str, at: int) -> int:
    depth = 1
    while depth and (found := _COMMENT.search(text, at)):
        depth += 1 if found[0] == "/*" else -1
        at = found.end()
    return at if not depth else len(text)
