"""The ledger of this run's active probes: where it is, and taking it into the journal."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_deploygate.decision.runs import chain
from pytest_deploygate.decision.spent import ledger
from pytest_deploygate.journal import Entry, segments
from pytest_deploygate.judging.spending import KIND, Spent

#: The id of the run that this process belongs to; not set if nothing is recorded.
RUN = pytest.StashKey[str]()


def counters(out: Path, run: str) -> Path:
    """Return the file in which the processes of a run count what its probes send."""
    return out / f".spent-{run}"


def remove(out: Path, run: str) -> None:
    """Remove the files of the ledger, which is in the journal by now."""
    counters(out, run).unlink(missing_ok=True)
    counters(out, run).with_suffix(".jsonl").unlink(missing_ok=True)


def taken(out: Path, run: str) -> dict[str, Any] | None:
    """Return the ledger of a run as a journal line; None if no probe drew on a budget."""
    file = counters(out, run)
    if not file.exists():
        return None
    from pytest_deploygate.clients.ledger import Ledger  # noqa: PLC0415 (only for runs with active probes)

    try:
        ledger = Ledger(file)
        entries = ledger.entries()
        ledger.close()
    except (OSError, ValueError, KeyError, TypeError) as error:
        return {"entries": [], "unread": f"{type(error).__name__}: {error}"}
    return {"entries": [dataclasses.asdict(entry) for entry in entries], "unread": ""}


def of_chain(entries: Sequence[Entry]) -> tuple[tuple[Spent, ...], str]:
    """Return what the probes of the last run and of the runs that it resumed spent, and why it is not known."""
    runs = {segment.run for segment in chain(segments(entries))}
    lines = [entry.body for entry in entries if entry.kind == KIND and entry.body.get("run") in runs]
    ledgers = list(map(ledger, lines))
    unread = next((why for _, why in reversed(ledgers) if why), "")
    return tuple(each for spent, _ in ledgers for each in spent), unread
