"""Changes between two runs: every transition of a verdict is listed, and noise is not a change."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest
import sample
from sample_night import _waiver

from pytest_deploygate.decision.compose import ItemResult
from pytest_deploygate.model import Item, Kind, Reading, Severity, Verdict, Weakening
from pytest_deploygate.report import changes, noise
from pytest_deploygate.report.changes import Kind as Changed

ITEM = Item("x.y", "text", "phase2", Severity.MAJOR, Kind.AUTOMATED)


def result(verdict: Verdict, *readings: Reading, inside: bool = True, target: str = "t") -> ItemResult:
    found = sample.finding("x.y", target, verdict, "why", *readings)
    return ItemResult(ITEM, verdict, "why", inside, (found,))


def compared(before: ItemResult | None, after: ItemResult | None, earlier=None) -> list[tuple[Changed, str]]:
    sides = [changes.Side((r,) if r else ()) for r in (before, after)]
    return [(c.kind, c.text) for c in changes.compare(*sides, earlier or {})]


@pytest.mark.parametrize(
    ("was", "now", "kind"),
    [
        (Verdict.PASS, Verdict.FAIL, Changed.FAILING),
        (Verdict.WAIVED, Verdict.FAIL, Changed.FAILING),
        (Verdict.NOT_COVERED, Verdict.FAIL, Changed.FAILING),
        (Verdict.PASS, Verdict.NOT_COVERED, Changed.UNCOVERED),
        (Verdict.ATTESTED, Verdict.NOT_COVERED, Changed.UNCOVERED),
        (Verdict.FAIL, Verdict.INCONCLUSIVE, Changed.UNKNOWN),
        (Verdict.FAIL, Verdict.WAIVED, Changed.WAIVER),
        (Verdict.WAIVED, Verdict.PASS, Changed.WAIVER),
        (Verdict.FAIL, Verdict.PASS, Changed.FIXED),
        (Verdict.NOT_COVERED, Verdict.ATTESTED, Changed.FIXED),
        (Verdict.PASS, Verdict.NOT_APPLICABLE, Changed.OTHER),
    ],
)
def test_each_turn_of_a_verdict_has_its_place(was: Verdict, now: Verdict, kind: Changed) -> None:
    ((found, text),) = compared(result(was), result(now))
    assert found is kind
    assert text.startswith("x.y: ")


@pytest.mark.parametrize("verdict", list(Verdict))
def test_the_same_is_no_change(verdict: Verdict) -> None:
    assert compared(result(verdict), result(verdict)) == []


def test_another_target_that_fails_is_newly_failing_though_the_item_failed_before() -> None:
    before, after = result(Verdict.FAIL), result(Verdict.FAIL)
    more = dataclasses.replace(
        after, findings=(*after.findings, sample.finding("x.y", "u", Verdict.FAIL, "worse"))
    )
    ((kind, text),) = compared(before, more)
    assert kind is Changed.FAILING
    assert text == "x.y [u]: not there before, fail now: worse"


def test_what_left_the_scope_is_not_known_and_not_fixed() -> None:
    ((kind, text),) = compared(result(Verdict.FAIL), result(Verdict.FAIL, inside=False))
    assert kind is Changed.SCOPE
    assert "its state is unknown" in text
    assert compared(result(Verdict.FAIL), None)[0] == (Changed.SCOPE, "x.y was removed from the checklist")
    assert compared(None, result(Verdict.PASS))[0][0] is Changed.SCOPE


def ms(value) -> Reading:
    return Reading("p99", value, "ms", "≤ 500 ms", True)


def test_a_number_within_the_stated_bound_has_not_moved_and_beyond_it_has() -> None:
    assert compared(result(Verdict.PASS, ms(100)), result(Verdict.PASS, ms(119))) == []
    ((kind, text),) = compared(result(Verdict.PASS, ms(100)), result(Verdict.PASS, ms(121)))
    assert kind is Changed.MOVED
    assert "from 100 ms to 121 ms (+21%); stated bound of 20%: 1 earlier value is too few" in text
    assert "limit ≤ 500 ms" in text


def test_with_earlier_values_their_own_noise_decides() -> None:
    """119 is far outside the range of four quiet runs, and 160 within that of four noisy ones."""
    quiet = {("x.y", "t", "p99"): [99, 100, 101, 100]}
    ((kind, text),) = compared(result(Verdict.PASS, ms(100)), result(Verdict.PASS, ms(119)), quiet)
    assert kind is Changed.MOVED
    assert "noise of 5 earlier values (95 to 105)" in text
    loud = {("x.y", "t", "p99"): [60, 140, 80, 120]}
    assert compared(result(Verdict.PASS, ms(100)), result(Verdict.PASS, ms(160)), loud) == []


@pytest.mark.parametrize("value", [None, True, float("nan"), float("inf")])
def test_what_is_no_number_is_compared_as_a_word(value) -> None:
    ((kind, _),) = compared(result(Verdict.PASS, ms(100)), result(Verdict.PASS, ms(value)))
    assert kind is Changed.MOVED


def test_a_word_that_nothing_judges_may_change() -> None:
    before, after = (result(Verdict.PASS, Reading("plan", p)) for p in ("Index Scan", "Seq Scan"))
    assert compared(before, after) == []


def test_values_that_never_changed_leave_room_of_five_per_cent() -> None:
    band = noise.band(100, [100, 100, 100])
    assert (band.low, band.high) == (95, 105)


def test_waivers_new_lengthened_and_gone() -> None:
    one = _waiver("x.y", 7)
    longer = dataclasses.replace(one, expires=one.expires + timedelta(days=1))
    for before, after, said in (
        ((), (one,), "new waiver by operations-manager, approved by deployment-lead"),
        ((one,), (longer,), "waiver lengthened"),
        ((longer,), (one,), "waiver shortened"),
        ((one,), (dataclasses.replace(one, reason="another reason"),), "waiver rewritten"),
        ((one,), (), "waiver was removed"),
    ):
        (change,) = changes.compare(changes.Side((), before), changes.Side((), after), {})
        assert change.kind is Changed.WAIVER
        assert said in change.text


def test_new_weakenings_that_bear_on_nothing_in_scope_are_one_change() -> None:
    weaker = (
        Weakening("here", ("x.y",)),
        Weakening("anywhere"),
        Weakening("a", ("o.a",)),
        Weakening("b", ("o.b",)),
    )
    mine = (result(Verdict.PASS),)
    found = changes.compare(changes.Side(mine, (), weaker[:0]), changes.Side(mine, (), weaker), {})
    assert [(c.kind, c.text) for c in found] == [
        (Changed.WEAKER, "here"),
        (Changed.WEAKER, "anywhere"),
        (Changed.WEAKER, "2 weakenings bear on no item in scope: a; b"),
    ]
    assert (
        changes.compare(changes.Side(mine, (), (Weakening("here"),)), changes.Side(mine, (), weaker[:1]), {})
        == ()
    )


def test_many_items_that_leave_the_scope_are_one_line_of_the_report():
    """A run of another phase moves a hundred items: their number, how, and the first of them, in the place of the first."""
    few = [changes.Change(Changed.SCOPE, f"a.{n}", "", f"a.{n} joined the scope") for n in range(5)]
    many = [
        changes.Change(Changed.SCOPE, f"b.{n}", "", f"b.{n} is out of scope now: its state is unknown")
        for n in range(7)
    ]
    failing = changes.Change(Changed.FAILING, "c.1", "", "c.1: pass before, fail now")
    moved = changes.Change(Changed.MOVED, "c.2", "", "c.2: lag went from 1 to 9")
    found = list(changes.grouped([failing, *many, *few, moved]))
    assert (found[0], found[2:]) == (failing, [*few, moved])
    assert found[1].text == (
        "7 items are out of scope now, so their state is unknown: b.0, b.1, b.2, b.3, b.4 and 2 more"
    )
