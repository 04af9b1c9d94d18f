"""A drill as a timeline: bars, who took writes, and when clients could write and read again."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from pytest_deploygate.drills.timeline import takeover as from_record
from pytest_deploygate.model import Takeover
from pytest_deploygate.report.plots import figures, takeover

COUNTS = (40, 42, 41, 43, 40, 42, 41, 40, 42, 12, *[0] * 21, 6, 30, 41, 42, 41, 40)
DRILL = Takeover(
    "failover drill of 2026-11-30 01:11 UTC", COUNTS, 0.93,
    (("db1", ((0.0, 0.93),)), ("db2", ((3.05, 3.7),)), ("db3", ())), 3.1, 1.4, "2026-11-30T01:11:04+00:00",
)  # fmt: skip


def picture(figure: Takeover) -> ET.Element:
    return ET.fromstring(str(takeover.draw(figure)))


def test_it_says_in_words_what_it_shows():
    assert takeover.words(DRILL) == [
        "583 writes acknowledged, at most 43 in a tenth of a second",
        "clients could write again 2.17 s after the fault",
        "clients could read again 0.47 s after the fault",
        "db1 took writes from the beginning to the fault",
        "db2 took writes from 2.12 s after the fault to the end",
        "db3 took no writes",
    ]


def test_bars_are_one_path_and_nodes_are_rows():
    drawn = picture(DRILL)
    bars = [each for each in drawn.iter("path") if each.get("class") == "bars"]
    assert len(bars) == 1
    assert bars[0].get("d", "").count("M") == sum(1 for each in COUNTS if each)
    boxes = [each.get("class") for each in drawn.iter("rect")]
    assert boxes == ["track", "span pass", "track", "span pass", "track"]
    said = " ".join(each.text or "" for each in drawn.iter("text"))
    for word in ("fault", "write again", "read", "db1 takes writes", "db3: no writes", "UTC"):
        assert word in said


def test_two_nodes_that_take_writes_are_red_and_said():
    two = Takeover("two", COUNTS, 0.93, (("db1", ((0.0, 0.93), (3.2, 3.6))), ("db2", ((3.05, 3.7),))))
    assert "more than one node took writes for 0.4 s" in takeover.words(two)
    red = [each.get("width") for each in picture(two).iter("rect") if each.get("class") == "span fail"]
    assert red == ["10.81%", "10.81%"]
    assert not [1 for each in picture(DRILL).iter("rect") if each.get("class") == "span fail"]


def test_a_long_drill_has_a_bounded_number_of_bars():
    drawn = str(takeover.draw(Takeover("long", (7,) * 40_000, 100.0)))
    assert len(drawn) < 12_000


@pytest.mark.parametrize("counts", [(), (0, 0, 0)])
def test_without_writes_there_is_a_picture_too(counts):
    assert str(figures.drawn(Takeover("empty", counts, 0.0)).picture).startswith("<svg")
    assert "clients did not write again while it was watched" in takeover.words(Takeover("e", (0,), 0.0))


def test_a_record_with_counts_is_a_picture_and_one_without_is_none():
    assert from_record("t", (), 0.5, (), None, None) == ()
    # db1 goes on taking writes while db2 begins: two nodes at a time are two bars above each other.
    writable = [(-0.5, 0.2, ("db1",)), (0.2, 0.6, ("db1", "db2")), (0.6, 2.0, ("db2",))]
    (made,) = from_record("t", (3, 4), 0.5, writable, 1.0, None)
    assert made == Takeover("t", (3, 4), 0.5, (("db1", ((0.0, 1.1),)), ("db2", ((0.7, 2.5),))), 1.5, None)
