"""Targets that missed one scrape: they are up, and a reader may want to know."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_deploygate.judging.collector import Collector


def note_missed(found: Collector, missed: Sequence[str]) -> None:
    """Name the targets that missed one scrape and answered the next one, which the measurement waited for."""
    if missed:
        found.note(f"missed one scrape and answered the next one: {', '.join(missed)}")
