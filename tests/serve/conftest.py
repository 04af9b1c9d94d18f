"""A headless Chromium for the live page. It is never skipped silently: only if apt cannot be used, with that reason."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, until the end of a module: while it runs, no other test in this process can use asyncio."""
    if not CHROMIUM.exists():
        if os.environ.get("DEPLOYGATE_NO_APT"):
            pytest.skip(
                f"{CHROMIUM} is not there and DEPLOYGATE_NO_APT forbids to install it: pages not looked at"
            )
        pytest.fail(f"{CHROMIUM} is not there: apt-get install chromium, or set DEPLOYGATE_NO_APT=1")
    with sync_playwright() as playwright:
        # Chromium's sandbox does not run as root, and containers have no user namespaces for it.
        running = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield running
        running.close()
