"""A real Chromium for tests. They are never skipped silently: only if apt cannot be used, with that reason."""

from __future__ import annotations

import os
import shutil

import pytest


def needed() -> None:
    """Skip or fail where there is no Chromium."""
    if shutil.which("chromium"):
        return
    if os.environ.get("DEPLOYGATE_NO_APT"):
        pytest.skip("chromium is not there and DEPLOYGATE_NO_APT forbids to install it: pages not looked at")
    pytest.fail("chromium is not there: apt-get install chromium, or set DEPLOYGATE_NO_APT=1")
