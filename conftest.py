"""Hooks of this repository's own runs, such as those on the lab. A repository made by `deploygate init` has its own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent


@pytest.hookimpl
def pytest_deploygate_report_section() -> tuple[str, str] | None:
    """Name the commit of the checks, so that a report of a run from source identifies that source.

    A release is identified by its version; a working tree by its commit and whether it has changes.
    Without git, or in an unpacked archive, there is no section.
    """
    if not (ROOT / ".git").exists():
        return None
    # No optional locks: other git commands that run at the same time must not wait for this one.
    command = ["git", "--no-optional-locks", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ("Source of the checks", f"Commit {done.stdout.strip()}.") if done.returncode == 0 else None
