"""Measurements of the platform's alerts, as frozen values: no I/O, no limits."""

from __future__ import annotations

from pytest_deploygate.judging.own_lag import OwnLag
from pytest_deploygate.judging.sent_reading import Sent
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Picture


@dataclass(frozen=True)
class Alert:
    """An alert as the list has it."""

    id: str
    device: str
    firing: bool


@dataclass(frozen=True)
class OnPage:
    """When the page showed the alert as firing, and when not any more; None if it did not. `shown` is its text at the end.

    `status` is the page's. `failed` is what went wrong on it, in words.
    """

    status: int | None
    shown_after_s: float | None = None
    gone_after_s: float | None = None
    shown: str = ""
    failed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Episode:
    """One alert that was caused, and what came of it. Times are None for what did not happen while it was waited for.

    `left` are ids of the device's alerts that fired before and did not clear. `raised` are the device's new alerts, `others`
    the new ones of other devices. `problem` says why the list could not be read meanwhile. `lag` is ours while it was raised,
    `clear_lag` while it cleared.
    """

    device: str
    left: tuple[str, ...] = ()
    over: tuple[Sent, ...] = ()
    raised: tuple[Alert, ...] = ()
    raised_after_s: float | None = None
    others: tuple[Alert, ...] = ()
    normal: Sent | None = None
    cleared_after_s: float | None = None
    problem: str = ""
    page: OnPage | None = None
    lag: OwnLag = OwnLag()
    clear_lag: OwnLag = OwnLag()
    pictures: tuple[Picture, ...] = ()
