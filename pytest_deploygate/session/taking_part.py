"""The repository's hooks called when a run closes: for red items of a new incident, and for the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_deploygate.decision import standing
from pytest_deploygate.decision.incidents import Event, What
from pytest_deploygate.journal import Entry, Writer
from pytest_deploygate.model import Finding
from pytest_deploygate.redaction import redact
from pytest_deploygate.report import added
from pytest_deploygate.rollback.hooks import Hooks
from pytest_deploygate.session.incident import Line


def opened(writer: Writer, change: str, hooks: Hooks, events: Sequence[Event]) -> Iterator[Line]:
    """Notify people of an incident that this run opened, and have its red findings classified."""
    for event in events:
        if event.what is not What.OPENED:
            continue
        hooks.ask(
            "pytest_deploygate_notify", event="opened", text=f"{change}, {event.incident}: {event.reason}"
        )
        for finding in _red(writer.entries, event.items):
            for said in hooks.ask("pytest_deploygate_classify", finding=finding):
                about = f"{finding.item} {finding.target}".strip()
                words = redact(" ".join(str(said).split()))
                yield added.CLASSIFIED, {"item": finding.item, "said": words, "text": f"{about}: {words}"}


def _red(entries: Sequence[Entry], items: Sequence[str]) -> list[Finding]:
    results = [r for r in standing.results(entries) if r.item.id in items]
    return [f for result in results for f in result.findings if not f.verdict.good]


def sections(hooks: Hooks) -> Iterator[Line]:
    """Collect report sections from hooks; an answer that is not a title and text is rejected and reported."""
    for given in hooks.ask("pytest_deploygate_report_section"):
        if isinstance(given, tuple) and len(given) == 2 and all(isinstance(part, str) for part in given):
            yield added.SECTION, {"title": redact(given[0]), "text": redact(given[1])}
        else:
            hooks.complain(
                "pytest_deploygate_report_section", f"returned {given!r}, which is not a title and text"
            )
