"""The site: it is built without a warning, is whole, shows pages as GitHub does, and needs no other host."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path

import click
import from_code
import pytest
from built_site import Page, Site, build
from chromium import browser  # noqa: F401 (a fixture)
from markdown_it.token import Token
from page_examples import ROOT, read
from playwright.sync_api import Browser

from pytest_deploygate.checklist.attestations import attestable
from pytest_deploygate.cli import main
from pytest_deploygate.lab.faults import all_faults
from pytest_deploygate.model import Item, Severity

DOCS = ROOT / "docs"
MADE = {"items", "reference"}
SOURCES = sorted(DOCS.rglob("*.md"))
SCHEMA = json.loads((ROOT / "inventories" / "inventory.schema.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return build(tmp_path_factory.mktemp("site"))


def built(source: Path) -> str:
    """Return the path on the site of a page of the repository."""
    path = source.relative_to(DOCS).with_suffix(".html")
    return (path.parent / "index.html" if path.stem == "README" else path).as_posix()


def test_it_is_built_without_a_warning(site: Site):
    assert not re.search("warning|error", site.said, re.IGNORECASE), site.said


def test_every_page_is_in_the_navigation(site: Site):
    """A page shows the way to its neighbours alone, so the way is followed from the first page on."""
    seen, left = set(), ["index.html"]
    while left:
        path = left.pop()
        if path not in seen:
            seen.add(path)
            page = site.pages[path]
            left += [target for href in page.navigation if (target := page.target(href)[0]) in site.pages]
    assert {built(source) for source in SOURCES} - seen == set()
    assert set(site.pages) - seen <= {"404.html"}


def test_every_link_of_the_site_leads_somewhere(site: Site):
    """Also those that MkDocs does not look at: of pages made from the code, and from a name in a sentence."""
    broken = []
    for page in site.pages.values():
        if page.path == "404.html":  # its addresses begin at the root of a server
            continue
        for address in page.links:
            path, anchor = page.target(address)
            if not path:
                continue
            if path in site.pages:
                if anchor and anchor not in site.pages[path].anchors:
                    broken.append(f"{page.path}: {address}: no such heading")
            elif not (site.folder / path).exists():
                broken.append(f"{page.path}: {address}: no such file")
    assert not broken


def test_nothing_is_loaded_from_another_host(site: Site):
    for page in site.pages.values():
        assert [one for one in page.loaded if re.match(r"(https?:)?//", one)] == [], page.path
    for sheet in site.folder.rglob("*.css"):
        found = re.findall(r"url\(\s*[\"']?((?:https?:)?//[^)]*)", sheet.read_text(encoding="utf-8"))
        assert not found, sheet


# Pages as GitHub shows them


def _inline(token: Token) -> str:
    return "".join(child.content for child in token.children or ())


def _as_on_github(source: Path) -> dict[str, object]:
    found = read(source)
    kinds = [token.type for token in found]
    headings = [_inline(found[i + 1]) for i, token in enumerate(found) if token.type == "heading_open"]
    return {
        "headings": [re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings],
        "items of lists": kinds.count("list_item_open"),
        "cells": kinds.count("td_open") + kinds.count("th_open"),
        "code": [token.content.strip() for token in found if token.type in ("fence", "code_block")],
        "bold": sum(c.type == "strong_open" for token in found for c in token.children or ()),
    }


def _on_the_site(page: Page) -> dict[str, object]:
    shown = page.article
    blocks = re.findall(r"<pre[^>]*>(.*?)</pre>", shown, re.DOTALL)
    headings = re.findall(r'<h\d id="([^"]*)"', shown)
    return {
        "headings": [
            re.sub(r"_\d+$", "", name) if name not in headings[:i] else name
            for i, name in enumerate(headings)
        ],
        "items of lists": len(re.findall(r"<li[ >]", shown)),
        "cells": len(re.findall(r"<t[dh][ >]", shown)),
        "code": [html.unescape(re.sub(r"<[^>]+>", "", block)).strip() for block in blocks],
        "bold": shown.count("<strong>"),
    }


@pytest.mark.parametrize("source", SOURCES, ids=built)
def test_a_page_is_read_as_on_github(source: Path, site: Site):
    """If it is not: in a list, the site wants paragraphs and code four columns in, and an empty line before them."""
    assert _on_the_site(site.pages[built(source)]) == _as_on_github(source)


# Pages made from the code


def _page(item: Item) -> str:
    return f"items/{item.phase}/{item.id}.html"


@pytest.mark.parametrize("item", from_code.checklist().items, ids=lambda item: item.id)
def test_an_item_has_its_page(item: Item, site: Site):
    words = site.pages[_page(item)].words
    assert item.text in words
    assert f"severity {item.severity.value}" in words
    for heading in ("What is measured", "Inventory keys", "Faults that it sees", "Exit codes"):
        assert heading in words
    bound = [test for test in from_code.tests() if item.id in test.function.items]
    assert all(test.name in words for test in bound)
    if not bound:
        assert (
            "Not measured by this version: attested by people." in words or "No test is bound to it." in words
        )
    assert ("Attested by people" in words) == attestable(item)
    assert [f.name for f in all_faults().values() if item.id in f.items and f.name not in words] == []
    failed = re.search(r"fail (GO|HOLD) (\d+)", words)
    assert failed
    assert failed[2] == ("0" if item.severity is Severity.MINOR else "1")


def test_exit_codes_of_a_rollback_are_on_pages_of_phases_with_users(site: Site):
    """A critical item can advise it, and only from go-live on."""
    advised = {
        item.id for item in from_code.checklist().items if "ROLLBACK 22" in site.pages[_page(item)].words
    }
    assert {"golive.errors", "golive.dns"} <= advised
    assert {i.phase for i in from_code.checklist().items if i.id in advised} & {
        "preflight",
        "phase2",
        "phase4",
    } == set()
    assert all(i.severity is Severity.CRITICAL for i in from_code.checklist().items if i.id in advised)


def test_an_item_names_its_keys_with_their_defaults(site: Site):
    words = site.pages["items/preflight/infra.dns-failover.html"].words
    assert "max_ttl duration 5m" in words
    assert "zone text required" in words


def _commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            if found := command.get_command(context, name):
                yield from _commands(found, f"{path} {name}")


def test_every_command_and_option_is_in_the_reference(site: Site):
    for path, command in list(_commands(main, "deploygate"))[1:]:
        if command.hidden:
            continue
        page = site.pages[f"reference/commands/{path.split()[1]}.html"]
        assert path in page.words
        options = [o for o in command.params if isinstance(o, click.Option) and not o.hidden]
        assert [o.opts for o in options if not all(name in page.words for name in o.opts)] == [], path


def test_every_option_of_the_plugin_is_in_the_reference(site: Site, pytestconfig: pytest.Config):
    words = site.pages["reference/pytest.html"].words
    group = pytestconfig._parser.getgroup("deploygate")
    names = [name for option in group.options for name in option.names()]
    assert len(names) > 10
    assert [name for name in names if name not in words] == []
    assert [phase.id for phase in from_code.checklist().phases if phase.id not in words] == []


def test_every_key_of_the_inventory_is_in_the_reference(site: Site):
    """Each section of the schema has a heading on one page, and each of its keys a row there."""
    pages = [page.words for path, page in site.pages.items() if path.startswith("reference/inventory/")]
    index = site.pages["reference/inventory/index.html"].words
    keys = [key for key, said in SCHEMA["properties"].items() if not said.get("deprecated")]
    assert [key for key in keys if f" {key} " not in index] == []
    assert len(SCHEMA["$defs"]) > 300
    for name, section in SCHEMA["$defs"].items():
        forms = (section, *section.get("anyOf", ()))
        said = next(({**form["properties"]} for form in forms if "properties" in form), None)
        if said is None:  # a text that stands for a section, such as `behind: none`
            continue
        keys = [key for key, one in said.items() if key != "only_where" and not one.get("deprecated")]
        assert any(all(f" {key} " in words for key in keys) for words in pages), name


# In a browser


def test_it_works_from_a_disk(site: Site, browser: Browser):  # noqa: F811
    """No server and no network: the search finds an item, and nothing is asked for elsewhere."""
    page = browser.new_page(viewport={"width": 390, "height": 844})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{(site.folder / 'items.html').as_uri()}?q=infra.dns-failover")
    page.locator(".md-search-result__link").first.wait_for(state="attached")
    results = page.locator(".md-search-result__link").evaluate_all("links => links.map(link => link.href)")
    wide = page.evaluate("document.documentElement.scrollWidth")
    page.close()
    assert any("infra.dns-failover.html" in result for result in results)
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert wide <= 390
