"""The judge of retention: files that are older than allowed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pytest_deploygate.checks.privacy.facts import FileAges
from pytest_deploygate.checks.privacy.judge import retention
from pytest_deploygate.checks.privacy.section import AgedFiles
from pytest_deploygate.model import Verdict

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FILES = AgedFiles.model_validate({"name": "logs", "path": "/l", "keep": "30d"})
AGES = FileAges("logs", "/l", NOW, 3, 0, "a.log", NOW - timedelta(days=2))


@pytest.mark.parametrize(
    ("facts", "verdict", "words"),
    [
        (AGES, Verdict.PASS, "3 files"),
        (
            replace(AGES, old=1, oldest_at=NOW - timedelta(days=40)),
            Verdict.FAIL,
            "the oldest is a.log (40 d)",
        ),
        (replace(AGES, files=0, oldest_at=None), Verdict.INCONCLUSIVE, "is the path right"),
        (replace(AGES, problem="no such folder"), Verdict.INCONCLUSIVE, "no such folder"),
    ],
)
def test_old_files(facts, verdict, words):
    found = retention.judge_files(facts, FILES)
    assert found.verdict is verdict, found.reason
    assert words in found.reason
