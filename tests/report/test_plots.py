"""Plots: their text equivalents are right, gaps stay gaps, sizes are bounded, markup is escaped."""

from __future__ import annotations

import dataclasses
import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest
import sample
import sample_night

from pytest_deploygate.model import Distribution, Line, Series, Shares, Spans
from pytest_deploygate.report.plots import distribution, figures, series, shares, spans, timeline, timescale

T0 = datetime(2026, 3, 14, 14, 0, tzinfo=UTC)
TEN = tuple((float(n), n / 10) for n in range(1, 11))


def picture(figure: Distribution | Series | Shares | Spans) -> ET.Element:
    """Return the plot as an XML tree, which proves that it is well formed."""
    return ET.fromstring(str(figures.drawn(figure).picture))


@pytest.mark.parametrize(
    ("low", "high", "limit", "said"),
    [
        (
            8.0,
            9.5,
            10.0,
            "p90 is 9 ms (true value between 8 ms and 9.5 ms); limit 10 ms, the whole range is under it",
        ),
        (8.0, 9.5, 7.0, "limit 7 ms, the whole range is over it"),
        (8.0, 9.5, 9.0, "limit 9 ms, which lies inside the range"),
        (None, None, 10.0, "p90 is 9 ms, precision unknown; limit 10 ms; highest 10 ms"),
        (8.0, None, 10.0, "(true value at least 8 ms); limit 10 ms, which lies inside"),
        (None, 9.5, 10.0, "(true value at most 9.5 ms); limit 10 ms, the whole range is under it"),
    ],
)
def test_a_distribution_says_quantile_range_and_limit(low, high, limit, said) -> None:
    assert said in distribution.words(Distribution("t", "ms", TEN, 0.9, limit, low, high))


def test_a_distribution_without_points_says_that_nothing_is_known() -> None:
    figure = Distribution("t", "ms", (), 0.9, 10.0)
    assert distribution.words(figure) == "no samples, so nothing is known"
    assert "no samples" in picture(figure)[0].text


def test_a_quantile_that_the_points_do_not_reach_is_not_made_up() -> None:
    figure = Distribution("t", "ms", TEN[:5], 0.99, 10.0)
    assert distribution.at(figure, 0.99) is None
    assert "p99 is not seen" in distribution.words(figure)


def heights(root: ET.Element) -> list[float]:
    d = next(e.attrib["d"] for e in root.iter() if e.tag == "path")
    return [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", d)]


def test_the_curve_crosses_the_limit_where_the_values_do() -> None:
    root = picture(Distribution("t", "ms", TEN, 0.9, 5.5))
    limit = next(
        float(e.attrib["y1"]) for e in root.iter() if e.attrib.get("class") == "limit" and e.tag == "line"
    )
    assert sum(1 for y in heights(root)[1:] if y < limit) == 5  # 6 to 10; y grows downwards


def test_a_gap_breaks_the_line_and_is_said() -> None:
    line = Line("replica", ((0.0, 1.0), (10.0, 2.0), (20.0, None), (30.0, None), (40.0, 3.0), (50.0, 4.0)))
    figure = Series("lag", "s", (line,), 2.5, T0.isoformat())
    assert series.gaps(line) == [(10.0, 40.0)]
    (said,) = series.words(figure)
    assert said == (
        "replica: highest 4 s at 14:00:50, lowest 1 s, last 4 s; limit 2.5 s, 2 of 4 samples above it; "
        "nothing was seen for 30 s (1 gap)"
    )
    root = picture(figure)
    assert next(e.attrib["d"] for e in root.iter() if e.tag == "path").count("M") == 2
    assert sum(1 for e in root.iter() if e.attrib.get("class") == "gap") == 1


def test_a_band_is_drawn_between_its_edges() -> None:
    line = Line("orders", ((0.0, 50.0), (60.0, 10.0), (120.0, 95.0)))
    figure = Series("orders", "/min", (line,), 90.0, least=20.0)
    (said,) = series.words(figure)
    assert "limit 90 /min, 1 of 3 samples above it; at least 20 /min, 1 of 3 samples below it" in said
    root = picture(figure)
    band = next(e for e in root.iter() if e.attrib.get("class") == "band")
    edges = [float(e.attrib["y1"]) for e in root.iter() if e.tag == "line" and e.attrib["class"] == "limit"]
    assert [float(band.attrib["y"]), float(band.attrib["y"]) + float(band.attrib["height"])] == pytest.approx(
        edges, abs=0.02
    )
    alone = picture(Series("orders", "/min", (line,), least=20.0))
    assert sum(1 for e in alone.iter() if e.attrib.get("class") == "band") == 1


@pytest.mark.parametrize("points", [(), ((0.0, None), (9.0, None)), ((0.0, float("nan")),)])
def test_a_series_that_saw_nothing_says_so(points) -> None:
    figure = Series("lag", "s", (Line("replica", points),))
    assert series.words(figure) == ["replica: nothing was seen"]
    assert "nothing was seen" in picture(figure)[0].text


def test_a_gap_at_the_start_and_at_the_end_is_a_gap() -> None:
    assert series.gaps(Line("x", ((0.0, None), (5.0, 1.0), (9.0, None)))) == [(0.0, 5.0), (5.0, 9.0)]


def test_one_spike_among_a_hundred_thousand_is_still_drawn() -> None:
    points = tuple((float(n), 9000.0 if n == 54_321 else 1.0) for n in range(100_000))
    figure = Series("lag", "ms", (Line("replica", points),))
    root = picture(figure)
    assert min(heights(root)) < 40
    assert len(str(figures.drawn(figure).picture)) < 25_000


def test_a_short_outage_of_a_day_can_be_seen() -> None:
    """Two minutes of 24 h are drawn above the uptime, at least 0.9 % wide and around the right moment."""
    pieces = (
        (0, 20_000, "up"),
        (20_000, 20_120, "down"),
        (20_120, 20_125, "unknown"),
        (20_125, 86_400, "up"),
    )
    boxes = list(picture(Spans("day", (("A", pieces),), 86_400.0)).iter("rect"))
    assert [box.get("class") for box in boxes] == [
        "track",
        "span pass",
        "span pass",
        "span unknown",
        "span fail",
    ]
    assert boxes[-1].get("width") == "0.9%"
    assert float(boxes[-1].get("x", "").rstrip("%")) == pytest.approx(20_060 / 864 - 0.45, abs=0.01)


def test_spans_say_how_long_nobody_saw() -> None:
    figure = Spans("day", (("A", ((0, 3600, "up"), (3600, 3700, "down"))),), 7200.0, T0.isoformat())
    assert spans.words(figure) == ["A: up 60 min, down 100 s, not seen 58.3 min of 2 h"]
    widths = {e.attrib["class"]: e.attrib["width"] for e in picture(figure).iter() if e.tag == "rect"}
    assert widths == {"track": "100%", "span pass": "50%", "span fail": "1.39%"}


def test_a_state_that_nobody_knows_never_looks_up() -> None:
    figure = Spans("day", (("A", ((0, 10, "mystery"),)),), 10.0)
    assert "span pass" not in str(figures.drawn(figure).picture)


def test_time_scale_cuts_idle_time_out_and_keeps_order() -> None:
    days = [T0, T0 + timedelta(hours=1), T0 + timedelta(days=6), T0 + timedelta(days=6, hours=2)]
    scale = timescale.scale([(days[0], days[1]), (days[2], days[3])])
    places = [scale.x(day) for day in days]
    assert places == sorted(places)
    assert places[2] - places[1] < 12
    assert len(scale.breaks) == 1


def test_a_timeline_marks_what_was_measured_outside_of_its_plan() -> None:
    plan = (T0, T0 + timedelta(hours=2))
    late = timeline.Row("phase2", plan, ((T0 + timedelta(minutes=5), T0 + timedelta(hours=3)),))
    good = timeline.Row("phase1", plan, ((T0 + timedelta(minutes=5), T0 + timedelta(hours=1)),))
    text = str(timeline.draw([late, good], [timeline.Mark(T0, "HOLD", "hold")]))
    ET.fromstring(text)
    assert text.count('"measured late"') == 1
    assert text.count('"planned"') == 2
    assert ">HOLD</text>" in text
    assert timeline.draw([], []) == ""


@pytest.mark.parametrize("figure", [figure for some in sample_night.FIGURES.values() for figure in some])
def test_markup_in_a_figure_stays_text_and_pictures_stay_small(figure) -> None:
    spoilt = dataclasses.replace(figure, title=sample.EVIL)
    text = str(figures.drawn(spoilt).picture)
    assert "<script" not in text
    assert " style=" not in text
    root = ET.fromstring(text.replace("\x1b", ""))
    assert root.attrib["role"] == "img"
    assert len(text) < 12_000


def group(blocked: int, passed: int, least: float | None = 0.95):
    return ("SQL <injection>", (("blocked", blocked), ("passed", passed), ("unresolved", 0)), least)


def test_shares_name_the_groups_below_what_is_required() -> None:
    said = shares.words(Shares("t", "attacks", (group(10, 10), ("fine", (("blocked", 4),), 0.95))))
    assert said == [
        "Bars show attacks, from left to right: blocked, passed; the mark below a bar is the required share",
        "Below the required share: SQL <injection> (10 of 20)",
    ]
    assert (
        shares.words(Shares("t", "attacks", (group(20, 1),)))[-1] == "None of the 1 groups is below its share"
    )
    assert shares.words(Shares("t", "attacks", ())) == ["nothing was counted"]


def test_the_title_of_shares_has_all_groups() -> None:
    root = picture(Shares("t", "attacks", (group(19, 1), ("B", (("blocked", 0),), None))))
    assert (
        root[0].text
        == "t: SQL <injection>: 19 blocked, 1 passed of 20 attacks (at least 95% must be blocked). B: none of 0 attacks"
    )


def test_shares_fill_the_width_and_no_piece_is_too_thin() -> None:
    boxes = [
        b
        for b in picture(Shares("t", "attacks", (group(9999, 1),))).iter("rect")
        if "span" in b.attrib["class"]
    ]
    widths = [float(b.attrib["width"].rstrip("%")) for b in boxes]
    assert sum(widths) == pytest.approx(100, abs=0.1)
    assert min(widths) > 0.5
    assert [b.attrib["class"] for b in boxes] == ["span pass", "span fail"]


def test_shares_of_many_groups_are_bounded() -> None:
    many = Shares("t", "attacks", tuple(group(n, 1) for n in range(500)))
    assert len(str(figures.drawn(many).picture)) < 40_000
    assert "476 more groups: not drawn" in shares.words(many)[-1]
