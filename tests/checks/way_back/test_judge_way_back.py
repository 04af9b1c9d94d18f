"""The runbook, the baseline, the loss and the fence: what is unknown is never a pass, and reasons name the next step."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pytest_deploygate.checks.way_back.facts import Clients, Lost, OldSideSeen
from pytest_deploygate.checks.way_back.judge import baseline, loss, old_side, rollback_plan
from pytest_deploygate.checks.way_back.judge.baseline import BaselineSeen, Wanted
from pytest_deploygate.checks.way_back.judge.loss import Bearable
from pytest_deploygate.checks.way_back.judge.rollback_plan import Fits, PlanSeen, StepSeen
from pytest_deploygate.checks.way_back.section.fence import Fence
from pytest_deploygate.model import Verdict

CUTOVER = datetime(2026, 3, 4, 22, tzinfo=UTC)
DAY = timedelta(days=1)

STEP = StepSeen(
    "DNS back", "would switch", "every server asked", 60.0, "3 rehearsals", "technical-lead", True, ()
)
PLAN = PlanSeen((STEP,), 60.0, (), CUTOVER, CUTOVER - DAY, (), ("technical-lead",))
FITS = Fits(timedelta(minutes=30), timedelta(days=90))


@pytest.mark.parametrize(
    ("more", "verdict", "words"),
    [
        ({}, "pass", "the last at 2026-03-03 22:00 UTC"),
        ({"problems": ("the steps take 40 min",)}, "fail", "rollback plan"),
        (
            {"steps": (replace(STEP, unreached="ssh://db9.invalid cannot be accessed"),)},
            "inconclusive",
            "DNS back could not be dry-run from here: ssh://db9.invalid",
        ),
        (
            {"steps": (replace(STEP, problems=("nothing verifies it",)),)},
            "fail",
            "DNS back: nothing verifies it",
        ),
        ({"rehearsed_at": None}, "inconclusive", "never rehearsed"),
        ({"rehearsed_at": CUTOVER - 91 * DAY}, "inconclusive", "91 d old, more than 90 d"),
        ({"rehearsed_at": CUTOVER + DAY}, "inconclusive", "in the future"),
        ({"unrehearsed": ("DNS back",)}, "inconclusive", "no recorded rehearsal ran DNS back"),
    ],
)
def test_a_runbook_passes_only_sound_and_rehearsed(more, verdict, words):
    found = rollback_plan.judge_runbook(replace(PLAN, **more), FITS)
    assert (found.verdict, words in found.reason) == (Verdict(verdict), True), found.reason


def test_whom_nobody_can_call_is_noted():
    found = rollback_plan.judge_runbook(replace(PLAN, callable_roles=()), FITS)
    assert "not in the contact list: technical-lead" in " ".join(found.notes)
    assert "point of no return: DNS back" in " ".join(found.notes)


def test_health_checks_that_look_at_the_status_alone_are_noted():
    found = rollback_plan.judge_runbook(replace(PLAN, status_only=("old application", "front")), FITS)
    assert found.verdict is Verdict.PASS
    assert "only the status of old application, front is looked at" in " ".join(found.notes)


SEEN = BaselineSeen(
    "before", "", False, "prod", CUTOVER - DAY, ("golive.dns", "golive.errors"), ("golive.errors",)
)
WANTED = Wanted("prod", ("golive.dns", "golive.errors"), 7 * DAY, CUTOVER, "golive")


@pytest.mark.parametrize(
    ("more", "verdict", "words"),
    [
        ({}, "pass", "1 of all items were red then"),
        ({"red": ()}, "pass", "none was red"),
        (
            {"problem": "there is no journal in x", "missing": True},
            "inconclusive",
            "--change before` before the",
        ),
        ({"problem": "the chain is broken"}, "fail", "--change before` before the change"),
        ({"at": None}, "fail", "no time"),
        ({"measured": ("golive.dns",)}, "fail", "did not measure golive.errors"),
        ({"measured": ()}, "fail", "did not measure golive.dns, golive.errors"),
        (
            {"measured": ("golive.dns",), "unclear": ("golive.errors",)},
            "inconclusive",
            "asked golive.errors and found no answer, so whether that was red before is unknown",
        ),
        ({"measured": (), "unclear": ("golive.errors",)}, "fail", "did not measure golive.dns,"),
        ({"at": CUTOVER - 8 * DAY}, "fail", "8 d old, more than 7 d"),
        (
            {"at": CUTOVER + timedelta(hours=3)},
            "fail",
            "3 h after the cutover: that is not before the change",
        ),
        ({"inventory": "staging"}, "fail", "of the inventory 'staging', not 'prod'"),
    ],
)
def test_a_baseline_is_from_before_whole_and_of_this_inventory(more, verdict, words):
    found = baseline.judge_baseline(replace(SEEN, **more), WANTED)
    assert (found.verdict, words in found.reason) == (Verdict(verdict), True), found.reason


def test_what_was_red_before_is_named_and_a_baseline_of_nothing_proves_nothing():
    assert "no reason to roll back: golive.errors" in baseline.judge_baseline(SEEN, WANTED).notes[0]
    assert baseline.judge_baseline(SEEN, replace(WANTED, items=())).verdict is Verdict.INCONCLUSIVE


LOST = Lost(CUTOVER, 12, "", CUTOVER + timedelta(minutes=3), CUTOVER + timedelta(minutes=10))
BEARABLE = Bearable(None, "pg_dump …", ("database back",))


@pytest.mark.parametrize(
    ("lost", "may", "verdict", "words"),
    [
        ({}, {}, "pass", "loses 12 rows that the new side accepted since the cutover at 2026-03-04 22:00:00 UTC;"
         " a rollback lost nothing until 2026-03-04 22:03:00 UTC"),
        ({"rows": 0, "first": None}, {}, "pass", "loses nothing"),
        ({"rows": None, "problem": "it cannot be counted: x"}, {}, "inconclusive", "cannot be counted"),
        ({}, {"acceptable": 11}, "fail", "more than the 11 that are acceptable"),
        ({}, {"acceptable": 12}, "pass", "12 rows"),
        ({}, {"saved_by": ""}, "fail", "no export is configured: add rollback.loss.export"),
        ({}, {"saved_by": "", "restores": ()}, "pass", "12 rows"),
        ({"export_problem": "there is no folder x"}, {}, "fail", "the rows cannot be saved before a restore: there is no"),
    ],
)  # fmt: skip
def test_a_loss_is_counted_bounded_and_saveable(lost, may, verdict, words):
    found = loss.judge_loss(replace(LOST, **lost), replace(BEARABLE, **may))
    assert (found.verdict, words in found.reason) == (Verdict(verdict), True), found.reason


def test_past_the_point_of_no_return_a_person_is_needed():
    assert "--accept-loss" in loss.judge_loss(LOST, BEARABLE).notes[0]


QUIET = OldSideSeen("legacy on old:5432", CUTOVER, (0, 0), "", (), (), 5, False, 2.0, True, ())
FENCE = Fence.model_validate({"host": "old", "name": "legacy", "user": "gate", "count": "SELECT 0"})


@pytest.mark.parametrize(
    ("more", "verdict", "words"),
    [
        ({}, "pass", "no row was written since the cutover at 2026-03-04 22:00 UTC"),
        ({"rows": (3, 3)}, "fail", "3 rows were written to the old side"),
        ({"rows": (0, 1)}, "fail", "1 rows were written"),
        (
            {"written": (("app.orders", 4),)},
            "fail",
            "it is being written now, within 2 s: app.orders (4 rows)",
        ),
        ({"rows": None, "rows_problem": "the cutover is not known"}, "inconclusive", "cutover is not known"),
        ({"rows": None, "written": (("app.orders", 4),)}, "fail", "it is being written now"),
        ({"reset": True}, "inconclusive", "statistics were reset"),
        ({"tables": 0}, "inconclusive", "it has no visible tables"),
        ({"front_problem": "HAProxy at x cannot be asked"}, "inconclusive", "HAProxy at x"),
    ],
)
def test_zero_writes_pass_only_where_they_were_counted(more, verdict, words):
    found = old_side.judge_old_side(replace(QUIET, **more), FENCE)
    assert (found.verdict, words in found.reason) == (Verdict(verdict), True), found.reason


def test_writes_seen_twice_are_confirmed_and_who_is_connected_is_said():
    found = old_side.judge_old_side(
        replace(QUIET, rows=(3, 4), written=(("o", 1),), clients=(Clients("app", "192.0.2.9", "cron", 2),)),
        FENCE,
    )
    assert found.confirmed
    assert "app from 192.0.2.9" in found.reason
    assert not old_side.judge_old_side(replace(QUIET, rows=(0, 4)), FENCE).confirmed


def test_what_could_still_happen_is_noted():
    notes = " ".join(
        old_side.judge_old_side(replace(QUIET, read_only=False, requests=7, ignored=("a.beat",)), FENCE).notes
    )
    for words in (
        "nothing prevents clients from writing",
        "7 requests still reached",
        "ignored by the inventory: a.beat",
    ):
        assert words in notes
