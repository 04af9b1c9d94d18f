"""The record of a change, from its journal alone: what is rendered now can be rendered again and compared."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_deploygate.decision import standing
from pytest_deploygate.journal import FILE, Entry, Segment, segments
from pytest_deploygate.report.record import Provenance, Record, Run


def build(entries: Sequence[Entry]) -> Record:
    """Return the record of the journal's last run, within all runs of the change. Raises JournalError."""
    results = standing.results(entries)
    runs = segments(entries)
    last = runs[-1]
    about = standing.frame(last.begin)
    bound = {item for items in (standing.bound_tests(entries, about.run) or {}).values() for item in items}
    versions = dict(last.begin.get("versions", {}))
    return Record(
        change=about.change,
        inventory=about.inventory,
        description=about.description,
        scope=about.expression,
        decision=last.decision,
        phases=about.phases,
        items=tuple(results),
        runs=tuple(_run(segment) for segment in runs),
        provenance=Provenance(
            tool=f"pytest-deploygate {versions.get('pytest-deploygate', 'of unknown version')}",
            python=str(versions.get("python", "")),
            host=str(last.begin.get("host", "")),
            inventory_digest=about.inventory_sha256,
            checklist_digest=about.checklist_sha256,
            journal_head=entries[-1].sha256,
            journal_path=FILE,
        ),
        weakenings=(
            *about.weakenings,
            *(f"{item} is declared not applicable: {why}" for item, why in about.not_applicable.items()),
        ),
        windows=tuple((phase, start, end) for phase, (start, end) in about.windows.items()),
        planned=tuple(item.id for item in about.items if item.id not in bound),
    )


def _run(segment: Segment) -> Run:
    return Run(
        started=segment.started,
        finished=segment.ended,
        who=str(segment.begin.get("who", "")),
        host=str(segment.begin.get("host", "")),
        versions=tuple(sorted((str(k), str(v)) for k, v in segment.begin.get("versions", {}).items())),
        interrupted=segment.ended is None,
        scope=str(segment.begin.get("scope", "")),
    )
