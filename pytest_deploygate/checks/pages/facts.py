"""What is measured of pages, as frozen values: no I/O, no limit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime


@dataclass(frozen=True, slots=True)
class Page:
    """One read of a page. `status` is None where there was no answer and `problem` says why.

    `outside` are the addresses of what it loads beside itself (styles, scripts, images, frames, fonts).
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


@dataclass(frozen=True, slots=True)
class MaintenanceRecord:
    """What a drill found: the page with the application down. `sha256` is of the page's body then."""

    at: datetime
    status: int | None
    sha256: str
    application_down: bool
    outcome: str
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class MaintenanceFacts:
    """The maintenance page now, and the drill of this run or on record."""

    page: Page
    record: MaintenanceRecord | None
