"""Your team's hooks and fixtures for runs of pytest-deploygate.

A function `pytest_deploygate_*` takes part in a run, in `deploygate decide` and in `deploygate rollback`; docs/hooks.md
of pytest-deploygate lists them all. A fixture with the name of a shipped one replaces it.
"""

from __future__ import annotations

import json
import os
import urllib.request
from pathlib import Path

import pytest


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Leave this folder out of the repository's other test runs, which have another root."""
    return None if config.rootpath.samefile(Path(__file__).parent) else True


@pytest.hookimpl
def pytest_deploygate_notify(event: str, text: str) -> None:
    """Post to the chat webhook that DEPLOYGATE_WEBHOOK names; without it, do nothing.

    Called when an incident opens, a deadline passes, a decision is made, and a rollback begins or ends. If it raises,
    the error is written to the journal and the run continues.
    """
    url = os.environ.get("DEPLOYGATE_WEBHOOK")
    if not url:
        return
    request = urllib.request.Request(
        url,
        data=json.dumps({"text": f"{event}: {text}"}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=5):
        pass
