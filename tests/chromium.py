"""A real Chromium for tests. They are never skipped silently: only if apt cannot be used, with that reason."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright


def needed() -> None:
    """Skip or fail where there is no Chromium."""
    if shutil.which("chromium"):
        return
    if os.environ.get("DEPLOYGATE_NO_APT"):
        pytest.skip("chromium is not there and DEPLOYGATE_NO_APT forbids to install it: pages not looked at")
    pytest.fail("chromium is not there: apt-get install chromium, or set DEPLOYGATE_NO_APT=1")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, until the end of a module: while it runs, no other test in this process can use asyncio."""
    needed()
    with sync_playwright() as playwright:
        # Chromium's sandbox does not run as root, and containers have no user namespaces for it.
        running = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield running
        running.close()
