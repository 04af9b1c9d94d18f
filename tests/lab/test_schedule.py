"""The crontab: what is due in a minute, and switching single lines off and on."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from pytest_deploygate.lab import schedule
from pytest_deploygate.lab.state import Lab, LabError


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone()


def test_only_what_is_due_is_returned(tmp_path: Path) -> None:
    crontab = tmp_path / "crontab"
    crontab.write_text(
        "# comment\nPATH=/bin\n30 2 * * * backup --full\n* * * * * often\n#off# 30 2 * * * never\n"
    )
    assert schedule.due(crontab, at("2024-05-01T02:30:00")) == ["backup --full", "often"]
    assert schedule.due(crontab, at("2024-05-01T02:31:00")) == ["often"]
    assert schedule.due(tmp_path / "none", at("2024-05-01T02:31:00")) == []


def test_a_line_that_means_nothing_is_named(tmp_path: Path) -> None:
    crontab = tmp_path / "crontab"
    crontab.write_text("99 99 * * * never\n")
    with pytest.raises(ValueError, match="99 99"):
        schedule.due(crontab, at("2024-05-01T02:31:00"))


def test_a_line_is_switched_off_and_on(tmp_path: Path) -> None:
    lab = Lab(tmp_path, tmp_path, "15.1", None, {}, None, {})
    schedule.write(lab)
    whole = lab.crontab.read_text()
    for _ in range(2):
        schedule.switch_off(lab, "full-backup")
    assert len(schedule.entries(lab.crontab.read_text())) == len(schedule.JOBS) - 1
    for _ in range(2):
        schedule.switch_on(lab, "full-backup")
    assert lab.crontab.read_text() == whole
    with pytest.raises(LabError, match="no line"):
        schedule.switch_off(lab, "nothing")
