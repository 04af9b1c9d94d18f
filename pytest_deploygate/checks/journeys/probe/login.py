"""A login as the inventory describes it: by the labels of the page's fields."""

from __future__ import annotations

from pytest_deploygate.checks.journeys.facts import Attempt, LoggedIn, Page
from pytest_deploygate.checks.journeys.probe import page as pages
from pytest_deploygate.checks.journeys.probe.journey import Journey
from pytest_deploygate.checks.journeys.section import Journeys, Login
from pytest_deploygate.clients.browser.running import Browser
from pytest_deploygate.clients.budget import Budget
from pytest_deploygate.model import NotCovered


def logged_in(browser: Browser, journeys: Journeys, name: str, budget: Budget) -> LoggedIn:
    """Log a user in, and look at the address where that ended as somebody who is not logged in.

    Raises CannotTell if there is no browser here, NotCovered if the inventory does not say how users log in. A platform that
    is not reached is a value of the attempt (`unknown`).
    """
    journey = Journey("login", browser, journeys, budget)
    attempt = journey.attempt(lambda: journey.login(name))
    return LoggedIn(
        attempt, None if attempt.unknown or attempt.broken else _as_nobody(browser, attempt, budget)
    )


def log_in(journey: Journey, name: str) -> None:
    """Log a user in, as a step of a journey. Raises NotCovered if the inventory does not say how."""
    user, login = journey.user(name), journey.settings.login
    if login is None:
        raise NotCovered(
            "the inventory does not say how users log in; add `journeys: {login: {sees: Log out}}`"
        )
    journey.is_user(name)
    visit, page = journey.visit, journey.page
    visit.untraced()
    with journey.step(f"logs in as {name}"):
        visit.open(login.path)
        _typed(journey, login.user, user.name)
        _typed(journey, login.password, user.password.reveal())
        page.get_by_role("button", name=login.button, exact=True).click()
        _arrived(journey, login)
    visit.trace()


def _typed(journey: Journey, label: str, text: str) -> None:
    from playwright.sync_api import Error  # noqa: PLC0415 (heavy)

    try:
        journey.page.get_by_label(label, exact=True).first.fill(text)
    except Error:
        # Playwright's own words would have the text.
        found = pages.look(journey.visit)
        words = f"there is no field labelled {label!r} to type into: {pages.shown(found)}"
        raise pages.lacks(journey.visit, words) from None


def _arrived(journey: Journey, login: Login) -> None:
    found = pages.wait_for(journey.visit, login.sees, (), journey.timeout_s)
    lacking = pages.missing(found, login.sees)
    if not lacking:
        return
    reason = f"{', '.join(map(repr, lacking))} was not seen after the login: {pages.shown(found)}"
    if problem := journey.visit.last_problem:
        reason = f"{reason} ({problem})"
    raise pages.lacks(journey.visit, reason)


def _as_nobody(browser: Browser, attempt: Attempt, budget: Budget) -> Page:
    """Open the address where a login ended, without one."""
    with (
        budget.probe("control", unwatched="it opens one page") as spending,
        browser.visit(headers=spending.headers) as visit,
    ):
        visit.open(attempt.last.url)
        pages.settle(visit)
        found = pages.look(visit)
        spending.take(requests=visit.requests, opens=0)
        return found
