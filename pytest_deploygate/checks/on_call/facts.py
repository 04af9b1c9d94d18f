"""Measurements of who is on call, as frozen values: no I/O, no limits."""

from __future__ import annotations

from datetime import datetime

from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Shift:
    """Somebody is on call from a time to another one. `who` are the names and addresses that the source gives."""

    who: tuple[str, ...]
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Rota:
    """The shifts that a source has between two times."""

    source: str
    start: datetime
    end: datetime
    shifts: tuple[Shift, ...]
