"""Measurements of dashboards, as frozen values: no I/O, no limits."""

from __future__ import annotations

from pytest_deploygate.judging.own_lag import OwnLag
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Picture


@dataclass(frozen=True)
class Answer:
    """An answer with data. `points` are those with a value, `empty` those without; `newest_s` is in seconds since 1970.

    `problem` says why its points could not be read.
    """

    url: str
    status: int
    points: int = 0
    empty: int = 0
    newest_s: float | None = None
    problem: str = ""


@dataclass(frozen=True)
class Element:
    """What an element showed: None if it is not there. For a chart `colours` is how many its picture has."""

    selector: str
    text: str | None
    colours: int | None = None


@dataclass(frozen=True)
class Value:
    """What a query returned before the page was opened and after it was there; None if it returned nothing.

    `problem`: it could not be run.
    """

    before: float | None = None
    after: float | None = None
    problem: str = ""


@dataclass(frozen=True)
class Painting:
    """One visit. `took_s` is from opening the page until it had all that was expected; None if that never was.

    `data`, `shows`, `charts` and `values` are in the order of the section. `unwanted` are texts that it must not show,
    `failed` requests and errors of the page in words. `at_s` is when that was seen, in seconds since 1970; `vitals` are
    the page's Core Web Vitals in words.
    """

    status: int | None
    took_s: float | None
    at_s: float
    data: tuple[tuple[Answer, ...], ...] = ()
    shows: tuple[Element, ...] = ()
    charts: tuple[Element, ...] = ()
    values: tuple[Value | None, ...] = ()
    unwanted: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    landed: str = ""
    vitals: str = ""
    lag: OwnLag = OwnLag()
    picture: Picture | None = None


@dataclass(frozen=True)
class Opened:
    """A dashboard with all its visits."""

    name: str
    url: str
    visits: tuple[Painting, ...]
