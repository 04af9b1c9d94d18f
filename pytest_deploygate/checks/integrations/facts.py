"""What a partner answered: to our credential, to none, and from our hosts."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pytest_deploygate.lazy import dataclass


class Silence(StrEnum):
    """Why no answer came: our own side did not get there, the partner did not answer, or its certificate is not trusted."""

    OURS = "ours"
    THEIRS = "theirs"
    UNTRUSTED = "untrusted"


@dataclass(frozen=True)
class Answer:
    """One request. `status` is None if no answer came; `silence` and `said` say why then.

    `agreed` is whether its status is one that was agreed on; only then `lacking` is what the contract says and the answer has
    not. `error` is the text of another answer, shortened.
    """

    request: str
    status: int | None
    silence: Silence | None = None
    said: str = ""
    took_s: float = 0.0
    agreed: bool = False
    lacking: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Validity:
    """Until when a credential is valid, and who says so. `until` is None if that cannot be read: `said` is what was found."""

    source: str
    until: datetime | None
    said: str = ""


@dataclass(frozen=True)
class FromHost:
    """What a host of the platform got without our credential: a status, or why none. `ours` is whether we could not ask it."""

    host: str
    status: int | None
    said: str = ""
    ours: bool = False


@dataclass(frozen=True)
class Found:
    """All that was seen of one partner, at a time.

    `login` is empty, or why there is no credential to send: `refused` is whether the token endpoint refused us. `without` is
    the first request without a credential, None if that was not asked. `stage` is what the partner says of its stage.
    """

    at: datetime
    host: str
    answers: tuple[Answer, ...] = ()
    without: Answer | None = None
    validity: tuple[Validity, ...] = ()
    stage: str | None = None
    login: str = ""
    refused: bool = False
    test_key: str = ""
    hosts: tuple[FromHost, ...] = ()
