"""Headings and list lines of a Markdown text, parsed as CommonMark, each with its position and plain text.

Lines that look like a box but are not list lines (no bullet, indented as code, in a table) are returned too, so that
no intended item disappears silently.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import TYPE_CHECKING, Any

from pytest_deploygate.lazy import dataclass

if TYPE_CHECKING:
    from markdown_it.token import Token

#: Begins the note after each line of a ticked checklist (written by `checklist.ticked`), up to the end of the line.
NOTE = "<!--deploygate-->"
#: Line ends as defined by CommonMark. `str.splitlines` recognizes more, and would count differently.
LINE_END = re.compile(r"\r\n|\n|\r")
_NOTE = re.compile(rf"[ \t]*{re.escape(NOTE)}[^\r\n]*")
_FRONT_MATTER = re.compile(r"---[ \t]*(?:\r\n|\n|\r)(?:.*(?:\r\n|\n|\r))*?(?:---|\.\.\.)[ \t]*(?=\r|\n|\Z)")
_LOOKS_LIKE_A_BOX = re.compile(
    r"[\s|>]*(?:(?:[-*+•·–—]|\d+[.)])?\s*\\?\[\s?[ xX]?\s?\\?\](?![(\[:])|[☐☑☒⬜⬛✓✔✅◻□▢🔲])"
    r"|.*\|\s*(?:\\?\[[ xX]?\\?\]|[☐☑☒⬜⬛✓✔✅❎◻◼□▢🔲🔳]\ufe0f?|<input\b[^|]*checkbox[^|]*>)\s*(?:\||$)"
    r"|\s*<[a-z].*(?:[☐☑☒⬜◻□▢🔲]|<input\b[^>]*checkbox)"
    r"|\s*<input\b[^>]*checkbox"
)
_FORMATTING = re.compile(
    r"<!--.*-->|</?(?:a|b|br|code|del|em|font|i|img|ins|kbd|mark|p|s|small|span|strong|sub|sup|u)\b[^>]*>",
    re.IGNORECASE | re.DOTALL,
)
#: Without one of these characters a text is plain (CommonMark, chapter 6). A box before it is no link: nothing is named so.
_MARKUP = re.compile(r"[\\`*_\[\]!<>&\n]")
_BOX = re.compile(r"\[[ xX]\] ")


class What(Enum):
    """The kind of a line."""

    HEADING = "heading"
    LIST_LINE = "list line"
    STRAY = "stray"  # looks like a box, is not a list line


@dataclass(frozen=True)
class Line:
    """A heading (`level` 1 to 6) or a list line: text without markup, source, and position.

    `line` and `last` count from 1; they differ if a text continues over several lines.
    """

    what: What
    text: str
    source: str
    line: int
    last: int
    level: int = 0


def lines(text: str) -> Iterator[Line]:
    """Yield headings, list lines and strays in order of appearance."""
    from markdown_it import MarkdownIt  # noqa: PLC0415 (only those who read a checklist need its 2 MB)

    markdown, known = MarkdownIt("commonmark"), dict[str, Any]()
    markdown.core.ruler.disable("inline")
    tokens = markdown.parse(_bare(text), known)

    def plain(token: Token) -> str:
        """Return a line's plain text. What has nothing to parse, as most lines of a long checklist, is not parsed."""
        if known.get("references") or _MARKUP.search(token.content, 4 if _BOX.match(token.content) else 0):
            token.children = []
            markdown.inline.parse(token.content, markdown, known, token.children)
        return _plain(token)

    open_items: list[bool] = []  # for each open list item: has its own line been seen?
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.type == "list_item_open":
            if open_items:
                open_items[-1] = True
            open_items.append(False)
        elif token.type == "list_item_close":
            open_items.pop()
        elif token.type == "inline" and before is not None and before.type == "heading_open":
            yield _line(What.HEADING, token, plain(token), int(before.tag[1:]))
        elif token.type == "inline" and open_items and not open_items[-1]:
            open_items[-1] = True
            yield _line(What.LIST_LINE, token, plain(token))
            yield from _strays(token, skip=1)
        elif token.type in ("fence", "code_block", "html_block") and open_items and not open_items[-1]:
            open_items[-1] = True
            yield _line(What.STRAY, token, _plain(token))
        elif token.type in ("inline", "code_block") or (
            token.type == "html_block" and not token.content.lstrip().startswith("<!--")
        ):
            yield from _strays(token)


def without_note(line: str) -> str:
    """Return a line without the note appended by `checklist.ticked`."""
    return _NOTE.sub("", line)


def _bare(text: str) -> str:
    """Remove what is not the team's own text: notes of a ticked checklist, front matter (its lines stay, empty)."""
    text = _NOTE.sub("", text.removeprefix("\ufeff"))
    front = _FRONT_MATTER.match(text)
    return "\n" * len(LINE_END.findall(front[0])) + text[front.end() :] if front else text


def _line(what: What, token: Token, text: str, level: int = 0) -> Line:
    first, end = token.map or [0, 1]
    # A form feed makes no line blank in CommonMark, but nobody sees it: the text ends where it can be read.
    end = min(end, first + 1 + token.content.rstrip().count("\n"))
    return Line(what, text, token.content, first + 1, max(end, first + 1), level)


def _plain(token: Token) -> str:
    """Return the plain text of a line: the text of links, the description of images, no asterisks or backticks."""
    if not token.children:
        return " ".join(token.content.split())
    parts = []
    for child in token.children:
        if child.type in ("softbreak", "hardbreak"):
            parts.append(" ")
        elif child.type == "html_inline":
            parts.append(_FORMATTING.sub("", child.content))
        else:
            parts.append(child.content)
    return " ".join("".join(parts).split())


def _strays(token: Token, skip: int = 0) -> Iterator[Line]:
    first = token.map[0] + 1 if token.map else 0
    for number, source in enumerate(token.content.split("\n")):
        if number >= skip and _LOOKS_LIKE_A_BOX.match(source):
            yield Line(What.STRAY, " ".join(source.split()), source, first + number, first + number)
