"""Measurements of pages as frozen values: no I/O, no limit."""

from __future__ import annotations

from datetime import date, datetime

from pytest_deploygate.drills.record import Evidence
from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Page:
    """One read of a page. `status` is None if there was no answer, or only redirects that lead nowhere (`astray`);
    `problem` says why.

    `outside` are the URLs of what else it loads (styles, scripts, images, frames, fonts). `titles` are its title and first
    headings, `words` how many words it has, `asks_password` whether it has a field for one, `posts` whether it has a form
    that is posted. `cut`: only its beginning was read. `kept_s` is how long caches may keep it by its header.
    `like_missing` is the URL of a page that does not exist and has the same text, `titled_like_missing` that of one which
    answers 404 and has the same title, while the start page has another. `sends_on_to` is where it sends browsers on within
    seconds (a Refresh header, or `<meta http-equiv=refresh>`).
    """

    url: str
    at: datetime
    status: int | None
    problem: str = ""
    retry_after: str | None = None
    content_type: str = ""
    size_bytes: int = 0
    sha256: str = ""
    text: str = ""
    dates: tuple[date, ...] = ()
    outside: tuple[str, ...] = ()
    cookies: tuple[str, ...] = ()
    redirected_to: str = ""
    titles: tuple[str, ...] = ()
    words: int = 0
    asks_password: bool = False
    posts: bool = False
    cut: bool = False
    kept_s: int = 0
    like_missing: str = ""
    titled_like_missing: str = ""
    astray: bool = False
    sends_on_to: str = ""


@dataclass(frozen=True)
class DrillFacts:
    """The page as a drill saw it with the application down; `sha256` is of its body."""

    status: int | None
    sha256: str
    application_down: bool


@dataclass(frozen=True)
class MaintenanceFacts:
    """The maintenance page now, and the drill of this run or on record."""

    page: Page
    drill: Evidence[DrillFacts]
