"""A table of what was met: what is drawn, in which order, and what its words say."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from pytest_deploygate.model import Grid
from pytest_deploygate.report.plots import figures, grid
from pytest_deploygate.report.plots.grid import MOST_COLUMNS, MOST_ROWS

GOOD, BAD, UNKNOWN, NONE = ("pass", "refused"), ("fail", "open"), ("unknown", "silent"), ("", "")


def texts(figure: Grid) -> list[str]:
    """Return the texts of the picture, from the top."""
    root = ET.fromstring(str(figures.drawn(figure).picture))
    return [each.text or "" for each in root.iter("text")]


def test_each_field_has_its_words_and_a_sign_beside_its_colour():
    figure = Grid("t", ("here", "web1"), (("a tcp/1", (GOOD, NONE)), ("b tcp/2", (BAD, UNKNOWN))))
    assert texts(figure) == ["here", "web1", "b tcp/2", "✗ open", "? silent", "a tcp/1", "refused"]
    (said,) = grid.words(figure)
    assert said.endswith("✗ is not as declared, ? is not known, a dashed field was not tried")
    assert grid.words(Grid("t", ("here",), (("a", (GOOD,)),)))[0].endswith("; all is as declared")
    drawn = str(grid.draw(figure))
    assert "b tcp/2: ✗ open from here, ? silent from web1. a tcp/1: refused from here" in drawn


def test_more_columns_have_shorter_words():
    figure = Grid("t", tuple("abcdef"), (("x", (GOOD,) * 6),))
    assert texts(figure)[-1] == "refu"


@pytest.mark.parametrize("bad", [0, 3, 29])
def test_what_is_wrong_is_drawn_whatever_else_is_there(bad):
    columns = tuple(f"host{n}" for n in range(30))
    rows = [(f"t{n}", (GOOD,) * 30) for n in range(40)]
    rows[bad] = (f"t{bad}", (*[GOOD] * bad, BAD, *[GOOD] * (29 - bad)))
    shown = texts(Grid("t", columns, tuple(rows)))
    assert "✗ open" in shown
    assert f"host{bad}" in shown
    said = grid.words(Grid("t", columns, tuple(rows)))
    assert said[1:] == [
        f"{40 - MOST_ROWS} more rows: not drawn, all are in the evidence",
        f"{30 - MOST_COLUMNS} more places: not drawn, all are in the evidence",
    ]


def test_nothing_was_tried():
    empty = Grid("t", (), ())
    assert grid.words(empty) == ["nothing was tried"]
    assert texts(empty) == []


def test_names_are_text():
    figure = Grid("<t>", ("<b>",), (("<script>", (GOOD,)),))
    assert "<script>" not in str(grid.draw(figure))
