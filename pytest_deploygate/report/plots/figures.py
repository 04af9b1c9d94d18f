"""A figure of a judgement as the page shows it: picture, title, and a description in words."""

from __future__ import annotations

from markupsafe import Markup

from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import (
    Distribution,
    Figure,
    Grid,
    Picture,
    Places,
    Series,
    Shares,
    Spans,
    Takeover,
)
from pytest_deploygate.report.plots import distribution, grid, pages, places, series, shares, spans, takeover


@dataclass(frozen=True)
class Drawn:
    """A picture with its title and description."""

    title: str
    words: tuple[str, ...]
    picture: Markup


def drawn(figure: Figure) -> Drawn:
    """Draw a figure."""
    match figure:
        case Distribution():
            return Drawn(figure.title, (distribution.words(figure),), distribution.draw(figure))
        case Series():
            return Drawn(figure.title, tuple(series.words(figure)), series.draw(figure))
        case Spans():
            return Drawn(figure.title, tuple(spans.words(figure)), spans.draw(figure))
        case Shares():
            return Drawn(figure.title, tuple(shares.words(figure)), shares.draw(figure))
        case Places():
            return Drawn(figure.title, tuple(places.words(figure)), places.draw(figure))
        case Grid():
            return Drawn(figure.title, tuple(grid.words(figure)), grid.draw(figure))
        case Takeover():
            return Drawn(figure.title, tuple(takeover.words(figure)), takeover.draw(figure))
        case Picture():
            return Drawn(figure.title, tuple(pages.words(figure)), pages.draw(figure))
