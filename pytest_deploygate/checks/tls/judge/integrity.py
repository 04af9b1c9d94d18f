"""Subresource integrity of a page's scripts, rated as Mozilla's Observatory does.

The Observatory compares registered domains by the public suffix list. Here a script belongs to the same site if its host
is the page's host, a parent of it, or a subdomain. A sibling (cdn.example.com for www.example.com) counts as external.
"""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import urlsplit

from pytest_deploygate.checks.tls.facts import Page

_HTML = ("text/html", "application/xhtml+xml")
#: Results for external scripts, the best first: the Observatory's own order.
_ORDER = ("sri-external-not-secure", "sri-missing-external", "sri-missing-external-not-secure")


class Markup(HTMLParser):
    """HTML as browsers read it: an unknown marked section (`<![x[`) is a comment. Some Python versions raise there."""

    def parse_marked_section(self, i: int, report: bool = True) -> int:
        """Skip to the end of a marked section."""
        return self.parse_bogus_comment(i, report)


class _Scripts(Markup):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect the attributes of a script."""
        if tag == "script":
            self.found.append({name: value or "" for name, value in attrs})


def integrity(page: Page, host: str) -> str:
    """Return the result of the subresource integrity test."""
    mime = (page.first("content-type") or "").split(";")[0].strip().lower()
    if mime and mime not in _HTML:
        return "sri-not-html"
    parser = _Scripts()
    parser.feed(page.body)
    if not parser.found:
        return "sri-no-scripts"
    loaded = [script for script in parser.found if script.get("src")]
    own = [script for script in loaded if _of_this_site(script["src"], host)]
    others = [script for script in loaded if script not in own]
    if wrong := set(_wrong_with(others)):
        return max(wrong, key=_ORDER.index)
    signed = any(script.get("integrity") and not script["src"].startswith("http:") for script in own)
    return "sri-all" if others or signed else "sri-own-scripts"


def _of_this_site(source: str, host: str) -> bool:
    if source.startswith("//"):
        return False
    if not source.startswith(("http://", "https://")):
        return True
    try:
        other = (urlsplit(source).hostname or "").lower()
    except ValueError:
        return False
    mine = host.lower()
    return other == mine or other.endswith(f".{mine}") or mine.endswith(f".{other}")


def _wrong_with(scripts: list[dict[str, str]]) -> Iterator[str]:
    for script in scripts:
        secure = script["src"].startswith("https://")
        if script.get("integrity"):
            if not secure:
                yield "sri-external-not-secure"
        else:
            yield "sri-missing-external" if secure else "sri-missing-external-not-secure"
