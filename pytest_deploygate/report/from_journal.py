"""Build the record of a change from its journal alone, so that a report can be rendered again and compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_deploygate.decision import condensed, standing
from pytest_deploygate.decision.compose import ItemResult
from pytest_deploygate.decision.frame import scope_words
from pytest_deploygate.journal import (
    CHECKPOINT,
    CONDENSED,
    FILE,
    Entry,
    JournalError,
    Segment,
    readable,
    segments,
)
from pytest_deploygate.journal.typed import made
from pytest_deploygate.judging.spending import KIND
from pytest_deploygate.model import Weakening, words_for
from pytest_deploygate.moments import time_of
from pytest_deploygate.report import added, changes, gone_back, spending
from pytest_deploygate.report.record import (
    Contact,
    Event,
    Lines,
    Measured,
    Previous,
    Provenance,
    Record,
    Run,
    ShardRun,
)

#: Kinds of journal entries that have their own place in the report.
_PLACED = frozenset(
    {
        "run",
        "bound",
        "test",
        "decision",
        "end",
        CHECKPOINT,
        CONDENSED,
        standing.OTHERS,
        KIND,
        added.SECTION,
        added.CLASSIFIED,
    }
)
#: Keys that may describe an entry of an unknown kind; the first that it has is used.
_SAYS = ("text", "says", "what", "step", "reason", "because", "outcome")


@readable()
def build(entries: Sequence[Entry], composed: Sequence[ItemResult] | None = None) -> Record:
    """Return the record of the journal's last run, within all runs of the change. Raises JournalError.

    `composed` are the `standing.results` of these entries, if the caller has them already.
    """
    runs = segments(entries)
    results = standing.results(entries, runs) if composed is None else composed
    last = runs[-1]
    about = standing.frame(last.begin)
    bound = {item for items in (standing.bound_tests(entries, about.run) or {}).values() for item in items}
    weakenings = _weakenings(about)
    return Record(
        change=about.change,
        inventory=about.inventory,
        description=about.description,
        scope=about.expression,
        decision=last.decision,
        phases=about.phases,
        items=tuple(results),
        runs=tuple(_run(segment) for segment in runs),
        provenance=_provenance(last, about, entries[-1].sha256),
        weakenings=weakenings,
        windows=tuple((phase, start, end) for phase, (start, end) in about.windows.items()),
        planned=tuple(item.id for item in about.items if item.id not in bound),
        owners=tuple((str(item), str(owner)) for item, owner in last.begin.get("owners", ())),
        measured=tuple(_measured(runs)),
        events=tuple(_events(entries, runs)),
        roles=about.roles,
        contacts=tuple(made(Contact, contact) for contact in last.begin.get("contacts", ())),
        waivers=about.waivers,
        gone_back=gone_back.newest(entries, about.times),
        sections=tuple(added.sections(entries, about.run)),
        calls=added.calls(entries),
        ticket=str(last.begin.get("ticket") or ""),
        spent=tuple(spending.of_journal(entries, runs)),
        options=tuple(map(str, last.begin.get("options", ()))),
        shard=f"{about.shard[0]}/{about.shard[1]}" if about.shard else "",
        lines=_lines(last.begin),
        shards=tuple(_shard_run(one) for one in last.begin.get("shards", ())),
        previous=_previous(entries, runs, changes.Side(results, about.waivers, weakenings)),
    )


def _lines(begin: Mapping[str, Any]) -> Lines:
    found = begin.get("lines") or {}
    return Lines(
        str((begin.get("checklist") or {}).get("path", "")),
        str(found.get("file", "")),
        {str(name): int(line) for name, line in found.get("names", {}).items()},
        {str(item): int(line) for item, line in found.get("items", {}).items()},
        str(found.get("below", "")),
    )


def _weakenings(about: standing.Frame) -> tuple[Weakening, ...]:
    return (
        *about.weakenings,
        *(
            Weakening(f"{item} is declared not applicable: {why}", (item,))
            for item, why in about.not_applicable.items()
        ),
    )


def _provenance(last: Segment, about: standing.Frame, head: str) -> Provenance:
    versions = dict(last.begin.get("versions", {}))
    return Provenance(
        tool=f"pytest-deploygate {versions.get('pytest-deploygate', 'of unknown version')}",
        python=str(versions.get("python", "")),
        host=str(last.begin.get("host", "")),
        inventory_digest=about.inventory_sha256,
        checklist_digest=about.checklist_sha256,
        journal_head=head,
        journal_path=FILE,
        clock=_clock(last.begin.get("clock") or {}),
        user=str(last.begin.get("who", "")),
        records_from=str(last.begin.get("records_from") or ""),
        **_source(last.begin.get("source") or {}),
    )


def _source(seen: Mapping[str, Any]) -> dict[str, Any]:
    """Return what git said about the folder in which a run started; earlier versions did not ask."""
    return {
        "commit": str(seen.get("commit", "")),
        "branch": str(seen.get("branch", "")),
        "dirty": tuple(map(str, seen.get("dirty", ()))),
        "commit_unknown": str(seen.get("problem", "")),
    }


def _clock(seen: Mapping[str, Any]) -> str:
    """Say how far off the host's clock may be."""
    if seen.get("synchronised") is None:
        return "unknown: the kernel could not be asked"
    if not seen["synchronised"]:
        return "not synchronised, according to the kernel: times may differ from those of other hosts by any amount"
    offset, most = words_for(abs(float(seen["offset_s"]))), words_for(float(seen["max_error_s"]))
    return f"synchronised, offset {offset}, at most {most} off by the estimate of the kernel"


def _shard_run(said: Mapping[str, Any]) -> ShardRun:
    return ShardRun(
        index=int(said["index"]),
        host=str(said["host"]),
        who=str(said["who"]),
        started=time_of(said["started"]),
        ended=time_of(said["ended"]) if said["ended"] else None,
        tests=int(said["tests"]),
        head=str(said["head"]),
    )


def _run(segment: Segment) -> Run:
    return Run(
        started=segment.started,
        finished=segment.ended,
        who=str(segment.begin.get("who", "")),
        host=str(segment.begin.get("host", "")),
        versions=tuple(sorted((str(k), str(v)) for k, v in segment.begin.get("versions", {}).items())),
        interrupted=segment.ended is None,
        scope=scope_words(str(segment.begin.get("scope", "")), segment.begin.get("shard")),
        outcome=segment.decision.outcome if segment.decision else None,
        decided=segment.decision.at if segment.decision else None,
    )


def _measured(runs: Sequence[Segment]) -> Iterator[Measured]:
    """Yield the time of each run in each phase."""
    for segment in runs:
        for phase, start, end in condensed.measured(segment):
            yield Measured(phase, start, end)


def _events(entries: Sequence[Entry], runs: Sequence[Segment]) -> Iterator[Event]:
    """Yield what the tables of runs and items do not show: interrupted runs, and entries of other kinds."""
    for segment in runs:
        if segment.ended is None:
            text = f"the run of {segment.started:%H:%M:%S} UTC was interrupted"
            yield Event(segment.latest, "incident", text)
    for entry in entries:
        if entry.kind in gone_back.KINDS:
            if entry.kind != "platform" and entry.body.get("mark") != "intent":
                yield Event(entry.at, entry.kind, gone_back.said(entry))
        elif entry.kind not in _PLACED:
            said = next((str(entry.body[key]) for key in _SAYS if entry.body.get(key)), "")
            yield Event(entry.at, entry.kind, said)


def _previous(entries: Sequence[Entry], runs: Sequence[Segment], now: changes.Side) -> Previous | None:
    """Return the latest earlier run with items in common, and what changed since."""
    scope = {result.item.id for result in now.results if result.in_scope}
    for index in range(len(runs) - 2, -1, -1):
        segment = runs[index]
        if not scope & set(segment.begin.get("scope_items", ())):
            continue
        try:
            about = standing.frame(segment.begin)
            old: list[ItemResult] = standing.results(entries, runs[: index + 1])
        except JournalError:  # written by another version: this run must still be reported
            return None
        return Previous(
            started=segment.started,
            scope=about.expression,
            outcome=segment.decision.outcome if segment.decision else None,
            changes=changes.compare(
                changes.Side(old, about.waivers, _weakenings(about)), now, condensed.numbers(entries, segment)
            ),
        )
    return None
