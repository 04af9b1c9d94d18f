"""The time axis of a change: drawn where there is something to see on it."""

from __future__ import annotations

import dataclasses

import sample_night

from pytest_deploygate.report import schedule


def test_several_runs_of_several_phases_are_drawn() -> None:
    record = sample_night.bad()
    assert len(record.runs) > 1
    assert "<svg" in schedule.picture(record)


def test_a_single_run_or_phase_is_not_drawn() -> None:
    """All that one run measures lies within seconds: a speck on an axis of days."""
    record = sample_night.bad()
    assert schedule.picture(dataclasses.replace(record, runs=record.runs[-1:])) == ""
    one = record.measured[0].phase
    alone = tuple(m for m in record.measured if m.phase == one)
    assert schedule.picture(dataclasses.replace(record, measured=alone)) == ""
