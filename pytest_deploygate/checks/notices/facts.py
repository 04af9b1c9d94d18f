"""What is known of the notices of a change, as frozen values: no I/O, no limits."""

from __future__ import annotations

from datetime import datetime

from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Wanted:
    """A notice that an audience must have got."""

    notice: str
    audience: str


@dataclass(frozen=True)
class Delivery:
    """What the record says of a notice to one recipient of today's audience.

    `state` is that of the last message: `accepted`, `refused`, `waiting`, `uncertain`, or empty where none was ever queued.
    `current`: it was made from the template and the values as they are now. `at` is when its state was recorded. `tries` are the
    attempts of that message, `answered` says that a person, not the server, said what became of it. `reasons` are those for
    which it was sent once more.
    """

    called: str
    state: str = ""
    said: str = ""
    id: str = ""
    current: bool = True
    at: datetime | None = None
    tries: int = 1
    answered: bool = False
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sent:
    """A notice to an audience. `problems` say why it could not be rendered now, each with its file and line.

    `unknown` says why the recipients or the record could not be read. `commanded` is the command that sends it.
    """

    notice: str
    audience: str
    deliveries: tuple[Delivery, ...]
    problems: tuple[str, ...] = ()
    unknown: str = ""
    commanded: str = ""
