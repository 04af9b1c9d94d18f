"""What `deploygate load --writes` prints and writes down."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytest_deploygate.checks.data_loss.facts import Steadily, Written
from pytest_deploygate.model import Judgement, words_for
from pytest_deploygate.redaction import redact_values
from pytest_deploygate.session.gate import plain

#: From this share of a processor on, the rate is this command's own limit.
_BUSY = 0.85
#: A rate is reached if it was at least this share of what was asked for.
_REACHED = 0.95


def limit(ran: Steadily) -> str:
    """Say what limited the rate: the plan, this command, or the server and the way to it."""
    said = f"{ran.per_s:,.0f} acknowledged writes a second, {ran.asked_per_s:,.0f} asked for"
    if ran.per_s >= _REACHED * ran.asked_per_s:
        return said
    if ran.busy >= _BUSY:
        return f"{said}: this command was busy {ran.busy:.0%} of the time, so the limit is its own; run it on several machines"
    return f"{said}: this command was busy only {ran.busy:.0%} of the time, so the limit is the server's, or the way's to it"


def text(found: Written, judged: Judgement, ledger: Path, left: list[str]) -> str:
    """Return the account for people."""
    return "\n".join(_lines(found, judged, ledger, left))


def _lines(found: Written, judged: Judgement, ledger: Path, left: list[str]) -> Iterator[str]:
    seen = found.anomalies
    yield f"{judged.verdict.value}: {judged.reason}"
    yield f"  through {found.through}, {words_for(found.lasted_s)}"
    yield f"  acknowledged {seen.acknowledged:,}, indeterminate {seen.indeterminate:,}, refused {seen.refused:,}, reads {seen.reads:,}"
    if found.steadily is not None:
        yield f"  {limit(found.steadily)}"
    for place in found.nodes:
        there = place.presence
        if there is None:
            yield f"  {place.name}: not looked for: {place.problem}"
        else:
            yield (
                f"  {place.name}: {there.found:,} there, {there.lost.count:,} lost, {there.phantom.count:,} phantom, "
                f"{there.applied_twice.count:,} twice"
            )
    for note in judged.notes:
        yield f"  note: {note}"
    yield f"  ledger: {ledger}"
    if left:
        yield f"  tables that are still there: {', '.join(left)}; account for their ledgers with `--account`, or drop them"


def as_json(found: Written, judged: Judgement, ledger: Path, left: list[str]) -> dict[str, Any]:
    """Return stable keys: verdict, reason, limit, the measurement, the ledger, and tables that were left behind."""
    masked: dict[str, Any] = redact_values(
        {
            "verdict": judged.verdict.value,
            "reason": judged.reason,
            "limit": limit(found.steadily) if found.steadily else "",
            "written": plain(found),
            "ledger": str(ledger),
            "left_behind": left,
        }
    )
    return masked
