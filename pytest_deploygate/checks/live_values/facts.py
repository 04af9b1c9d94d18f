"""Measurements of live values, as frozen values: no I/O, no limits."""

from __future__ import annotations

from pytest_deploygate.judging.own_lag import OwnLag
from pytest_deploygate.judging.sent_reading import Sent
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Picture


@dataclass(frozen=True)
class Change:
    """One value that was caused. `shown_after_s` is None if the element never showed it; `instead` is what it showed then.

    `first`: the page may still have been connecting, so its time says nothing. `stored` is None if it was not asked.
    """

    sent: Sent
    shown_after_s: float | None
    waited_s: float
    instead: str = ""
    first: bool = False
    stored: bool | None = None
    lag: OwnLag = OwnLag()


@dataclass(frozen=True)
class Watched:
    """What an element of a page showed while values were caused.

    `status` is the page's. `missing`: the page has no such element. `before` is what the element showed at first, `failed`
    which requests of the page failed, and what errors it had.
    """

    name: str
    page: str
    status: int | None
    missing: bool = False
    before: str = ""
    changes: tuple[Change, ...] = ()
    failed: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
