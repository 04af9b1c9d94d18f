"""Slower than an earlier run: decided on counts; no baseline is inconclusive, never a pass."""

from __future__ import annotations

import dataclasses
import json

import pytest

from pytest_deploygate.checks.load.facts import Client, LoadRun
from pytest_deploygate.checks.load.judge.regression import Criterion, Pair, judge_regression
from pytest_deploygate.checks.load.probe import baselines
from pytest_deploygate.checks.load.tally import WHOLE, Tally
from pytest_deploygate.model import Verdict

CLIENT = Client(4000, 4000, 1.0, 200.0, 200.0, 0.0, 0.0, 0.0, 0, 0.1, None)


def run_of(factor):
    tally = Tally(["one"], (0.2, 0.5))
    for n in range(4000):
        tally.add(0, n / 200, factor * (0.02 + (n * 7919 % 1000) / 20_000))
    whole, each = tally.result()
    return LoadRun(
        "a", "2026-03-04T12:00:00+00:00", 20.0, 20.0, 200.0, "", 0, whole, each, (), CLIENT, "reused", "1.1"
    )


@pytest.fixture
def saved(tmp_path):
    file = tmp_path / "before.json"
    file.write_text(json.dumps({"measurement": dataclasses.asdict(run_of(1.0))}))
    return file


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "pass"), (2.0, "fail"), (0.5, "pass")])
def test_against_a_saved_run(saved, factor, verdict):
    for quantile in (0.5, 0.99):
        answer = judge_regression(
            Pair(run_of(factor), baselines.baseline(saved, WHOLE)), Criterion(quantile, 0.25, 0.05)
        )
        assert answer.verdict is Verdict(verdict), answer.reason


def test_no_baseline_is_inconclusive(tmp_path):
    for path in (None, tmp_path / "nothing", tmp_path):
        answer = judge_regression(
            Pair(run_of(1.0), baselines.baseline(path, WHOLE)), Criterion(0.99, 0.25, 0.05)
        )
        assert answer.verdict is Verdict.INCONCLUSIVE
