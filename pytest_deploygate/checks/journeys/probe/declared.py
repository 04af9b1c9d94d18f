"""Journeys that the inventory declares: nothing branches in them."""

from __future__ import annotations

from pytest_deploygate.checks.journeys import section
from pytest_deploygate.checks.journeys.facts import Attempt
from pytest_deploygate.checks.journeys.probe import page as pages
from pytest_deploygate.checks.journeys.probe.journey import Journey
from pytest_deploygate.clients.browser.running import Browser
from pytest_deploygate.clients.budget import Budget


def walked(
    browser: Browser, journeys: section.Journeys, declared: section.Journey, budget: Budget
) -> Attempt:
    """Go through a declared journey once.

    Raises CannotTell if there is no browser here, NotCovered if the inventory lacks its user. A platform that is not
    reached is a value of the attempt (`unknown`).
    """
    journey = Journey(declared.name, browser, journeys, budget, url=declared.url or "")

    def go() -> None:
        if declared.user is not None:
            journey.login(declared.user)
        for step in declared.steps:
            with journey.step(step.name, within=_words(step)):
                _do(journey, step)

    return journey.attempt(go)


def _words(step: section.Step) -> str:
    return f"{step.within.total_seconds():g}s" if step.within is not None else ""


def _do(journey: Journey, step: section.Step) -> None:
    if step.open is not None:
        journey.visit.open(step.open)
    elif step.click is not None:
        for label, text in step.fill.items():
            journey.page.get_by_label(label, exact=True).first.fill(text)
        _click(journey, step.click)
    found = pages.wait_for(journey.visit, step.sees, step.lacks, journey.timeout_s)
    if (found.status or 0) >= 400 or found.url.startswith("chrome-error:"):
        problem = journey.visit.last_problem
        raise AssertionError(f"{pages.shown(found)}{f' ({problem})' if problem else ''}")
    if lacking := pages.missing(found, step.sees):
        raise pages.lacks(
            journey.visit,
            f"{', '.join(map(repr, lacking))} was not seen in {journey.timeout_s:g} s: {pages.shown(found)}",
        )
    if there := pages.unwanted(found, step.lacks):
        raise pages.lacks(journey.visit, f"the page shows {', '.join(map(repr, there))}, which it must not")
    if step.value is not None:
        journey.looked_at(_text_at(journey, step.value.at))


def _click(journey: Journey, name: str) -> None:
    """Click a link or button with this name."""
    page = journey.page
    either = page.get_by_role("link", name=name, exact=True).or_(
        page.get_by_role("button", name=name, exact=True)
    )
    either.first.click()


def _text_at(journey: Journey, selector: str) -> str | None:
    from playwright.sync_api import Error  # noqa: PLC0415 (heavy)

    try:
        return str(journey.page.locator(selector).first.inner_text(timeout=journey.timeout_s * 1000))
    except Error:
        return None
