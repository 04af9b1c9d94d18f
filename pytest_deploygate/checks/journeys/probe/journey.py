"""A journey while it goes on: its page, its steps, and what is kept of them. The fixture `journey` is one."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator

from pytest_deploygate.checks.journeys.facts import Attempt, Page, Step
from pytest_deploygate.checks.journeys.probe import page as pages
from pytest_deploygate.checks.journeys.probe.page import Late
from pytest_deploygate.checks.journeys.section import Journeys, User
from pytest_deploygate.clients import own_lag
from pytest_deploygate.clients.browser.running import Browser
from pytest_deploygate.clients.browser.trust import origin
from pytest_deploygate.clients.browser.visit import OURS, Visit
from pytest_deploygate.clients.budget import Budget, Spending
from pytest_deploygate.clients.own_lag import Lag
from pytest_deploygate.judging.own_lag import OwnLag
from pytest_deploygate.model import CannotTell, NotCovered, Picture, parse_duration
from pytest_deploygate.problems import nearest
from pytest_deploygate.redaction import shortened

__all__ = ["Journey"]

_UNWATCHED = "a journey is one user, who asks for one page after the other"
_MOST_WORDS = 300
#: Pictures of broken pages in the report, beside that of the end.
_MOST_PICTURES = 2
#: Playwright's words for a browser that is gone, not for a page that is wrong.
_GONE = re.compile(r"has been closed|crashed|connection closed", re.IGNORECASE)
_LATE = re.compile(r"Timeout \d+ms exceeded|Timeout [\d.]+ms|with timeout \d+ms", re.IGNORECASE)
#: Why Playwright does not act on what it found, in its log. Source: playwright.dev, "Auto-waiting".
_HINDERED = re.compile(r"^element is (?:not |outside )|intercepts pointer events")
_WAITING = "waiting for "
_TERMINAL = re.compile(r"\x1b\[[0-9;]*m")


class Journey:
    """A journey of a user: `with journey.step("logs in"):` around what belongs together.

    `name` is what findings call it, `url` another base address than the inventory's. Outside of `attempt` there is no page.
    """

    def __init__(
        self, name: str, browser: Browser, journeys: Journeys, budget: Budget, *, url: str = ""
    ) -> None:
        self.name = name
        self._url = url
        self.settings = journeys
        self._browser, self._budget = browser, budget
        self._visit: Visit | None = None
        self._lag: Lag | None = None
        self._spending: Spending | None = None
        self._counted = 0
        self._steps: list[Step] = []
        self._user = ""
        self._value: str | None = None
        self._pictures: list[Picture] = []
        self._wrong = 0

    @property
    def visit(self) -> Visit:
        """The visit of the attempt that goes on. Raises RuntimeError outside of one."""
        if self._visit is None:
            raise RuntimeError("a journey has a page only while it goes on: use it in the test itself")
        return self._visit

    @property
    def page(self):  # type: ignore[no-untyped-def]  # noqa: ANN201 (Playwright's type, which is an extra)
        """Playwright's page."""
        return self.visit.page

    def user(self, name: str) -> User:
        """Return a test user of the inventory. Raises NotCovered if there is none with that name."""
        users = self.settings.users or {}
        if name not in users:
            raise NotCovered(
                f"the inventory has no user {name!r} in `journeys.users`{nearest(name, list(users))}; add "
                f"`journeys: {{users: {{{name}: {{name: …, password: env:NAME}}}}}}`"
            )
        return users[name]

    def login(self, name: str) -> None:
        """Log a user of the inventory in, as `journeys.login` says. Nothing of this is in the trace."""
        from pytest_deploygate.checks.journeys.probe.login import log_in  # noqa: PLC0415 (it needs this module)

        log_in(self, name)

    @contextlib.contextmanager
    def step(self, name: str, *, within: str = "") -> Iterator[None]:
        """Do one step: it is timed, and a picture is taken at its end. `within` is how long it may take, e.g. `3s`.

        An exception ends the journey: its text is what was wrong.
        """
        from playwright.sync_api import Error  # noqa: PLC0415 (heavy)

        visit, began = self.visit, time.monotonic()
        within_s = parse_duration(within).total_seconds() if within else None
        self._value = None
        problem, late = "", False
        try:
            yield
        except (AssertionError, Error) as error:
            problem = said(error)
            late = isinstance(error, Late) or (bool(_LATE.search(str(error))) and visit.busy)
            raise
        finally:
            took_s = time.monotonic() - began
            self._add(
                visit,
                Step(
                    name,
                    round(took_s, 3),
                    visit.address,
                    self._lag_since(began),
                    problem,
                    late,
                    within_s,
                    self._value,
                ),
            )

    def looked_at(self, value: str | None) -> None:
        """Note the text of a number that the step looked for."""
        self._value = value

    def attempt(self, go: Callable[[], object]) -> Attempt:
        """Begin anew with an empty browser, go through the journey, and return what happened.

        Raises NotCovered if the journey needs what the inventory does not have.
        """
        self._steps, self._pictures, self._user, self._counted, self._wrong = [], [], "", 0, 0
        with (
            self._budget.probe("journey", unwatched=_UNWATCHED) as self._spending,
            own_lag.watching() as self._lag,
            self._browser.visit(headers=self._spending.headers, url=self._url, traced=True) as visit,
        ):
            self._visit = visit
            try:
                problem, unknown = self._gone_through(go)
                return self._kept(visit, problem, unknown)
            finally:
                self._visit = None

    def _gone_through(self, go: Callable[[], object]) -> tuple[str, str]:
        """Return what was wrong outside of a step, and why nothing is known; both empty if the journey came to its end."""
        from playwright.sync_api import Error  # noqa: PLC0415 (heavy)

        try:
            go()
        except NotCovered:
            raise
        except CannotTell as error:
            return "", str(error)
        except (AssertionError, Error) as error:
            text = str(error)
            if _GONE.search(text):
                self._end_of_spending()
                return "", f"the browser ended in the middle of it: {said(error)}; run it again"
            if ours := next((word for word in OURS if word in text), ""):
                return (
                    "",
                    f"the browser did not reach it from here ({ours}): check names and routes of this machine",
                )
            broken = any(step.problem for step in self._steps)
            return "" if broken else said(error), ""
        except Exception as error:  # noqa: BLE001 (whatever a journey's own code raises says nothing of the platform)
            return "", f"its own code failed: {type(error).__name__}: {said(error)}"
        if not self._steps:
            return "", "it has no step; write `with journey.step(…):` around what it does"
        return "", ""

    def _end_of_spending(self) -> None:
        """Let a stop come out here, in place of what the cut caused."""
        if self._spending is not None:
            self._spending.check()

    def _kept(self, visit: Visit, problem: str, unknown: str) -> Attempt:
        visit.note_page()
        failed = bool(problem or unknown or any(step.problem for step in self._steps))
        last = pages.look(visit)
        # A journey that came to its end has a picture of that already: the one of its last step.
        if (picture := visit.picture(self._title(), last=not failed)) is not None:
            self._pictures = [p for p in self._pictures if p.sha256 != picture.sha256] + [picture]
        trace = (visit.keep_trace() if failed else None) or ("", "")
        self._count(visit)
        return Attempt(
            self.name,
            self._user,
            origin(visit.base),
            tuple(self._steps),
            visit.seen(),
            Page(last.url, last.title, last.heading, shortened(last.text, _MOST_WORDS), last.status),
            problem,
            unknown,
            tuple(self._pictures),
            *trace,
            browser=self._browser.version,
        )

    def _title(self) -> str:
        at = f"after {self._steps[-1].name!r}" if self._steps else "at the beginning"
        return f"{self.name}, {at}"

    def _add(self, visit: Visit, step: Step) -> None:
        """Note a step that is over, with a picture; one that can be seen in the report if something went wrong in it."""
        import dataclasses  # noqa: PLC0415 (with the browser only)

        until_s = visit.since_s
        seen = visit.seen()
        wrong = sum(error.kind == "script" for error in seen.errors) + len(seen.failed)
        shown = None
        if (
            wrong > self._wrong and not step.problem and len(self._pictures) < _MOST_PICTURES
        ):  # a step that failed has its picture at the end
            shown = visit.picture(f"{self.name}, after {step.name!r}")
        if shown is not None:
            self._pictures.append(shown)
        self._wrong = wrong
        kept = shown.path if shown is not None else "" if step.problem else visit.kept_picture()
        self._steps.append(dataclasses.replace(step, picture=kept, until_s=until_s))
        visit.note_page()
        self._count(visit)

    def _count(self, visit: Visit) -> None:
        """Take the requests since the last step from the budget. Raises Ended if it is used up."""
        if self._spending is not None:
            now = visit.requests
            self._spending.take(requests=max(0, now - self._counted), opens=0)
            self._counted = now

    def _lag_since(self, began: float) -> OwnLag:
        return self._lag.since(began) if self._lag is not None else OwnLag()

    def is_user(self, name: str) -> None:
        """Note who goes on it."""
        self._user = name

    @property
    def timeout_s(self) -> float:
        """How long to wait for something on a page."""
        return self._browser.settings.timeout.total_seconds()


def said(error: BaseException) -> str:
    """Return what an error says in one sentence: Playwright's have a log of what was tried, and colours.

    Of the log it takes what was waited for, and what stood in the way at the end.
    """
    text, _, log = _TERMINAL.sub("", str(error)).partition("Call log:")
    lines = [line.strip() for line in text.partition("Aria snapshot:")[0].splitlines() if line.strip()]
    tried = [line.strip(" -") for line in log.splitlines()]
    waited = next((line for line in tried if line.startswith(_WAITING)), "")
    hindered = next((line for line in reversed(tried) if _HINDERED.search(line)), "")
    if lines and waited and waited.removeprefix(_WAITING) not in lines[0]:
        lines[0] = ", ".join(filter(None, (lines[0].rstrip("."), waited, hindered)))
    return shortened("; ".join(lines), _MOST_WORDS) or type(error).__name__
