"""Tests that are journeys: run once, once more if they fail, and judged by their steps and pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_deploygate.session.gate import GATE

if TYPE_CHECKING:
    from pytest_deploygate.checks.journeys.facts import Attempt


def run(test: pytest.Function) -> None:
    """Go through a test with the fixture `journey`, and have it judged for the test's items."""
    from pytest_deploygate.checks.journeys import judge  # noqa: PLC0415 (only for tests that are journeys)

    journey: Any = test.funcargs["journey"]
    names = test._fixtureinfo.argnames  # noqa: SLF001 (as pytest's own call of a test)
    journey.name = _name(test)

    def go() -> None:
        given = {name: test.funcargs[name] for name in names}
        if "page" in given:
            given["page"] = journey.page
        try:
            test.obj(**given)
        except pytest.fail.Exception as failed:
            raise AssertionError(str(failed)) from None

    def once() -> Attempt:
        found: Attempt = journey.attempt(go)
        return found

    criterion = judge.Walk.of(journey.settings)
    test.stash[GATE].judge_confirmed(judge.judge, once(), once, criterion, target=journey.name)


def _name(test: pytest.Function) -> str:
    """Return what a test is called: `test_sees_the_plant` is `sees the plant`."""
    words = test.originalname.removeprefix("test_").replace("_", " ")
    callspec = getattr(test, "callspec", None)
    return f"{words} ({callspec.id})" if callspec else words
