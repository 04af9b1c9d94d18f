"""What MkDocs is told beside `mkdocs.yml`: the pages made from the code, and what GitHub reads in another way."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

import command_pages
import inventory_pages
import item_pages
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

#: A link to a file; in the middle of a paragraph its text and address may be on two lines.
_LINK = re.compile(r"\[(?P<text>[^\]\[]*)\]\((?P<address>[^)\s:#]+)(?:#[^)\s]*)?\)")
_CODE = re.compile(r"`[^`\n]+`")
_ALONE = re.compile(
    r"(?P<before><pre\b.*?</pre>|<a\b.*?</a>|<h1\b.*?</h1>)|<code>(?P<text>[^<]+)</code>", re.DOTALL
)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Give headings the anchors that they have on GitHub."""
    config.mdx_configs.setdefault("toc", {})["slugify"] = _anchor
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages made from the code. They are not in the repository, so they are never old."""
    for path, text in _made():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, **_given: object) -> str:
    """Write what GitHub reads in another way: links to files outside of the site, and pipes in the code of a table."""
    folder = posixpath.dirname(page.file.src_uri)
    lines = [_plain_pipes(line) if line.startswith("|") else line for line in markdown.split("\n")]
    return _LINK.sub(lambda found: _inside(found, folder), "\n".join(lines))


def on_page_content(html: str, page: Page, files: Files, **_given: object) -> str:
    """Link the ids of items, and names of commands, to their pages, wherever they stand as code."""
    return _ALONE.sub(lambda found: _linked(found, page, files), html)


def _made() -> Iterator[tuple[str, str]]:
    yield from item_pages.pages()
    yield from command_pages.pages()
    yield from inventory_pages.pages()


def _anchor(heading: str, _separator: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _plain_pipes(row: str) -> str:
    return _CODE.sub(lambda found: found[0].replace("\\|", "|"), row)


def _inside(found: re.Match[str], folder: str) -> str:
    """Return a link as it is, and of one that leads out of the site its text."""
    target = posixpath.normpath(posixpath.join(folder, found["address"]))
    return found["text"] if target.startswith("../") else found[0]


def _linked(found: re.Match[str], page: Page, files: Files) -> str:
    if found["before"]:
        return found[0]
    path = item_pages.path_of(found["text"]) or command_pages.path_of(found["text"])
    target = files.get_file_from_path(path) if path else None
    if target is None or target == page.file:
        return found[0]
    return f'<a href="{target.url_relative_to(page.file)}">{found[0]}</a>'
