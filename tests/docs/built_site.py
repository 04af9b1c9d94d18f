"""The built site, as files: its pages with their links, anchors and text."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote, urlsplit

from page_examples import ROOT

_HREF = re.compile(r'<a\b[^>]*?\bhref="([^"]*)"')
_NAVIGATION = re.compile(r'<a\b[^>]*?\bhref="([^"]*)"[^>]*?\bclass="md-(?:nav|tabs)__link')
_LOADED = re.compile(r'(?:<(?:script|img|iframe)\b[^>]*?\bsrc|<link\b[^>]*?\bhref)="([^"]*)"')
_ID = re.compile(r'\bid="([^"]*)"')


@dataclass(frozen=True)
class Page:
    """A page of the site by its path."""

    path: str
    text: str

    @cached_property
    def article(self) -> str:
        """What is written on it, without the navigation."""
        return self.text[self.text.index("<article") : self.text.index("</article>")]

    @cached_property
    def words(self) -> str:
        """The article as plain text."""
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", self.article)).split())

    @cached_property
    def anchors(self) -> frozenset[str]:
        """Where a link can lead to."""
        return frozenset(_ID.findall(self.text))

    @cached_property
    def links(self) -> frozenset[str]:
        """The addresses of all its links, with those of the navigation."""
        return frozenset(map(html.unescape, _HREF.findall(self.text)))

    @cached_property
    def navigation(self) -> list[str]:
        """The addresses of its navigation."""
        return _NAVIGATION.findall(self.text)

    @cached_property
    def loaded(self) -> set[str]:
        """The addresses of all that a browser loads with it."""
        return set(_LOADED.findall(self.text))

    def target(self, address: str) -> tuple[str, str]:
        """Return path and anchor that an address on this page means; the path is empty for another host."""
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            return "", ""
        folder = Path(self.path).parent
        path = os.path.normpath(folder / unquote(parts.path)) if parts.path else self.path
        return path, unquote(parts.fragment)


@dataclass(frozen=True)
class Site:
    """The folder of a built site, its pages, and what the build said."""

    folder: Path
    said: str

    @cached_property
    def pages(self) -> dict[str, Page]:
        """All pages by path."""
        found = {}
        for file in sorted(self.folder.rglob("*.html")):
            path = file.relative_to(self.folder).as_posix()
            found[path] = Page(path, file.read_text(encoding="utf-8"))
        return found


def build(folder: Path) -> Site:
    """Build the site into a folder, as people do; what it says is kept. Raises AssertionError if it fails."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    said = f"{done.stdout}{done.stderr}"
    assert done.returncode == 0, said
    return Site(folder, said)
