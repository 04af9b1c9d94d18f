"""The fixtures of journeys in Python: `journey`, and `page`."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_deploygate.checks.journeys.probe.journey import Journey
from pytest_deploygate.checks.journeys.section import Journeys
from pytest_deploygate.clients.browser.running import Browser
from pytest_deploygate.clients.budget import Budget
from pytest_deploygate.fields.handed import Sections


@pytest.fixture
def journey(browser: Browser, sections: Sections, budget: Budget) -> Journey:
    """A journey of this test: `with journey.step("opens the dashboard"):`. A test that fails is run again."""
    return Journey("", browser, sections.get("journeys") or Journeys(), budget)


@pytest.fixture
def page(journey: Journey) -> Any:  # noqa: ARG001 (the test's journey has it)
    """Playwright's page, empty at the beginning of the test; it stands for one until then."""
    return _NotYet()


class _NotYet:
    """Stands for a page until its test begins: a test that is run again needs another one."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError(
            f"page.{name} was used in a fixture: a journey is run again if it fails, with another page, so take `page` in the "
            "test itself and call a function with it"
        )
