"""Findings and decisions as plain JSON types, as the journal stores them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import cache
from operator import attrgetter
from typing import Any

from pytest_deploygate.journal.errors import ODD, JournalError
from pytest_deploygate.journal.typed import listed, made, text
from pytest_deploygate.model import (
    Decision,
    Distribution,
    Evidence,
    Figure,
    Finding,
    Grid,
    Line,
    Outcome,
    Picture,
    Places,
    Reading,
    Rule,
    Series,
    Shares,
    Spans,
    Takeover,
    Verdict,
)
from pytest_deploygate.moments import number_of, time_of


def finding_to_json(finding: Finding) -> dict[str, Any]:
    """Return a finding as the journal stores it: plain JSON types, times in ISO 8601."""
    # Not dataclasses.asdict, which copies every value: a run does this for each finding.
    return _shallow(finding) | {
        "at": finding.at.isoformat(),
        "verdict": finding.verdict.value,
        "readings": [_shallow(reading) for reading in finding.readings],
        "notes": list(finding.notes),
        "evidence": list(map(_evidence, finding.evidence)),
        "figures": [
            dataclasses.asdict(figure) | {"kind": type(figure).__name__.lower()} for figure in finding.figures
        ],
    }


def _evidence(one: Evidence) -> dict[str, str]:
    plain = {"path": one.path, "sha256": one.sha256, "title": one.title}
    return plain | {"content": one.content} if one.content else plain


def _shallow(value: Any) -> dict[str, Any]:
    kind: type = type(value)
    names, values = _fields(kind)
    return dict(zip(names, values(value), strict=True))


@cache
def _fields(kind: type) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]:
    """Return the names of a dataclass with two or more fields, and a function that returns their values."""
    names = tuple(field.name for field in dataclasses.fields(kind))
    return names, attrgetter(*names)


def finding_from_json(plain: Mapping[str, Any]) -> Finding:
    """Read a finding back. Raises JournalError for anything else."""
    try:
        known = {name: plain[name] for name in _fields(Finding)[0] if name in plain or name != "figures"}
        return made(
            Finding,
            known,
            verdict=Verdict(plain["verdict"]),
            readings=tuple(made(Reading, reading) for reading in listed(plain["readings"])),
            evidence=tuple(made(Evidence, evidence) for evidence in listed(plain["evidence"])),
            figures=tuple(map(_figure, listed(plain.get("figures", ())))),
        )
    except ODD as error:
        raise JournalError(f"a finding in the journal cannot be read: {error}") from None


def _figure(plain: Mapping[str, Any]) -> Figure:
    own = {key: value for key, value in plain.items() if key != "kind"}
    match plain["kind"]:
        case "distribution":
            points = tuple((number_of(value), number_of(share)) for value, share in listed(own["points"]))
            return made(Distribution, own, points=points)
        case "series":
            lines = tuple(Line(text(line["name"]), _points(line["points"])) for line in listed(own["lines"]))
            return made(Series, own | {"start": _start(own)}, lines=lines)
        case "spans":
            rows = tuple(
                (text(name), tuple(map(_span, listed(spans)))) for name, spans in listed(own["rows"])
            )
            return made(Spans, own | {"start": _start(own)}, rows=rows)
        case "shares":
            return made(Shares, own, rows=tuple(map(_shares, listed(own["rows"]))))
        case "places":
            places = tuple(
                (text(name), tuple(int(number_of(n)) for n in listed(counts)))
                for name, counts in listed(own["rows"])
            )
            return made(Places, own, rows=places)
        case "grid":
            fields = tuple(
                (text(name), tuple(map(_field, listed(own_)))) for name, own_ in listed(own["rows"])
            )
            columns = tuple(map(text, listed(own["columns"])))
            return made(Grid, own, columns=columns, rows=fields)
        case "takeover":
            nodes = tuple(
                (text(name), tuple(map(_time, listed(own_)))) for name, own_ in listed(own["writable"])
            )
            counts = tuple(int(number_of(each)) for each in listed(own["per_100ms"]))
            return made(Takeover, own | {"start": _start(own)}, writable=nodes, per_100ms=counts)
        case "picture":
            return made(Picture, own)
    raise ValueError(f"unknown kind of figure {plain['kind']!r}")


def _points(plain: Any) -> tuple[tuple[float, float | None], ...]:
    return tuple((number_of(at), None if value is None else number_of(value)) for at, value in listed(plain))


def _span(plain: Any) -> tuple[float, float, str]:
    begin, end, state = plain
    return number_of(begin), number_of(end), text(state)


def _field(plain: Any) -> tuple[str, str]:
    look, said = plain
    return text(look), text(said)


def _time(plain: Any) -> tuple[float, float]:
    begin, end = plain
    return number_of(begin), number_of(end)


def _shares(plain: Any) -> tuple[str, tuple[tuple[str, int], ...], float | None]:
    group, counts, least = plain
    counted = tuple((text(state), int(number_of(number))) for state, number in listed(counts))
    return text(group), counted, None if least is None else number_of(least)


def _start(plain: Mapping[str, Any]) -> str:
    """Return when a figure begins; empty if it is not known. Raises TypeError, ValueError."""
    if start := plain.get("start", ""):
        time_of(start)
    return text(start)


def decision_to_json(decision: Decision) -> dict[str, Any]:
    """Return a decision as the journal and verdicts.json store it."""
    plain = dataclasses.asdict(decision)
    plain["at"] = decision.at.isoformat()
    plain["outcome"] = decision.outcome.value
    for rule in plain["rules"]:
        rule["says"] = str(rule["says"])
    return plain


def decision_from_json(plain: Mapping[str, Any]) -> Decision:
    """Read a decision back. Raises JournalError for anything else."""
    try:
        rules = tuple(made(Rule, rule, says=Outcome(rule["says"])) for rule in listed(plain["rules"]))
        counts = {text(name): int(number_of(count)) for name, count in dict(plain["counts"]).items()}
        known = {name: plain[name] for name in _fields(Decision)[0]}
        return made(Decision, known, outcome=Outcome(plain["outcome"]), rules=rules, counts=counts)
    except ODD as error:
        raise JournalError(f"a decision in the journal cannot be read: {error}") from None
