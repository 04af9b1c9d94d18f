"""The whole of a history as plain JSON types. Keys are stable; None is unknown."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pytest_deploygate.history.change import Deployment, Part
from pytest_deploygate.history.dora import DEFINITIONS, Dora, Median
from pytest_deploygate.history.figures import ItemTrend, Trend
from pytest_deploygate.history.folders import Note
from pytest_deploygate.history.reading import History
from pytest_deploygate.report.leaving import leaving


def plain(history: History) -> dict[str, Any]:
    """Return everything as plain JSON types; texts are masked as all that leaves."""
    return {
        "changes": [_part(part) for part in history.parts],
        "dora": [_dora(one) for one in history.dora],
        "items": [_item(one) for one in history.items],
        "folders": {"counted": history.folders, "notes": [_note(note) for note in history.notes]},
        "definitions": dict(DEFINITIONS),
    }


def _note(note: Note) -> dict[str, Any]:
    return {
        "folder": leaving(note.folder),
        "kind": note.kind.value,
        "counted": note.counted,
        "text": leaving(note.text),
    }


def _time(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _part(part: Part) -> dict[str, Any]:
    return {
        "change": leaving(part.change),
        "inventory": leaving(part.inventory),
        "folder": leaving(part.folder),
        "is_change": part.numbered,
        "first": _time(part.first),
        "last": _time(part.last),
        "runs": part.runs,
        "runs_without_end": part.unended,
        "deployment": _deployment(part.deployment),
    }


def _deployment(one: Deployment) -> dict[str, Any]:
    return {
        "state": one.state.value,
        "began": _time(one.began),
        "outcome": one.outcome or None,
        "decided_s": one.decided_s,
        "decided_by": leaving(one.ended_by) or None,
        "lead_s": one.lead_s,
        "lead_unknown": one.no_lead,
        "rolled_back": one.rolled_back,
        "incidents": [
            {
                "id": leaving(incident.id),
                "opened": _time(incident.opened),
                "decided_s": incident.decided_s,
                "restored_s": incident.restored_s,
            }
            for incident in one.incidents
        ],
    }


def _median(one: Median) -> dict[str, Any]:
    return {
        "median_s": one.seconds,
        "highest_s": one.highest,
        "known": one.known,
        "unknown": one.unknown,
        "why_unknown": one.why,
    }


def _dora(one: Dora) -> dict[str, Any]:
    return {
        "inventory": leaving(one.inventory),
        "changes": one.changes,
        "deployments": one.deployments,
        "not_settled": one.not_settled,
        "deployment_frequency": {
            "per_week": one.per_week,
            "first": _time(one.first),
            "last": _time(one.last),
            "why_unknown": one.why_per_week,
        },
        "lead_time_for_changes": _median(one.lead_time),
        "change_failure_rate": {
            "ratio": one.failure_rate,
            "failed": one.failed,
            "of": one.deployments,
            "why_unknown": one.why_failure_rate,
        },
        "time_to_restore": _median(one.restore) | {"open": one.open_incidents},
        "go_live_to_decision": _median(one.decision),
    }


def _item(one: ItemTrend) -> dict[str, Any]:
    return {
        "inventory": leaving(one.inventory),
        "item": leaving(one.item),
        "text": leaving(one.text),
        "phase": leaving(one.phase),
        "changes": one.changes,
        "runs": one.runs,
        "verdicts": {verdict.value: count for verdict, count in one.verdicts.items()},
        "last_verdict": one.last.value,
        "duration_s": _trend(one.seconds),
        "flakiness": {"ratio": one.unsteady, "changed": one.differing, "pairs": one.pairs},
        "held": {"decisions": one.held, "of": one.decided},
        "readings": [
            {
                "target": leaving(target),
                "name": leaving(name),
                "unit": leaving(unit),
                **_trend(trend),
            }
            for (target, name, unit), trend in one.readings.items()
        ],
    }


def _trend(trend: Trend) -> dict[str, Any]:
    return {
        "count": trend.count,
        "median": trend.median,
        "lowest": trend.low,
        "highest": trend.high,
        "last": trend.last,
        "moved": None if trend.moved is None else ("down", "no", "up")[trend.moved + 1],
        "because": trend.because,
        "grown": trend.grown if trend.slope else None,
        "by_change": [[_time(at), value] for at, value in trend.points],
    }
