"""The ledger of a run's active probes, as its line of the journal has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_deploygate.journal.errors import ODD, JournalError
from pytest_deploygate.journal.typed import listed, made, text, texts
from pytest_deploygate.judging.spending import Baseline, Limits, Spent


def ledger(line: Mapping[str, Any]) -> tuple[tuple[Spent, ...], str]:
    """Return what each probe spent, and why that is not known (empty: it is). Raises JournalError for anything else."""
    try:
        return tuple(map(_spent, listed(line["entries"]))), text(line["unread"])
    except ODD as error:
        raise JournalError(f"what active probes spent cannot be read in the journal: {error}") from None


def of_all(line: Mapping[str, Any]) -> Spent | None:
    """Return what all probes of a run used together; None if only their own limits counted. Raises JournalError."""
    try:
        return _spent(line["together"]) if line.get("together") is not None else None
    except ODD as error:
        raise JournalError(f"what active probes spent cannot be read in the journal: {error}") from None


def _spent(plain: Mapping[str, Any]) -> Spent:
    before = plain["before"]
    return made(
        Spent,
        plain,
        **{name: texts(plain[name], name) for name in ("ended", "why", "left")},
        limits=made(Limits, plain["limits"]),
        before=made(Baseline, before) if before else None,
    )
