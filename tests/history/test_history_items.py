"""Trends of items: durations, numbers, how steady a verdict is, how often an item held a decision."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from recorded_changes import FAILED, Records, many

from pytest_deploygate.cli import main
from pytest_deploygate.history.figures import ItemTrend
from pytest_deploygate.model import Verdict


def item(records: Records, name: str = "golive.errors") -> ItemTrend:
    return next(one for one in records.read().items if one.item == name)


def test_a_verdict_that_differs_at_the_same_commit_is_counted(records: Records) -> None:
    records.change("CHG-1").run().run(verdicts=FAILED).run(verdicts=FAILED).run()
    found = item(records)
    assert (found.differing, found.pairs, found.unsteady) == (2, 3, 2 / 3)
    assert (found.verdicts, found.last) == ({Verdict.PASS: 2, Verdict.FAIL: 2}, Verdict.PASS)


@pytest.mark.parametrize(("name", "value"), [("commit", ""), ("dirty", ["app.py"]), ("commit", "other")])
def test_without_the_same_commit_steadiness_is_unknown(records: Records, name: str, value) -> None:
    change = records.change("CHG-1").run()
    setattr(change, name, value)
    change.run(verdicts=FAILED)
    assert (item(records).pairs, item(records).unsteady) == (0, None)


def test_runs_of_different_changes_are_not_compared(records: Records) -> None:
    records.change("CHG-1").run()
    records.change("CHG-2", 1).run(verdicts=FAILED)
    assert item(records).unsteady is None


def test_an_item_that_held_a_decision_is_counted_in_the_decisions_that_asked_for_it(records: Records) -> None:
    records.change("CHG-1").run(verdicts=FAILED).run().run("phase2").run(verdicts=FAILED, ends=False)
    assert (item(records).held, item(records).decided) == (1, 2)
    assert (item(records, "golive.p99").held, item(records, "golive.p99").decided) == (0, 2)


def test_a_change_is_the_median_of_its_runs(records: Records) -> None:
    records.change("CHG-1").run(lag=1.0, seconds=1).run(lag=9.0, seconds=2).run(lag=2.0, seconds=9)
    records.change("CHG-2", 1).run(lag=4.0, seconds=4)
    found = item(records)
    trend = found.readings["db1", "lag", "MB"]
    assert [value for _, value in trend.points] == [2.0, 4.0]
    assert (trend.median, trend.low, trend.high, trend.last, trend.count) == (3.0, 1.0, 9.0, 4.0, 4)
    assert [value for _, value in found.seconds.points] == [2, 4]
    assert set(found.readings) == {("db1", "lag", "MB")}, "words are no numbers"


def test_the_last_change_moved_beyond_the_noise_of_those_before(records: Records) -> None:
    for number, lag in enumerate((2.0, 2.1, 1.9, 2.0, 2.05)):
        records.change(f"CHG-{number}", number).run(lag=lag)
    assert item(records).readings["db1", "lag", "MB"].moved == 0
    records.change("CHG-9", 9).run(lag=8.0)
    trend = item(records).readings["db1", "lag", "MB"]
    assert (trend.moved, trend.because) == (1, "noise of 5 earlier values")


def test_a_few_milliseconds_more_are_no_slower_item(records: Records) -> None:
    for number, seconds in enumerate((0.001, 0.001, 0.001, 0.001, 0.09)):
        records.change(f"CHG-{number}", number).run(seconds=seconds)
    assert item(records).seconds.moved == 0


def test_a_steady_rise_is_told_although_no_step_is_large(records: Records) -> None:
    many(records)
    trend = item(records, "phase2.lag").readings["db1", "lag", "MB"]
    assert trend.moved == 0
    assert trend.grown == pytest.approx(7.0, rel=0.2)
    for number in range(8):
        records.change(f"FLAT-{number}", number, inventory="staging").run("phase2")
    assert [
        one.readings["db1", "lag", "MB"].grown for one in records.read().items if one.inventory == "staging"
    ] == [
        0.0,
        0.0,
    ]


def test_json_has_stable_keys_and_null_for_what_is_unknown(records: Records) -> None:
    records.change("CHG-1").run()
    told = json.loads(CliRunner().invoke(main, ["history", "--json"]).stdout)
    assert set(told) == {"changes", "dora", "items", "folders", "definitions"}
    (dora,) = told["dora"]
    assert dora["deployment_frequency"] == {
        "per_week": None, "first": dora["deployment_frequency"]["first"], "last": dora["deployment_frequency"]["last"],
        "why_unknown": "fewer than two deployments",
    }  # fmt: skip
    assert dora["change_failure_rate"] == {"ratio": 0.0, "failed": 0, "of": 1, "why_unknown": ""}
    assert dora["time_to_restore"]["median_s"] is None
    (change,) = told["changes"]
    assert (change["deployment"]["state"], change["is_change"]) == ("succeeded", True)
    one = told["items"][0]
    assert set(one) == {
        "inventory", "item", "text", "phase", "changes", "runs", "verdicts", "last_verdict", "duration_s", "flakiness",
        "held", "readings",
    }  # fmt: skip
    assert one["flakiness"] == {"ratio": None, "changed": 0, "pairs": 0}


def test_the_table_says_what_is_unknown_and_what_it_leaves_out(records: Records) -> None:
    many(records, 12)
    shown = CliRunner(env={"COLUMNS": "120"}).invoke(main, ["history"]).stdout
    assert "Change failure rate    8.3%" in shown
    assert "and 2 older changes: --all shows them" in shown
    assert "older change" not in CliRunner().invoke(main, ["history", "--all"]).stdout
    records.change("LOCAL", 90, inventory="staging").run("phase2")
    shown = CliRunner(env={"COLUMNS": "120"}).invoke(main, ["history", "--inventory", "staging"]).stdout
    assert "unknown: no deployment" in shown
    assert "0%" not in shown
