"""The ledger of this run's active probes: where it is, and taking it into the journal."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_deploygate.checks.blast_radius.section import BlastRadius
from pytest_deploygate.decision.runs import chain
from pytest_deploygate.decision.spent import ledger, of_all
from pytest_deploygate.inventory import sections
from pytest_deploygate.inventory.models import Inventory
from pytest_deploygate.journal import Entry, segments
from pytest_deploygate.judging.spending import KIND, UNBOUNDED, Limits, Spent

#: The id of the run that this process belongs to; not set if nothing is recorded.
RUN = pytest.StashKey[str]()


def counters(out: Path, run: str) -> Path:
    """Return the file in which the processes of a run count what its probes send."""
    return out / f".spent-{run}"


def remove(out: Path, run: str) -> None:
    """Remove the files of the ledger, which is in the journal by now."""
    counters(out, run).unlink(missing_ok=True)
    counters(out, run).with_suffix(".jsonl").unlink(missing_ok=True)


def together(inventory: Inventory) -> Limits:
    """Return the limits of all probes of a run together."""
    found = sections.value(inventory, "blast_radius")
    return found.whole if isinstance(found, BlastRadius) else UNBOUNDED


def taken(out: Path, run: str, limits: Limits) -> dict[str, Any] | None:
    """Return the ledger of a run as a journal line; None if no probe drew on a budget. `limits`: of all probes together."""
    file = counters(out, run)
    if not file.exists():
        return None
    from pytest_deploygate.clients.ledger import Ledger  # noqa: PLC0415 (only for runs with active probes)

    try:
        ledger = Ledger(file, limits)
        entries = ledger.entries()
        whole = ledger.of_all()
        ledger.close()
    except (OSError, ValueError, KeyError, TypeError) as error:
        return {"entries": [], "unread": f"{type(error).__name__}: {error}"}
    line: dict[str, Any] = {"entries": [dataclasses.asdict(entry) for entry in entries], "unread": ""}
    return line | {"together": dataclasses.asdict(whole)} if whole else line


def of_chain(entries: Sequence[Entry]) -> tuple[tuple[Spent, ...], str, tuple[Spent, ...]]:
    """Return what the probes of the last run and of the runs that it resumed spent, why it is not known, and all together.

    The last is of each run whose inventory limits all probes together.
    """
    runs = {segment.run for segment in chain(segments(entries))}
    lines = [entry.body for entry in entries if entry.kind == KIND and entry.body.get("run") in runs]
    ledgers = list(map(ledger, lines))
    unread = next((why for _, why in reversed(ledgers) if why), "")
    whole = [found for line in lines if (found := of_all(line)) is not None]
    return tuple(each for spent, _ in ledgers for each in spent), unread, tuple(whole)
