"""Measurements of authentication, as frozen values: no I/O, no limits, and never a token or a password."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from pytest_deploygate.judging.own_lag import OwnLag
from pytest_deploygate.lazy import dataclass


class Outcome(StrEnum):
    """What became of a request that must be refused.

    `refused`: 401, 403 or the redirect to the login. `accepted`: it got what a good one gets. `unresolved`: neither can be said.
    """

    REFUSED = "refused"
    ACCEPTED = "accepted"
    UNRESOLVED = "unresolved"


@dataclass(frozen=True)
class Attempt:
    """A request that must be refused. `again` are the answers to the same request, sent again because it was accepted."""

    operation: str
    what: str
    outcome: Outcome
    said: str
    again: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tried:
    """A protected operation: whether a good token was answered well, before and after all others, and with which answers."""

    operation: str
    user: str
    good: bool
    said: str
    attempts: tuple[Attempt, ...] = ()


@dataclass(frozen=True)
class Operations:
    """The operations of a document: protected, open, and those named in the inventory that it does not have."""

    document: str
    protected: tuple[str, ...]
    open: tuple[str, ...]
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tokens:
    """What protected operations answered. `not_probed` says why a kind of bad token was not sent, by its part of the section.

    `revoked` is what became of a token that was ended before its time; `revocation` says why that was not tried. Both are empty
    where the platform does not promise it.
    """

    operations: Operations
    tried: tuple[Tried, ...]
    not_probed: Mapping[str, str]
    untried: Mapping[str, str]
    requests: int
    discovery: Discovery | None = None
    rotation: Rotation | None = None
    revoked: Attempt | None = None
    revocation: str = ""


@dataclass(frozen=True)
class Key:
    """A published key. `bits` is its size (None: unknown); `private` is true if secret parts are published."""

    kid: str
    kty: str
    bits: int | None = None
    private: bool = False
    problem: str = ""


@dataclass(frozen=True)
class Discovery:
    """The discovery document and the keys that it names. `problem` says why one could not be read.

    `expected` is the issuer that it must name. `plain` are its endpoints without TLS. `token_kid` and `signed` tell of a good
    token: its key's id, and whether a published key verifies it; None: it is no JWT.
    """

    url: str
    expected: str
    issuer: str = ""
    algorithms: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()
    jwks_uri: str = ""
    keys: tuple[Key, ...] = ()
    problem: str = ""
    token_kid: str | None = None
    token_issuer: str | None = None
    signed: bool | None = None


@dataclass(frozen=True)
class Rotation:
    """What happened when keys were rotated. `problem` says why nothing can be told.

    `renewed`: a new token has another key than one from before, and it is published. `new` and `old` are the answers to a token
    from after and from before.
    """

    problem: str = ""
    renewed: bool = False
    new_good: bool = False
    new: str = ""
    old_good: bool = False
    old: str = ""


@dataclass(frozen=True)
class Use:
    """A user and an operation that its role may use, or may not. `known` is false if the document has no such operation.

    `control` says who was let in there, if it may not be used; empty if nobody was.
    """

    user: str
    operation: str
    allowed: bool
    outcome: Outcome
    said: str
    control: str = ""
    again: tuple[str, ...] = ()
    known: bool = True


@dataclass(frozen=True)
class Reach:
    """An object of one user, asked for by another one. `owner_said` is the owner's own answer; `good` if that was the object."""

    operation: str
    owner: str
    other: str
    good: bool
    owner_said: str
    outcome: Outcome = Outcome.UNRESOLVED
    said: str = ""
    again: tuple[str, ...] = ()


@dataclass(frozen=True)
class Crossing:
    """What the platform answered to a page of another origin. `origin` and `credentials` are its headers, empty if missing."""

    origin: str
    asked: str
    preflight: bool
    allowed: bool
    said: str
    credentials: bool = False
    answered: bool = True


@dataclass(frozen=True)
class Access:
    """Roles, objects of others, and other origins. `problems` are users without a token, each with why."""

    uses: tuple[Use, ...]
    reaches: tuple[Reach, ...]
    crossings: tuple[Crossing, ...]
    problems: Mapping[str, str]


@dataclass(frozen=True)
class Cookie:
    """A cookie as it was set; `same_site` is empty if it has none."""

    name: str
    secure: bool
    http_only: bool
    same_site: str
    partitioned: bool = False
    domain: str = ""
    path: str = ""


@dataclass(frozen=True)
class Page:
    """A page for logged-in users, asked for with and without a session."""

    path: str
    good: bool
    said: str
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True)
class Refusals:
    """Logins of one kind that must be refused: the answers' statuses and forms with their numbers, and how long each took.

    `problem` is why there are no more of them.
    """

    kind: str
    answers: Mapping[str, int]
    forms: tuple[str, ...]
    took_s: tuple[float, ...]
    let_in: int = 0
    problem: str = ""


@dataclass(frozen=True)
class Session:
    """A login, what it gave, and how it ended.

    `renewed`: the session's cookie after the login is not the one that was sent with it (None: the platform gave none before).
    `ended`: the page with the old cookie after the logout; None if there was no logout.
    """

    user: str
    good: bool
    said: str
    cookie: Cookie | None = None
    renewed: bool | None = None
    pages: tuple[Page, ...] = ()
    logout: str = ""
    ended: Attempt | None = None


@dataclass(frozen=True)
class Logins:
    """The form's session and the two kinds of refused logins."""

    session: Session
    wrong: Refusals | None
    unknown: Refusals | None
    lag: OwnLag = OwnLag()


@dataclass(frozen=True)
class Locking:
    """The account made for it, in order: the right password before, wrong ones, the right one after, another user, and unlocked.

    `before` and the others are answers in words; the flags say whether the login was good. `problem` says why no more was done.
    """

    name: str
    before_good: bool
    before: str
    wrong: int = 0
    wrong_said: tuple[str, ...] = ()
    after_good: bool | None = None
    after: str = ""
    other_good: bool | None = None
    other: str = ""
    unlocked_good: bool | None = None
    unlocked: str = ""
    problem: str = ""
