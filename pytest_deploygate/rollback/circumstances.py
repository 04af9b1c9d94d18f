"""What a rollback depends on besides findings, measured when a critical item fails after go-live began.

Is the old side healthy now? Is the gate itself blind? Was it red before the change? What is not known stays unknown,
and unknown never allows a rollback.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytest_deploygate.checks.way_back.section.rollback import Rollback
from pytest_deploygate.clients import reach
from pytest_deploygate.clients.http import health as endpoints
from pytest_deploygate.clients.http.health import Seen
from pytest_deploygate.rollback import baseline

#: If this many unrelated targets are silent at once, the problem is on our side.
_BLIND_FROM = 2


def gather(section: Rollback, folder: Path, inventory: str) -> dict[str, Any]:
    """Measure now; `folder` is the change's own. Return the body of a `circumstances` line (plain JSON types).

    `old_side_healthy` and `blind` are true, false or null (not known); `red_before` and `measured_before` are item ids
    of the baseline, null without one.
    """
    old = endpoints.look(section.old_side or [])
    controls = endpoints.look(section.controls or [])
    before = baseline.usable(section, folder, inventory)
    return {
        "old_side_healthy": _healthy(old),
        "old_side": _said(old),
        "blind": _blind(controls),
        "controls": _said(controls),
        "red_before": list(before.red) if before and not before.problem else None,
        "measured_before": list(before.measured) if before and not before.problem else None,
        "baseline": baseline.words(before),
    }


def _healthy(old: Sequence[Seen]) -> bool | None:
    """None without endpoints, or if our own side is the only reason why one of them is not good."""
    bad = [seen for seen in old if not seen.good]
    if not old or (bad and all(reach.why_ours_in(seen.said) for seen in bad)):
        return None
    return not bad


def _blind(controls: Sequence[Seen]) -> bool | None:
    """True when several controls are silent at once; None without controls."""
    if not controls:
        return None
    silent = sum(not seen.reached for seen in controls)
    return silent >= min(_BLIND_FROM, len(controls))


def _said(found: Sequence[Seen]) -> list[dict[str, str]]:
    return [{"name": seen.name, "where": seen.where, "said": seen.said} for seen in found]
