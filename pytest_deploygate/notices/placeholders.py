"""What was meant to be filled in and was not: `[DATE]`, `{{ … }}`, `${DATE}`, TODO, XXX, `<name>`, HH:MM and the like."""

from __future__ import annotations

import re
from collections.abc import Iterator

_PLACEHOLDER = re.compile(
    r"\[[A-Z][A-Z0-9 _/-]*\]"
    r"|\{\{.*?(?:\}\}|$)|\}\}|\{%.*?(?:%\}|$)|%\}"
    r"|\$?\{[A-Za-z_][\w .-]*\}|%[A-Z][A-Z0-9_]+%"
    r"|(?i:\[(?:insert|enter|your|date|time|start|end|name|url|link|datum|uhrzeit|beginn|ende)\b[^\]\n]{0,30}\])"
    r"|\b(?:TODO|TBD|TBA|FIXME|XXX+|XX:XX|\d{1,2}:XX)\b"
    r"|\b(?:HH:MM|YYYY-MM-DD|(?:DD[./-]MM|MM[./-]DD)[./-]YYYY|TT\.MM\.JJJJ)\b"
    r"|\?\?:\?\?|\?{4,}|(?i:\blorem ipsum\b)"
    r"|<[A-Za-z][A-Za-z0-9 _-]*>"
    r"|_{4,}|\.{5,}"
)
_JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)


def found(text: str) -> Iterator[tuple[int, str]]:
    """Yield each placeholder of a text, with its line (from 1)."""
    for number, line in enumerate(text.splitlines(), start=1):
        for match in _PLACEHOLDER.finditer(line):
            yield number, match[0].strip()


def in_source(source: str, *, html: bool = False) -> Iterator[tuple[int, str]]:
    """Yield each placeholder of a template's own words, with its line: Jinja's expressions and HTML's tags are none."""
    words = _JINJA.sub(_blank, source)
    if html:
        words = re.sub(
            r"<style.*?</style>|<!--.*?-->|<!doctype[^>]*>", _blank, words, flags=re.DOTALL | re.IGNORECASE
        )
        words = _TAG.sub(_blank, words).replace("&lt;", "<").replace("&gt;", ">")
    yield from found(words)


#: Tags of HTML; `<name>` and `<date>` are not among them.
_TAG = re.compile(
    r"</?(?:html|head|body|title|meta|link|div|span|p|br|hr|a|b|i|u|em|strong|small|ul|ol|li|h[1-6]|table|thead|tbody|tr|td"
    r"|th|img|dl|dt|dd|pre|code|blockquote|header|footer|main|section|article|center|font)(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)


def _blank(match: re.Match[str]) -> str:
    """Keep the lines of what is left out, so that the numbers of lines stay."""
    return "\n" * match[0].count("\n")
