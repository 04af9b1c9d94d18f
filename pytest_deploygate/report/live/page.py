"""What the live page shows of a change, and the page as text. Its size does not grow with the checklist."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from datetime import datetime

from pytest_deploygate.decision.compose import ItemResult
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Phase, Verdict
from pytest_deploygate.report import ending, html, signing, words
from pytest_deploygate.report.ending import Ending, Look
from pytest_deploygate.report.live.following import Seen
from pytest_deploygate.report.record import Record

#: Items shown with their reason, items of a phase that are named, and the newest findings that are listed.
RED, NAMED, NEWEST = 40, 30, 12
#: Red comes first; then what cannot be told, then what nothing covered.
_RED_FIRST = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.NOT_COVERED)


@dataclass(frozen=True)
class Row:
    """A phase with its items in scope. `waiting` are those that the run that goes on has not reached."""

    phase: Phase
    total: int
    tally: tuple[tuple[Verdict, int], ...]
    waiting: int
    items: tuple[ItemResult, ...]


@dataclass(frozen=True)
class Live:
    """The page's contents, computed from what was seen of the journal at a time."""

    seen: Seen
    ending: Ending
    red: tuple[ItemResult, ...] = ()
    red_total: int = 0
    rows: tuple[Row, ...] = ()
    newest: tuple[tuple[datetime, ItemResult], ...] = ()
    total: int = 0
    done: int = 0
    signers: tuple[signing.Signer, ...] = ()


def live(seen: Seen, now: datetime) -> Live:
    """Compute the page. What is unknown is never shown as GO: a damaged journal, a run that goes on, an expired decision."""
    record = seen.record
    if record is None:
        return Live(
            seen, Ending("CANNOT TELL", "Nothing is known of this change: do not proceed.", Look.NONE)
        )
    scope = [r for r in record.items if r.in_scope]
    waits = {r.item.id for r in scope if seen.running and not r.findings and r.verdict is Verdict.NOT_COVERED}
    red = sorted(
        (r for r in scope if r.verdict in _RED_FIRST and r.item.id not in waits and not r.deferred_to),
        key=lambda r: (
            _RED_FIRST.index(r.verdict),
            r.item.severity.value != "critical",
            r.item.severity.value != "major",
        ),
    )
    found = sorted(((max(f.at for f in r.findings), r) for r in scope if r.findings), key=lambda one: one[0])
    return Live(
        seen,
        _ending(seen, record, now, sum(r.verdict is Verdict.FAIL for r in scope)),
        tuple(red[:RED]),
        len(red),
        tuple(_row(phase, [r for r in scope if r.item.phase == phase.id], waits) for phase in record.phases),
        tuple(reversed(found[-NEWEST:])),
        len(scope),
        len(scope) - len(waits),
        signing.signers(record),
    )


def _ending(seen: Seen, record: Record, now: datetime, failed: int) -> Ending:
    if seen.running:
        so_far = f"{words.count(failed, 'item')} failed so far. " if failed else ""
        return Ending(
            "RUNNING", f"{so_far}Nothing is decided yet: do not proceed.", Look.HOLD if failed else Look.NONE
        )
    said = ending.of(record)
    if said.look in {Look.GO, Look.WAIVED} and expired(seen, now):
        return Ending(
            f"{said.headline} EXPIRED",
            "The decision is too old to go on with: run the phase again.",
            Look.NONE,
        )
    return said


def expired(seen: Seen, now: datetime) -> bool:
    """Tell whether the decision that is shown is no longer valid."""
    return seen.valid_until is not None and seen.valid_until <= now


def _row(phase: Phase, mine: Sequence[ItemResult], waits: set[str]) -> Row:
    reached = [r for r in mine if r.item.id not in waits]
    bad_first = sorted(reached, key=lambda r: r.verdict.good)
    return Row(
        phase,
        len(mine),
        words.tally(r.verdict for r in reached),
        len(mine) - len(reached),
        (*bad_first, *(r for r in mine if r.item.id in waits))[:NAMED],
    )


def fragment(seen: Seen, now: datetime) -> str:
    """Return what is inside of the page's body and changes. All values are escaped."""
    shown = live(seen, now)
    waits = not seen.record or seen.running
    return html.template("live.html.j2").render(
        live=shown, record=seen.record, now=now, waits=waits, clock_over=seen.clock and seen.clock.until <= now,
        stale=expired(seen, now),
    )  # fmt: skip


def document(inside: str, change: str) -> str:
    """Return the whole page. Without script it reloads itself every five seconds."""
    css, script = sheets()
    return html.template("live_page.html.j2").render(inside=inside, change=change, style=css, script=script)


@functools.cache
def sheets() -> tuple[str, str]:
    """Return the style sheet, which is the report's and what the live page adds, and the script."""
    return html.style()[0] + html.source("live.css"), html.source("live.js")


def policy() -> str:
    """Return the Content-Security-Policy of the page: its own style and script, its own events, and nothing else."""
    css, script = (html.digest(text) for text in sheets())
    return (
        f"default-src 'none'; style-src 'sha256-{css}'; script-src 'sha256-{script}'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
