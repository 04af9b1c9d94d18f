"""A run as a trace: what is in its spans, from the journal alone. Ids are digests, so a run is always the same trace."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from enum import Enum

from pytest_deploygate import journal
from pytest_deploygate.decision import incident_log
from pytest_deploygate.decision.unfinished import ROLLBACK
from pytest_deploygate.journal import Entry, readable
from pytest_deploygate.journal.typed import listed, text
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Decision, Finding, Outcome, Verdict
from pytest_deploygate.report.leaving import leaving
from pytest_deploygate.report.words import shortened

#: The most of a reason: backends cut or refuse longer texts.
_REASON = 1000


class Status(Enum):
    """The status of a span. Only a pass or an attestation is good; what is unknown is not."""

    UNSET = "unset"
    GOOD = "good"
    BAD = "bad"


_STATUS = {
    Verdict.PASS: Status.GOOD,
    Verdict.ATTESTED: Status.GOOD,
    Verdict.WAIVED: Status.UNSET,
    Verdict.NOT_APPLICABLE: Status.UNSET,
}
Value = str | bool | int | float


@dataclass(frozen=True)
class Event:
    """Something that happened at a time within a span."""

    name: str
    at: datetime
    attributes: dict[str, Value]


@dataclass(frozen=True)
class Span:
    """One span; the first of a run is the parent of the others."""

    id: int
    name: str
    start: datetime
    end: datetime
    status: Status
    said: str
    attributes: dict[str, Value]
    events: tuple[Event, ...] = ()


@dataclass(frozen=True)
class Trace:
    """One run. `ended` is false for a run that was killed, or goes on."""

    run: str
    id: int
    ended: bool
    root: Span
    spans: tuple[Span, ...]


@readable()
def traces(entries: Sequence[Entry]) -> list[Trace]:
    """Return every run of a journal, oldest first. Raises JournalError."""
    begun = [entry for entry in entries if entry.kind == "run"]
    ends = [entry.seq for entry in begun[1:]] + [entries[-1].seq + 1 if entries else 0]
    return [
        _trace(first, [entry for entry in entries if first.seq <= entry.seq < end])
        for first, end in zip(begun, ends, strict=True)
    ]


def _trace(first: Entry, mine: Sequence[Entry]) -> Trace:
    begin, run = first.body, text(first.body["run"])
    phases = {text(item["id"]): text(item["phase"]) for item in listed(begin["checklist"]["items"])}
    shared: dict[str, Value] = {
        "deploygate.run": run,
        "deploygate.change": leaving(text(begin["change"])),
        "deploygate.inventory": leaving(text(begin["inventory"]["name"])),
    }
    # What a test measured before the run's first line (a clock that stepped) must not begin before its parent.
    spans = tuple(_spans(run, mine, phases, shared))
    decisions = [
        journal.decision_from_json(entry.body["decision"]) for entry in mine if entry.kind == "decision"
    ]
    ended = [entry for entry in mine if entry.kind == "end"]
    last = ended[0].at if ended else max(entry.at for entry in mine)
    decision = decisions[-1] if decisions else None
    source = begin.get("source") or {}
    scope = leaving(text(begin["scope"])) or "the whole checklist"
    about: dict[str, Value] = {
        **shared,
        "deploygate.scope": scope,
        "deploygate.ended": bool(ended),
        **_decided(decision),
        **({"vcs.ref.head.revision": text(source["commit"])} if source.get("commit") else {}),
    }
    root = Span(
        id=_id(8, run, "root"),
        name=f"deploygate {scope}",
        start=min([first.at, *(span.start for span in spans)]),
        end=max([last, *(span.end for span in spans)]),
        status=Status.GOOD if decision and decision.outcome is Outcome.GO else Status.BAD,
        said=_why(decision),
        attributes=about,
        events=tuple(_events(mine)),
    )
    return Trace(run, _id(16, run, "trace"), bool(ended), root, spans)


def _spans(
    run: str, mine: Sequence[Entry], phases: dict[str, str], shared: dict[str, Value]
) -> Iterator[Span]:
    for entry in mine:
        if entry.kind == "test":
            for number, finding in enumerate(entry.findings):
                yield _span(run, f"{entry.seq}.{number}", finding, phases.get(finding.item, ""), shared)


def _span(run: str, place: str, finding: Finding, phase: str, shared: dict[str, Value]) -> Span:
    status = _STATUS.get(finding.verdict, Status.BAD)
    return Span(
        id=_id(8, run, place),
        name=leaving(finding.item),
        start=finding.at - timedelta(seconds=max(0.0, finding.duration_s)),
        end=finding.at,
        status=status,
        said=shortened(leaving(finding.reason), _REASON) if status is Status.BAD else "",
        attributes={
            **shared,
            "deploygate.item": leaving(finding.item),
            "deploygate.verdict": finding.verdict.value,
            "deploygate.target": leaving(finding.target),
            "deploygate.phase": leaving(phase),
            "deploygate.confirmed": finding.confirmed,
            "test.case.name": leaving(finding.test),
        },
    )


def _decided(decision: Decision | None) -> dict[str, Value]:
    if decision is None:
        return {"deploygate.decision": "none"}
    counts: dict[str, Value] = {
        f"deploygate.items.{verdict.value}": decision.counts.get(verdict.value, 0) for verdict in Verdict
    }
    return {
        "deploygate.decision": decision.outcome.value,
        "deploygate.exit_code": decision.exit_code,
        **counts,
    }


def _why(decision: Decision | None) -> str:
    if decision is None:
        return "the run ended without a decision, or goes on"
    if decision.outcome is Outcome.GO:
        return ""
    because = "; ".join(rule.because for rule in decision.rules if rule.says is not Outcome.GO)
    return shortened(leaving(f"{decision.outcome.value}: {because}"), _REASON)


def _events(mine: Sequence[Entry]) -> Iterator[Event]:
    """Yield decisions, what happened to incidents, and steps of a rollback."""
    for entry in mine:
        if entry.kind == "decision":
            outcome = journal.decision_from_json(entry.body["decision"]).outcome.value
            yield Event("decision", entry.at, {"deploygate.decision": outcome})
        elif entry.kind == incident_log.KIND:
            event = incident_log.event(entry)
            about: dict[str, Value] = {
                "deploygate.incident": leaving(event.incident),
                "deploygate.by": leaving(event.by),
            }
            yield Event(f"incident {event.what.value}", entry.at, about)
        elif entry.kind == ROLLBACK:
            step = leaving(text(entry.body.get("step", "")))
            yield Event(
                f"rollback {leaving(text(entry.body['mark']))}",
                entry.at,
                {"deploygate.step": step} if step else {},
            )


def _id(size: int, *parts: str) -> int:
    """Return an id of so many bytes, never 0, which would be no id."""
    found = int.from_bytes(hashlib.sha256("\n".join(("deploygate", *parts)).encode()).digest()[:size])
    return found or 1
