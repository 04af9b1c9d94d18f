"""Measurements of a CDN, as frozen values: no I/O, no limits. No body, login or cookie's value is among them."""

from __future__ import annotations

from typing import Literal

from pytest_deploygate.lazy import dataclass

#: How an answer shows whether it came from a store; the first that an answer has counts.
Told = Literal[
    "declared header",
    "Cache-Status",
    "X-Cache",
    "CF-Cache-Status",
    "X-Cache-Hits",
    "X-Varnish",
    "Age",
    "Date",
    "",
]


@dataclass(frozen=True)
class Directives:
    """What an answer says of how long it may be kept (RFC 9111, 5861, 8246). Times are in seconds, None if not said.

    `flags` are the directives without a value. `expires_s` is Expires less Date, 0 if Expires cannot be read. `odd` are
    directives that cannot be read or contradict each other; those count as stale (section 4.2.1).
    """

    said: str = ""
    max_age_s: int | None = None
    s_maxage_s: int | None = None
    stale_while_revalidate_s: int | None = None
    stale_if_error_s: int | None = None
    expires_s: int | None = None
    flags: tuple[str, ...] = ()
    odd: tuple[str, ...] = ()

    @property
    def browser_s(self) -> int | None:
        """For how long a browser may use it without asking; None if it says nothing and the browser guesses."""
        if "no-store" in self.flags or "no-cache" in self.flags:
            return 0
        if any(name.startswith("max-age") for name in self.odd):
            return 0
        return self.expires_s if self.max_age_s is None else self.max_age_s

    @property
    def shared_s(self) -> int | None:
        """For how long a shared cache may use it without asking; None if it says nothing and the cache guesses."""
        if {"no-store", "no-cache", "private"} & set(self.flags):
            return 0
        if any(name.startswith("s-maxage") for name in self.odd):
            return 0
        return self.browser_s if self.s_maxage_s is None else self.s_maxage_s

    @property
    def forbids_stale(self) -> bool:
        """Whether a shared cache must ask before it serves it when it is stale (`s-maxage` says that, too)."""
        return self.s_maxage_s is not None or bool(
            {"must-revalidate", "proxy-revalidate", "no-cache"} & set(self.flags)
        )

    @property
    def stale_s(self) -> int:
        """For how long after its lifetime it may be served while the origin is asked, or when it does not answer."""
        return max(self.stale_while_revalidate_s or 0, self.stale_if_error_s or 0)


@dataclass(frozen=True)
class Fetch:
    """One answer. `problem` says why there is none; all else is empty then. `unreadable`: one came, and broke off.

    `hit` is None if nothing tells it; `told` is what told it, `said` its value. `node` names the cache that answered,
    empty if unknown. `sha256` is of the content without its coding, empty if it could not be decoded (`broken` says why)
    or was cut. `stored_s` is when the origin made it by Age or Date, in seconds since 1970.
    """

    problem: str = ""
    unreadable: bool = False
    status: int = 0
    hit: bool | None = None
    told: Told = ""
    said: str = ""
    node: str = ""
    age_s: int | None = None
    at_s: float = 0.0
    stored_s: float | None = None
    coding: str = ""
    sha256: str = ""
    size: int = 0
    sent_size: int = 0
    broken: str = ""
    undecoded: str = ""
    content_type: str = ""
    cookies: tuple[str, ...] = ()
    vary: tuple[str, ...] = ()
    etag: str = ""
    last_modified: str = ""
    accept_ranges: str = ""
    directives: Directives = Directives()


@dataclass(frozen=True)
class Coded:
    """The answers to clients that take one coding alone: `identity`, or `nothing` without the header."""

    asked: str
    fetches: tuple[Fetch, ...]


@dataclass(frozen=True)
class Part:
    """The answer to a request for a part. `asked` is the range, `content_range` what it says it is.

    `right` is whether its bytes are those of the whole; None if it is no part, or could not be compared.
    """

    asked: str
    status: int
    content_range: str = ""
    length: int = 0
    right: bool | None = None
    problem: str = ""


@dataclass(frozen=True)
class Asked:
    """The answer to "has it changed?". `by` is the header that was sent; empty if the asset has no validator."""

    by: str
    status: int = 0
    length: int = 0
    other_status: int = 0
    problem: str = ""


@dataclass(frozen=True)
class Plain:
    """The answer of plain HTTP: where it redirects, that the port is closed, or why nothing is known."""

    asked: bool
    closed: bool = False
    status: int = 0
    location: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Wanted:
    """The content that an asset must have, and where that is from. `problem`: it could not be read.

    `vary` is what the origin says, None if the content is not from it.
    """

    where: str
    sha256: str = ""
    content_type: str = ""
    problem: str = ""
    vary: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Asset:
    """An asset as its CDN serves it. `warming` are the fetches that do not count: each cache's first."""

    warming: tuple[Fetch, ...]
    fetches: tuple[Fetch, ...]
    coded: tuple[Coded, ...]
    wanted: Wanted | None
    asked: Asked | None
    parts: tuple[Part, ...]
    plain: Plain
    with_cookie: Fetch | None

    @property
    def everything(self) -> tuple[Fetch, ...]:
        """All answers to requests for the whole."""
        return (*self.warming, *self.fetches, *(f for coded in self.coded for f in coded.fetches))


@dataclass(frozen=True)
class Reader:
    """What one user got at an address that another one had fetched before. `same` is whether it was that one's page."""

    who: str
    status: int
    hit: bool | None
    same: bool
    problem: str = ""


@dataclass(frozen=True)
class Shared:
    """A private page: its owner's answer, and what others got at the same address.

    `public` is true if nobody needs to log in for what it shows. `login` is the kind of login: `cookie` or `header`.
    """

    name: str
    owner: Fetch
    readers: tuple[Reader, ...]
    login: str
    public: bool = False


@dataclass(frozen=True)
class Pages:
    """All private pages."""

    pages: tuple[Shared, ...]


@dataclass(frozen=True)
class Try:
    """What one header, parameter or address did. `outcome` is what another user got at the same address afterwards.

    `poisoned`: our text, or another status, from a store. `unknown`: no answer from the cache that was tried.
    """

    what: str
    outcome: Literal["clean", "poisoned", "unknown"]
    said: str = ""


@dataclass(frozen=True)
class Page:
    """A page on which all was tried. `apart` is whether our address was kept apart from that of users; else nothing was
    sent, since they would have got it. `cached` is whether it was kept at all. `cookies` are those that came from the
    cache.
    """

    url: str
    apart: bool | None
    cached: bool
    tries: tuple[Try, ...] = ()
    problem: str = ""
    cookies: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tries:
    """What was tried on all pages, with the version of the list of what is tried."""

    version: int
    pages: tuple[Page, ...]
    deceptions: tuple[Page, ...] = ()


@dataclass(frozen=True)
class Node:
    """A cache after a purge: how many answers it gave, and for how long it served the old object (None: never).

    `unknown` counts answers that do not tell when they were made.
    """

    name: str
    held: bool
    answers: int
    unknown: int
    old_until_s: float | None
    new_after_s: float | None


@dataclass(frozen=True)
class Purged:
    """A purge, and each cache that answered after it. `problem`: the purge itself failed."""

    url: str
    nodes: tuple[Node, ...]
    watched_s: float
    problem: str = ""


@dataclass(frozen=True)
class Down:
    """What the CDN answered while its origin was down. `fresh_s` is the object's lifetime."""

    url: str
    fresh_s: int | None
    good: int
    bad: int
    said: str
    stale: int
    problem: str = ""
