"""The pages people read: length, width, links, the fields of decisions, and words we do not use."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
DECISIONS = DOCS / "decisions"
PAGES = sorted((*ROOT.glob("*.md"), *DOCS.rglob("*.md")))
SUBJECTS = sorted(path for path in DECISIONS.glob("*.md") if path.name != "README.md")
WIDTH = 100
FIELDS = ("Date", "Status", "Context", "Decision", "Consequence")
STATUS = re.compile(r'accepted|obsolete(?: \(replaced by "(?P<by>[^"]+)"\))?')
#: Words of an older style of this project, each with the usual one. Only where they are never right in a page.
ODD = {
    r"mend(?:s|ed|ing)?": "fix, heal, repair",
    r"reckon(?:s|ed|ing)?": "estimate, count",
    r"the way of the data": "data flow",
    r"taken back": "revoked, undone",
    r"(?:goes|going|gone|went) on with": "continue",
    r"tells? nothing": "is inconclusive",
    r"people's part": "manual items",
}


def name(path: Path) -> str:
    """Name a page in test ids and messages."""
    return path.relative_to(ROOT).as_posix()


@cache  # many links lead to one page
def tokens(path: Path) -> list[Token]:
    """Read a page as GitHub does: CommonMark with tables."""
    return MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8"))


def prose(path: Path) -> Iterator[Token]:
    """Yield what is neither code nor table: headings, paragraphs, items of lists."""
    in_table = False
    for token in tokens(path):
        if token.type in ("table_open", "table_close"):
            in_table = token.type == "table_open"
        elif token.type == "inline" and not in_table:
            yield token


def words(token: Token) -> str:
    """Return the text of a paragraph without its code and without the addresses of its links."""
    kept = [child.content if child.type == "text" else " " for child in token.children or ()]
    return " ".join("".join(kept).split())


def links(path: Path) -> Iterator[str]:
    """Yield every address that a page links to, tables included."""
    for token in tokens(path):
        for child in token.children or ():
            if child.type == "link_open":
                yield str(child.attrs["href"])


def anchor(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    kept = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
    return kept.replace(" ", "-")


@cache
def anchors(path: Path) -> list[str]:
    """Return the anchors of a page's headings."""
    found = tokens(path)
    return [anchor(found[i + 1].content) for i, token in enumerate(found) if token.type == "heading_open"]


def entries(path: Path) -> dict[str, dict[str, str]]:
    """Return the decisions of a page by heading, each with its fields in their order."""
    found: dict[str, dict[str, str]] = {}
    pages = tokens(path)
    heading = ""
    for before, token in pairwise(pages):
        if before.type == "heading_open" and before.tag == "h2":
            heading = token.content
            assert heading not in found, f"{name(path)}: two decisions are called {heading}"
            found[heading] = {}
        elif token.type == "inline" and before.type == "paragraph_open":
            label, separator, text = token.content.removeprefix("**").partition(":** ")
            assert heading, f"{name(path)}: text before the first decision"
            assert separator, f"{name(path)}: {heading}: this is no field: {token.content[:60]}"
            assert label not in found[heading], f"{name(path)}: {heading}: {label} is there twice"
            found[heading][label] = " ".join(text.split())
    return found


def test_the_readme_is_short_and_names_the_two_commands():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 120
    for command in ("bin/demo", "bin/test"):
        assert command in text
        assert os.access(ROOT / command, os.X_OK)


def test_contributing_is_short():
    assert len((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()) <= 80


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_prose_fits_into_100_columns(path):
    """Code and tables may be wider, and so may a line that is one link."""
    lines = path.read_text(encoding="utf-8").splitlines()
    wide = []
    for token in prose(path):
        begin, end = token.map or (0, 0)
        for number in range(begin, end):
            without_addresses = re.sub(r"\]\([^)\s]+\)", "]", lines[number])
            if len(without_addresses) > WIDTH:
                wide.append(f"{name(path)}:{number + 1}: {len(without_addresses)} columns")
    assert not wide


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_relative_links_resolve(path):
    broken = []
    for address in links(path):
        if re.match(r"[a-z]+:", address):
            continue
        file, _, fragment = address.partition("#")
        target = (path.parent / file).resolve() if file else path
        if not target.exists():
            broken.append(f"{address}: no such file")
        elif fragment and fragment not in anchors(target):
            broken.append(f"{address}: no such heading")
    assert not broken, f"{name(path)}: {broken}"


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_no_odd_words(path):
    found = [
        f"{name(path)}:{(token.map or (0,))[0] + 1}: {match[0]!r}; usual: {usual}"
        for token in prose(path)
        for odd, usual in ODD.items()
        for match in re.finditer(rf"\b{odd}\b", words(token), re.IGNORECASE)
    ]
    assert not found


def test_every_page_is_reachable_from_the_index():
    index = {(DOCS / address.partition("#")[0]).resolve() for address in links(DOCS / "README.md")}
    pages = {path for path in PAGES if path.parent == DOCS and path.name != "README.md"}
    assert not {name(path) for path in pages - index}


@pytest.mark.parametrize("path", SUBJECTS, ids=name)
def test_each_decision_has_its_five_fields(path):
    found = entries(path)
    assert found
    for heading, fields in found.items():
        assert tuple(fields) == FIELDS, f"{name(path)}: {heading}"
        assert all(fields.values()), f"{name(path)}: {heading}"
        assert re.fullmatch(r"\d{4}-\d{2}(-\d{2})?", fields["Date"]), f"{name(path)}: {heading}"
        assert STATUS.fullmatch(fields["Status"]), f"{name(path)}: {heading}"


def test_what_replaces_an_obsolete_decision_is_there_and_holds():
    every = {heading: fields for path in SUBJECTS for heading, fields in entries(path).items()}
    for heading, fields in every.items():
        status = STATUS.fullmatch(fields["Status"])
        if status and (by := status["by"]):
            assert every.get(by, {}).get("Status") == "accepted", f"{heading} is replaced by {by}"


def test_the_index_of_decisions_lists_each_once_and_marks_the_obsolete():
    wanted = []
    for path in SUBJECTS:
        for heading, fields in entries(path).items():
            mark = "" if fields["Status"] == "accepted" else " (obsolete)"
            wanted.append(f"- [{heading}]({path.name}#{anchor(heading)}){mark}")
    index = (DECISIONS / "README.md").read_text(encoding="utf-8").splitlines()
    assert sorted(line for line in index if line.startswith("- [")) == sorted(wanted)
