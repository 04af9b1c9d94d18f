"""Measurements of what pages keep and whom they ask, as frozen values: no I/O, no limits."""

from __future__ import annotations

from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Picture


@dataclass(frozen=True)
class Asked:
    """A request to a third party: its host, the address without its query, Chromium's kind, and cookies that it set."""

    host: str
    url: str
    kind: str
    cookies: tuple[str, ...] = ()


@dataclass(frozen=True)
class OnPage:
    """What one page did: `third_parties` that it asked, and what the browser kept when it was left.

    `cookies` are (name, domain) of the jar, `storage` (kind, name). `own` counts requests to the
    platform itself. `status` is None if the page was not loaded, `site` is false if it ended on another site.
    """

    page: str
    status: int | None
    own: int
    third_parties: tuple[Asked, ...] = ()
    cookies: tuple[tuple[str, str], ...] = ()
    storage: tuple[tuple[str, str], ...] = ()
    site: bool = True
    said: str = ""


@dataclass(frozen=True)
class Visited:
    """One visit with a new browser context. `when` is `before consent`, `after refusal` or `after consent`.

    `no_button` is the name of a button that was not found. Pages after that were not looked at.
    """

    when: str
    pages: tuple[OnPage, ...]
    no_button: str = ""


@dataclass(frozen=True)
class Privacy:
    """The privacy page: its status, the first text that it lacks, and whether the first page links to it."""

    url: str
    status: int | None
    lacks: str = ""
    linked: bool = True


@dataclass(frozen=True)
class Watched:
    """All visits, with pictures of the first page before consent."""

    visits: tuple[Visited, ...]
    privacy: Privacy
    pictures: tuple[Picture, ...] = ()
