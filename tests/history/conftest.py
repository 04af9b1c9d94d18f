"""Journals of several changes, and a real browser for the page."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from chromium import browser
from no_secrets import no_secrets

sys.path.insert(0, str(Path(__file__).parent))

from recorded_changes import Records

__all__ = ["browser", "no_secrets"]  # fixtures


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Records:
    """A repository with records below deploygate-out, in which the test works."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    monkeypatch.chdir(tmp_path)
    return Records(tmp_path / "deploygate-out")
