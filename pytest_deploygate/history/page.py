"""The history as one page without script, in the report's look."""

from __future__ import annotations

from pytest_deploygate import __version__
from pytest_deploygate.history import rows, view
from pytest_deploygate.history.change import State
from pytest_deploygate.history.dora import DEFINITIONS
from pytest_deploygate.history.folders import Kind
from pytest_deploygate.history.reading import History
from pytest_deploygate.report import html, size
from pytest_deploygate.report.leaving import plain

_STYLE_GOES_HERE = "/*style*/"
#: Numbers of each item, items and changes that are shown: the first of these that fits is taken.
_ROOM = ((12, 2000, 1000), (4, 2000, 1000), (1, 1000, 500), (0, 500, 300), (0, 100, 100))
#: The fewest bytes of an item, of one of its numbers, and of a change.
_ITEM, _NUMBER, _CHANGE = 400, 200, 200
NAMES = {
    "deployment": "Deployment",
    "deployment_frequency": "Deployment frequency",
    "lead_time_for_changes": "Lead time for changes",
    "change_failure_rate": "Change failure rate",
    "time_to_restore": "Time to restore",
    "go_live_to_decision": "Go-live to decision",
    "flakiness": "Steadiness",
    "held": "Held",
}


def render(history: History) -> str:
    """Return the page. Equal histories give equal bytes; it stays under `size.LIMIT` bytes and says what is left out."""
    text = ""
    for room in _ROOM:
        if _least(history, *room) > size.LIMIT and room != _ROOM[-1]:
            continue
        text = _finished(history, *room)
        if len(text.encode()) < size.LIMIT:
            break
    return text


def _least(history: History, numbers: int, most_items: int, most_changes: int) -> int:
    """Return what the page has at least in bytes, so that it is not rendered in vain."""
    numbered = [min(len(one.readings), numbers) + 1 if numbers else 0 for one in history.items[:most_items]]
    return _ITEM * len(numbered) + _NUMBER * sum(numbered) + _CHANGE * min(len(history.parts), most_changes)


def _finished(history: History, numbers: int, most_items: int, most_changes: int) -> str:
    css = html.style()[0] + html.source("history.css")
    shown, left_out = rows.item_rows(history, numbers, most_items)
    changes = view.change_rows(history.parts)
    states = [part.deployment.state for part in history.parts if part.numbered]
    body = html.template("history.html.j2").render(
        style=_STYLE_GOES_HERE,
        style_digest=html.digest(css),
        tool=f"pytest-deploygate {__version__}",
        first=min((part.first for part in history.parts), default=None),
        last=max((part.last for part in history.parts), default=None),
        deployments=sum(state in (State.SUCCEEDED, State.FAILED) for state in states),
        failed=states.count(State.FAILED),
        unsettled=states.count(State.UNSETTLED),
        folders=history.folders,
        notes=view.notes(history),
        damaged=sum(note.kind is Kind.DAMAGED for note in history.notes),
        inventories=view.inventories(history),
        standing_out=rows.standing_out(history),
        rows=shown,
        left_out=left_out,
        numbers=numbers,
        changes=changes[:most_changes],
        changes_left_out=max(0, len(changes) - most_changes),
        definitions=[(NAMES[key], text.split("`")) for key, text in DEFINITIONS.items()],
    )
    return plain(body).replace(_STYLE_GOES_HERE, css, 1)
