"""What a rollback depends on beside the findings, measured when a critical item failed after go-live began.

Is the old side healthy now? Are we blind? Was it red before the change? What is not known stays unknown, and unknown
never allows a rollback.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytest_deploygate import journal
from pytest_deploygate.decision import standing
from pytest_deploygate.inventory.rollback import Rollback
from pytest_deploygate.journal import JournalError
from pytest_deploygate.model import Verdict
from pytest_deploygate.probes import endpoints
from pytest_deploygate.probes.endpoints import Seen

#: So many unrelated things silent at once mean that it is us.
_BLIND_FROM = 2
_MEASURED = (Verdict.PASS, Verdict.FAIL, Verdict.WAIVED, Verdict.ATTESTED)


def gather(section: Rollback, folder: Path) -> dict[str, Any]:
    """Look now; `folder` is the change's own. Return the body of a `circumstances` line (plain JSON types).

    `old_side_healthy` and `blind` are true, false or null (not known); `red_before` and `measured_before` are item ids
    of the baseline, null without one.
    """
    old = endpoints.look(section.old_side or [])
    controls = endpoints.look(section.controls or [])
    red, measured, why = _baseline(section.baseline, folder)
    return {
        "old_side_healthy": all(seen.good for seen in old) if old else None,
        "old_side": _said(old),
        "blind": _blind(controls),
        "controls": _said(controls),
        "red_before": red,
        "measured_before": measured,
        "baseline": why,
    }


def _blind(controls: Sequence[Seen]) -> bool | None:
    """True when several controls are silent at once; None without controls."""
    if not controls:
        return None
    silent = sum(not seen.reached for seen in controls)
    return silent >= min(_BLIND_FROM, len(controls))


def _said(found: Sequence[Seen]) -> list[dict[str, str]]:
    return [{"name": seen.name, "where": seen.where, "said": seen.said} for seen in found]


def _baseline(change: str | None, folder: Path) -> tuple[list[str] | None, list[str] | None, str]:
    """Return what was red and what was measured in the baseline's change, and what to say of it."""
    if change is None:
        return None, None, "the inventory names no rollback.baseline"
    if folder.name == change:
        return None, None, f"{change} is the baseline itself"
    try:
        entries, _ = journal.read(folder.parent / change)
        results = standing.results(entries)
    except JournalError as error:
        return None, None, f"the baseline {change} cannot be used: {error}"
    red = [result.item.id for result in results if result.verdict is Verdict.FAIL]
    measured = [result.item.id for result in results if result.verdict in _MEASURED]
    return red, measured, f"change {change}, {len(measured)} items measured"
