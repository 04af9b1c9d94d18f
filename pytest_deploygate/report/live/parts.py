"""The live page as text, in parts: a change of the journal renders and sends only those that it changes."""

from __future__ import annotations

import dataclasses
import functools
from datetime import datetime
from typing import Any

from pytest_deploygate.report import html
from pytest_deploygate.report.live.page import Live

#: The parts in the order of the page; each is a macro of `live.html.j2`. Phases are parts of their own.
NAMES = ("top", "said", "clock", "back", "red", "phases", "newest", "signers")


class Parts:
    """The rendered parts of a page that changes, and the number of the page with which each came."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._made: dict[str, tuple[int, str]] = {}

    def update(self, live: Live, number: int) -> bool:
        """Render what is another than on the page before; tell whether anything is."""
        values = _values(live)
        other = [
            name for name, value in values.items() if name not in self._values or self._values[name] != value
        ]
        for name in self._made.keys() - values.keys():
            del self._made[name]
        self._values = values
        self._made |= {name: (number, _rendered(name, values[name], live)) for name in other}
        return bool(other)

    def since(self, number: int) -> dict[str, str]:
        """Return the parts that came after the page of a number; those that hold others come first."""
        return {name: text for name, (made, text) in sorted(self._made.items()) if made > number}


def _values(live: Live) -> dict[str, Any]:
    """Return what each part is made of."""
    rows = {f"phases-{number}": row for number, row in enumerate(live.rows)}
    return {
        "top": live.top,
        "said": (live.problem, live.notes),
        "clock": (live.clock, live.clock_over),
        "back": live.back,
        "red": live.red,
        "phases": tuple(row.title for row in live.rows),
        "newest": live.newest if live.red else None,
        "signers": live.signers,
        **rows,
    }


def _rendered(name: str, value: Any, live: Live) -> str:
    macros: Any = html.template("live.html.j2").module
    if name.startswith("phases-"):
        return str(macros.phase(value)).strip()
    return str(getattr(macros, name)(live)).strip()


def document(live: Live, change: str, now: datetime) -> str:
    """Return the whole page. Without script it reloads itself every five seconds."""
    css, script = sheets()
    fresh = dataclasses.replace(live, now=now)
    parts = {name: _rendered(name, None, fresh) for name in NAMES}
    return html.template("live_page.html.j2").render(parts=parts, change=change, style=css, script=script)


@functools.cache
def sheets() -> tuple[str, str]:
    """Return the style sheet, which is the report's and what the live page adds, and the script."""
    return html.style()[0] + html.source("live.css"), html.source("live.js")


@functools.cache
def policy() -> str:
    """Return the Content-Security-Policy of the page: its own style and script, its own events, and nothing else."""
    css, script = (html.digest(text) for text in sheets())
    return (
        f"default-src 'none'; style-src 'sha256-{css}'; script-src 'sha256-{script}'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
