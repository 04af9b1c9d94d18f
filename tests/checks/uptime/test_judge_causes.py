"""Why time is unknown is said in words of its own: no sample, a failed answer, our own network, a disagreement, no record."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pytest_deploygate.checks.uptime.facts import View, Watched
from pytest_deploygate.checks.uptime.judge import judge
from pytest_deploygate.checks.uptime.probe.stretches import Point, stretches
from pytest_deploygate.checks.uptime.section import Uptime
from pytest_deploygate.model import Judgement, Verdict

DAY, T0, EVERY_S = 86400.0, 1_800_000_000.0, 5.0
Spans = list[tuple[float, float]]


def view(name: str, *, down: Spans = (), unseen: Spans = (), cut_off: Spans = ()) -> View:
    """What a vantage point saw; spans are (from, to) in seconds after t0, and hold the samples from `from` on."""
    moments = [n * EVERY_S for n in range(int(DAY / EVERY_S) + 1)]

    def within(spans: Spans, at: float) -> bool:
        return any(a <= at < b for a, b in spans)

    seen = [at for at in moments if not within(unseen, at) and not within(cut_off, at)]
    points = [Point(T0 + at, not within(down, at), EVERY_S) for at in seen]
    failed = sum(not p.up for p in points)
    return View(
        name,
        f"{name}.watch",
        "0" * 64,
        EVERY_S,
        None,
        stretches(points),
        len(points),
        failed,
        0,
        failing=tuple((T0 + a, T0 + b - EVERY_S) for a, b in down),
        cut_off=tuple((T0 + a, T0 + b - EVERY_S) for a, b in cut_off),
    )


def judged(*views: View, **more: object) -> Judgement:
    told = Uptime.model_validate(
        {"targets": [{"name": "front", "url": "http://front/"}], "t0": datetime.fromtimestamp(T0, UTC)} | more
    )
    return judge(Watched("front", T0 + DAY + 60, views), told)


HOUR = [(3600.0, 7200.0)]
SINGLE = [(600.0 * n, 600.0 * n + 5) for n in range(1, 11)]


@pytest.mark.parametrize(
    ("views", "more", "words"),
    [
        ([view("a", unseen=HOUR)], {}, "3600 s were not observed"),
        ([view("a", cut_off=HOUR)], {}, "3600 s passed while the network of the watch itself was down"),
        ([view("a", down=SINGLE)], {}, "100 s are around failed answers"),
        (
            [view("a"), view("b", down=HOUR)],
            {},
            "3595 s were up from some vantage points and down from others",
        ),
        (
            [view("a")],
            {"vantage_points": 3},
            "lack the records of vantage points that `vantage_points` promises",
        ),
        ([view("a"), view("b")], {"vantage_points": 4}, "86400 s lack the records of vantage points"),
        ([view("a"), view("b", unseen=HOUR)], {}, "3600 s were not observed"),
        ([view("a"), view("b", cut_off=HOUR)], {}, "3600 s passed while the network of the watch itself"),
        ([view("a", down=[(50000, 50005)], unseen=[(50005, 53605)])], {}, "10 s are around failed answers"),
        ([view("a", down=[(50000, 50005)], unseen=[(50005, 53605)])], {}, "3597.5 s were not observed"),
    ],
)
def test_each_cause_is_named(views: list[View], more: dict[str, object], words: str) -> None:
    found = judged(*views, **more)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert words in found.reason, found.reason


def test_several_causes_are_told_apart_and_add_up() -> None:
    found = judged(view("a", down=SINGLE, unseen=HOUR, cut_off=[(10000, 10100)]))
    by_name = {r.name: r.value for r in found.readings}
    parts = {name: value for name, value in by_name.items() if name.startswith("unknown: ")}
    assert set(parts) == {"unknown: unobserved", "unknown: around failures", "unknown: own network"}
    assert sum(parts.values()) == pytest.approx(by_name["unknown"])


@pytest.mark.parametrize("others", [2, 3, 4])
def test_one_place_that_saw_it_down_is_mentioned_in_a_pass(others: int) -> None:
    """Most saw it up, so it passes; but somebody behind that place was cut off for an hour."""
    found = judged(*(view(f"v{n}") for n in range(others)), view("paris", down=HOUR))
    assert found.verdict is Verdict.PASS
    assert "but paris saw it down for 3595 s while most saw it up" in found.reason
    assert any("paris saw it down" in note for note in found.notes)


def test_places_that_agree_are_not_mentioned() -> None:
    found = judged(view("a"), view("b"), view("c"))
    assert found.verdict is Verdict.PASS
    assert "but" not in found.reason
    assert not any("while most saw it up" in note for note in found.notes)


@pytest.mark.parametrize(
    ("target", "noted"),
    [
        ({"url": "http://front/"}, True),
        ({"url": "http://front/", "contains": "welcome"}, False),
        ({"url": "http://front/", "matches": "wel+come"}, False),
        ({"url": "http://front/", "method": "HEAD"}, False),
        ({"url": "http://front/", "status": [204]}, False),
        ({"tcp": "front:443"}, False),
    ],
)
def test_an_error_page_with_a_good_status_is_not_seen_and_that_is_said(target: dict, noted: bool) -> None:
    found = judged(view("a"), targets=[{"name": "front"} | target])
    assert found.verdict is Verdict.PASS
    assert any("`contains`" in note for note in found.notes) is noted
