"""Measurements of a contact list, as frozen values: no I/O, no limits."""

from __future__ import annotations

from datetime import datetime

from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class NumberSeen:
    """A telephone number. `e164` is its canonical form, empty if it has none; then `problem` says why.

    `valid`: the numbering plan of its country has such numbers.
    """

    text: str
    e164: str = ""
    valid: bool = False
    problem: str = ""


@dataclass(frozen=True)
class MailSeen:
    """A mail address. `problem`: it is no address (RFC 5321); it has no `domain` then."""

    text: str
    domain: str = ""
    problem: str = ""


@dataclass(frozen=True)
class PersonSeen:
    """A contact, or the deputy of one. `acknowledged` is when this address last acknowledged a code."""

    role: str
    name: str = ""
    deputy: bool = False
    phone: NumberSeen | None = None
    mail: MailSeen | None = None
    acknowledged: datetime | None = None

    @property
    def label(self) -> str:
        """The role, and that it is a deputy."""
        return f"deputy of {self.role}" if self.deputy else self.role


@dataclass(frozen=True)
class DomainSeen:
    """Where a domain takes mail (RFC 5321 section 5.1).

    `exchanges` are the hosts of its MX records, best first, and `silent` those of them that have no address. `null`: it
    takes no mail (RFC 7505). `implicit`: it has no MX record, and an address of its own. `exists` is false for a name
    that does not exist. `problem`: it could not be looked up.
    """

    name: str
    exchanges: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    null: bool = False
    implicit: bool = False
    exists: bool = True
    problem: str = ""


@dataclass(frozen=True)
class ListSeen:
    """A contact list at a time, with the mail domains in it."""

    people: tuple[PersonSeen, ...]
    domains: tuple[DomainSeen, ...]
    at: datetime


@dataclass(frozen=True)
class StepSeen:
    """A step of the escalation: its place, and the hours in which the role answers, in its time zone."""

    role: str
    place: int
    hours: tuple[str, ...] = ()
    zone: str = "UTC"


@dataclass(frozen=True)
class EscalationSeen:
    """The steps of an escalation by their places, and the time from which its week is looked at."""

    steps: tuple[StepSeen, ...]
    at: datetime
