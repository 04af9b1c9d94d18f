"""What the issue log says of differences."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from pytest_deploygate.checklist.issue_log import IssueLog
from pytest_deploygate.checks.discrepancies.facts import ITEM, Documented
from pytest_deploygate.checks.migration.section import Migration
from pytest_deploygate.model import option_of


@pytest.fixture(scope="session")
def documented(migration: Migration, issue_log: IssueLog) -> Documented:
    """The entries of the change's issue log about differences, as they were when the run began."""
    change = PurePosixPath(issue_log.file).stem
    return Documented(
        issue_log.file,
        f"deploygate issues{option_of(change)} --write",
        tuple(entry for entry in issue_log.entries if entry.item == ITEM),
        issue_log.aside,
        migration.frozen_at,
    )
