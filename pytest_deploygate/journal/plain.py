"""Findings and decisions as plain JSON types, as the journal stores them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from operator import attrgetter
from typing import Any

from pytest_deploygate.journal.errors import JournalError
from pytest_deploygate.model import (
    Decision,
    Distribution,
    Evidence,
    Figure,
    Finding,
    Line,
    Outcome,
    Reading,
    Rule,
    Series,
    Spans,
    Verdict,
)


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
        return Finding(
            item=plain["item"],
            target=plain["target"],
            verdict=Verdict(plain["verdict"]),
            reason=plain["reason"],
            test=plain["test"],
            at=datetime.fromisoformat(plain["at"]),
            duration_s=plain["duration_s"],
            readings=tuple(Reading(**reading) for reading in plain["readings"]),
            criterion=plain["criterion"],
            notes=tuple(plain["notes"]),
            evidence=tuple(Evidence(**evidence) for evidence in plain["evidence"]),
            deferred_to=plain["deferred_to"],
            confirmed=plain["confirmed"],
            figures=tuple(map(_figure, plain.get("figures", ()))),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise JournalError(f"a finding in the journal cannot be read: {error}") from None


def _figure(plain: Mapping[str, Any]) -> Figure:
    own = {key: value for key, value in plain.items() if key != "kind"}
    match plain["kind"]:
        case "distribution":
            return Distribution(**own | {"points": _frozen(own["points"])})
        case "series":
            return Series(
                **own | {"lines": tuple(Line(line["name"], _frozen(line["points"])) for line in own["lines"])}
            )
        case "spans":
            return Spans(**own | {"rows": _frozen(own["rows"])})
    raise ValueError(f"unknown kind of figure {plain['kind']!r}")


def _frozen(value: Any) -> Any:
    """Turn JSON's lists back into tuples."""
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value


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
        return Decision(
            outcome=Outcome(plain["outcome"]),
            scope=plain["scope"],
            exit_code=plain["exit_code"],
            rules=tuple(
                Rule(rule["name"], Outcome(rule["says"]), rule["because"], tuple(rule["items"]))
                for rule in plain["rules"]
            ),
            at=datetime.fromisoformat(plain["at"]),
            counts=dict(plain["counts"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise JournalError(f"a decision in the journal cannot be read: {error}") from None
