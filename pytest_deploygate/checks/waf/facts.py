"""Measurements of a WAF, as frozen values: no I/O, no limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from pytest_deploygate.lazy import dataclass


class Result(StrEnum):
    """What became of a request.

    `blocked`: the answer is that of the WAF. `passed`: it is that which the application gives to the same request
    without the payload. `unresolved`: neither can be said.
    """

    BLOCKED = "blocked"
    PASSED = "passed"
    UNRESOLVED = "unresolved"


@dataclass(frozen=True)
class Attack:
    """One attack that was sent. `levels` are the paranoia levels from which rule sets may be expected to block it.

    `said` is what an unresolved one was answered with; `page` is the form of an answer that no ordinary request got.
    """

    name: str
    corpus: str
    attack_class: str
    placement: str
    encoding: str
    cwe: str
    levels: Mapping[str, int]
    result: Result
    said: str = ""
    page: str = ""


@dataclass(frozen=True)
class Ordinary:
    """One ordinary request that was sent. `said` is its answer."""

    name: str
    traffic: str
    result: Result
    said: str


@dataclass(frozen=True)
class Sentinel:
    """A plain GET between the attacks. `after` is how many attacks had been sent; an empty `source` is the usual one."""

    after: int
    result: Result
    said: str
    source: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Control:
    """A form of request without a payload, for as many attacks as have it."""

    name: str
    result: Result
    said: str


#: The vantage point of the gate itself.
HERE = "here"


class Opening(StrEnum):
    """What an attempt to reach an origin met.

    `served`: the application answered an attack. `guarded`: it answered, and the attack was blocked. `refuses`: it answers
    requests that did not come through the WAF with an error of its own. `closed`: no connection. `unknown`: not tried, or
    no answer that says anything.
    """

    SERVED = "served"
    GUARDED = "guarded"
    REFUSES = "refuses"
    CLOSED = "closed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Door:
    """An address at which the platform could be reached around the WAF, tried from a vantage point.

    `own` is true for an address of the WAF's own name.
    """

    origin: str
    address: str
    vantage: str
    opening: Opening
    said: str
    own: bool = False


@dataclass(frozen=True)
class Corpus:
    """A corpus that was sent: `left_out` says which of its requests were not, and why, each with their number."""

    name: str
    version: str
    attacks: int
    left_out: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """A run against a WAF. `ended` says why it ended early; empty for a whole one. `target` is where it was sent."""

    target: str
    corpora: tuple[Corpus, ...]
    controls: tuple[Control, ...]
    sentinels: tuple[Sentinel, ...]
    ordinary: tuple[Ordinary, ...]
    attacks: tuple[Attack, ...]
    doors: tuple[Door, ...]
    requests: int
    took_s: float
    ended: str = ""
