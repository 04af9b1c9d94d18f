"""How much of the scope is covered: a bar of verdicts, and counts by severity."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from markupsafe import Markup

from pytest_deploygate.model import Verdict
from pytest_deploygate.report import words as say
from pytest_deploygate.report.plots.canvas import box, picture, text

Tally = Sequence[tuple[Verdict, int]]
#: Colours if a ticket system strips the style sheet, which overrides them.
COLOURS = {
    Verdict.FAIL: "#a8201a",
    Verdict.INCONCLUSIVE: "#7d4a00",
    Verdict.NOT_COVERED: "#5a4490",
    Verdict.WAIVED: "#00596b",
    Verdict.ATTESTED: "#0b5c46",
    Verdict.PASS: "#1a6632",
    Verdict.NOT_APPLICABLE: "#4d5560",
}
_LEAST, _HEIGHT = 1.5, 26


def draw(tally: Tally) -> Markup:
    """Return the bar. No piece is too thin to see, and wide pieces are labelled."""
    return picture(f"Items in scope by verdict: {words(tally)}", _HEIGHT, _parts(tally))


def words(tally: Tally) -> str:
    """Format the counts: `2 fail, 1 not covered, 5 pass`."""
    return ", ".join(f"{n:,} {say.verdict(v)}" for v, n in tally)


def _parts(tally: Tally) -> Iterator[Markup]:
    total = sum(n for _, n in tally)
    wide = [max(100 * n / total, _LEAST) for _, n in tally]
    scale = 100 / sum(wide) if wide else 1.0
    starts = itertools.accumulate((w * scale for w in wide), initial=0.0)
    for (verdict, count), width, x in zip(tally, wide, starts, strict=False):
        yield box(x, 0, width * scale, _HEIGHT, f"span {verdict.value}", colour=COLOURS[verdict])
        if width * scale > 3 + 1.1 * len(str(count)):
            yield text(x + width * scale / 2, 17.5, f"{count:,}", anchor="middle", kind="inside")
