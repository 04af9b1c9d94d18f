"""What happened on a journey, as frozen values: no I/O, no limit."""

from __future__ import annotations

from pytest_deploygate.judging.browsing import Seen
from pytest_deploygate.judging.own_lag import OwnLag
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Picture, Verdict


@dataclass(frozen=True)
class Step:
    """One step as it went. `problem` is what was wrong, empty if nothing was; `url` is where it ended.

    `took_s` is by the clock, `lag` what delayed this machine meanwhile. `late`: something did not come in time, which a busy
    machine may explain. `within_s` is what the journey itself declares. `value` is the text of a number that was looked for,
    None if it was not there; `picture` the path of a picture. `until_s` is its end, in seconds since the visit began.
    """

    name: str
    took_s: float
    url: str
    lag: OwnLag = OwnLag()
    problem: str = ""
    late: bool = False
    within_s: float | None = None
    value: str | None = None
    picture: str = ""
    until_s: float = 0.0


@dataclass(frozen=True)
class Page:
    """The page that stood when a journey ended: what a person would have seen."""

    url: str
    title: str = ""
    heading: str = ""
    text: str = ""
    status: int | None = None

    def has(self, text: str) -> bool:
        """Return whether a text is on the page. Upper and lower case and blanks do not matter: style sheets change them."""
        return _plain(text) in _plain(self.text)


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


@dataclass(frozen=True)
class Attempt:
    """One attempt at a journey. `unknown` is why it says nothing of the platform; empty if it does.

    `problem` is what ended it outside of a step. `last` is the page that stood then, `pictures` those of a step that failed,
    or of the end; `trace` is the path of the trace in the out folder. `own_origin` is the platform's: other servers' failures
    are not its own.
    """

    name: str
    user: str
    own_origin: str
    steps: tuple[Step, ...]
    seen: Seen
    last: Page
    problem: str = ""
    unknown: str = ""
    pictures: tuple[Picture, ...] = ()
    trace: str = ""
    trace_sha256: str = ""
    browser: str = ""

    def during(self, at_s: float) -> str:
        """Return the name of the step in which something happened, by its time; empty before the first and after the last."""
        return next((step.name for step in self.steps if at_s <= step.until_s), "")

    @property
    def broken(self) -> Step | None:
        """The step that failed, if one did."""
        return next((step for step in self.steps if step.problem), None)


@dataclass(frozen=True)
class Decided:
    """An item as the change's journal has it: its verdict, and the reason. `confirmed`: a failure was seen twice."""

    item: str
    verdict: Verdict
    reason: str
    confirmed: bool = False


@dataclass(frozen=True)
class LoggedIn:
    """A user's login, and what somebody who is not logged in saw at the address where it ended: None if not looked at."""

    attempt: Attempt
    before: Page | None = None
