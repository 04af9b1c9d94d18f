"""The judges of the gate itself: a stop that is late, traces, and a ledger of probes that did not keep to their budgets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_deploygate.checks.blast_radius.facts import Ends, LedgerSeen, StopSeen, Trace, Tried
from pytest_deploygate.checks.blast_radius.judge import judge_stop, judge_traces
from pytest_deploygate.checks.blast_radius.judge.ledger import judge_ledger
from pytest_deploygate.judging.own_lag import OwnLag
from pytest_deploygate.judging.spending import Baseline, Limits, Spent
from pytest_deploygate.model import Verdict

GOOD = Spent(
    "sec.waf",
    "corpus",
    Limits(requests=1000),
    requests=900,
    connections=40,
    sent_bytes=90_000,
    received_bytes=900_000,
    peak=16,
    largest_bytes=2000,
    seconds=4.0,
    runs=1,
    ended=("done",),
    before=Baseline(5, 0, 0.01),
)


def ledger(entry: Spent):
    return judge_ledger(LedgerSeen((entry,)), Ends())


def test_a_probe_that_kept_to_its_budget_passes():
    found = ledger(GOOD)
    assert found.verdict is Verdict.PASS
    assert found.reason == "1 active probe kept to its budget (900 requests in all) and left nothing behind"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"requests": 1001}, "it used 1 001 requests, 1 000 are its budget"),
        ({"connections": 2001}, "2 001 connections"),
        ({"sent_bytes": 100_000_001}, "bytes sent"),
        ({"received_bytes": 1_000_032_001}, "bytes received"),
        ({"peak": 65}, "65 requests at a time"),
        ({"seconds": 901.5}, "901.5 seconds"),
        ({"stop_s": 1.4, "ended": ("stopped",)}, "it ended 1.4 s after the stop, 1 s are allowed"),
        ({"harm_s": 3.0, "ended": ("harm",)}, "it went on for 3.0 s while the service suffered"),
        ({"left": ("folder /tmp/dgr-1",)}, "it left folder /tmp/dgr-1: remove it by hand"),
    ],
)
def test_what_the_gate_should_not_have_done_fails(change: dict, words: str):
    found = ledger(replace(GOOD, **change))
    assert found.verdict is Verdict.FAIL
    assert words in found.reason
    assert found.reason.startswith("corpus of sec.waf: ")


@pytest.mark.parametrize(
    "change",
    [
        {"received_bytes": 1_000_031_000},  # answers that were on their way
        {"seconds": 900.6},
        {"stop_s": 0.2, "ended": ("stopped",), "why": ("stopped by the stop file",)},
        {"harm_s": 0.1, "ended": ("harm",), "why": ("the service suffers",)},
        {"ended": ("spent",), "why": ("the 1 000 requests of its budget are used up",)},
    ],
)
def test_a_probe_that_was_ended_in_time_is_no_failure(change: dict):
    found = ledger(replace(GOOD, **change))
    assert found.verdict is Verdict.PASS
    assert list(found.notes) == list(change.get("why", ()))


def test_a_probe_that_died_is_unknown():
    found = ledger(replace(GOOD, ended=("",)))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "its process died before it ended" in found.reason


def test_a_ledger_that_cannot_be_read_is_unknown():
    found = judge_ledger(LedgerSeen((), "OSError: gone"), Ends())
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "cannot be read: OSError: gone" in found.reason


def test_a_run_without_active_probes_did_no_harm():
    found = judge_ledger(LedgerSeen(()), Ends())
    assert found.verdict is Verdict.PASS
    assert "no active probe ran" in found.reason


def stop(*took: float | None, lag: OwnLag | None = None):
    ways = ("sleep", "a socket", "a process", "threads")
    tried = tuple(Tried(way, s, lag or OwnLag()) for way, s in zip(ways, took, strict=False))
    return judge_stop(StopSeen(tried), Ends())


def test_a_stop_in_time_passes():
    found = stop(0.04, 0.05, 0.11, 0.06)
    assert found.verdict is Verdict.PASS
    assert "the slowest after 0.11 s" in found.reason


def test_a_stop_that_is_late_or_ends_nothing_fails():
    assert "a process: the stop took 2.50 s, 1 s are allowed" in stop(0.1, 0.1, 2.5).reason
    found = stop(0.1, None)
    assert found.verdict is Verdict.FAIL
    assert "a socket: a probe that waited in it went on after the stop" in found.reason


def test_a_stop_that_our_own_lag_explains_is_unknown():
    found = stop(0.1, 1.3, lag=OwnLag(over_s=2.0, late_s=1.5))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "may be our own delay" in found.reason
    found = stop(0.1, None, lag=OwnLag(over_s=5.0, late_s=4.5))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "a socket: the stop had not ended it after 5 s" in found.reason
    assert stop(0.1, None, lag=OwnLag(over_s=5.0, late_s=1.0)).verdict is Verdict.FAIL


def test_a_stop_that_was_not_tried_is_unknown():
    assert judge_stop(StopSeen((), "the folder is read-only"), Ends()).verdict is Verdict.INCONCLUSIVE
    assert judge_stop(StopSeen(()), Ends()).verdict is Verdict.INCONCLUSIVE


def test_traces():
    good, left, unseen = (
        Trace("gate.rows"),
        Trace("gate.rows", ("40 rows are left",)),
        Trace("/tmp", (), "denied"),
    )
    assert judge_traces((good,), None).verdict is Verdict.PASS
    assert judge_traces((), None).verdict is Verdict.PASS
    assert judge_traces((good, left, unseen), None).verdict is Verdict.FAIL
    found = judge_traces((good, unseen), None)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.reason == "/tmp: denied"
