"""The examples of the pages: every block of code, and what is written as code in a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")))


@dataclass(frozen=True)
class Block:
    """A block of code: its page, the line of its first line, its language (empty if it names none) and its text."""

    page: str
    line: int
    language: str
    text: str

    @property
    def first(self) -> str:
        """Its first line, cut, by which the list of what is not tried names it."""
        return self.text.strip().partition("\n")[0][:50].strip()

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def _blocks() -> Iterator[Block]:
    """Yield the blocks of all pages. Two parts with an empty line between them are one block if they are indented."""
    for page in PAGES:
        for token in read(page):
            if token.type in ("fence", "code_block"):
                begin = (token.map or [0])[0] + (2 if token.type == "fence" else 1)
                yield Block(_name(page), begin, token.info.strip(), token.content)


@cache
def read(page: Path) -> list[Token]:
    """Read a page as GitHub does: CommonMark with tables."""
    return MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


ALL = tuple(_blocks())


def in_sentences() -> Iterator[tuple[str, str]]:
    """Yield what is written as code in sentences and tables, with page and line."""
    for page in PAGES:
        for token in read(page):
            for child in token.children or ():
                if child.type == "code_inline":
                    yield f"{_name(page)}:{(token.map or [0])[0] + 1}", " ".join(child.content.split())
