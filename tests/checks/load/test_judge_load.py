"""Response times are judged on counts of a run that was complete, at the peak, by a client that kept up; else inconclusive."""

from __future__ import annotations

import dataclasses

import pytest

from pytest_deploygate.checks.load.facts import Client, Floor, LoadRun
from pytest_deploygate.checks.load.judge import load as judge_load
from pytest_deploygate.checks.load.section import Load
from pytest_deploygate.checks.load.tally import WHOLE, Tally
from pytest_deploygate.model import Distribution, Series, Verdict

LOAD = Load.model_validate(
    {
        "allow": "x",
        "target": {"host": "a.example"},
        "endpoints": [{"name": "one", "path": "/1"}, {"name": "two", "path": "/2"}],
        "peak_per_second": 200,
        "duration": "20s",
    }
)
CLIENT = Client(4000, 4000, 1.0, 200.0, 200.0, 0.0001, 0.001, 0.003, 0, 0.1, Floor(200, 200.0, 0.0004, 0.001))


def run_of(latency, failure=lambda _n: "", **changes):
    """A run of 20 s at 200/s; `latency(n, at)` returns each request's seconds."""
    tally = Tally(["one", "two"], LOAD.known_limits_s)
    for n in range(4000):
        tally.add(n % 2, n / 200, latency(n, n / 200), failure(n))
    whole, each = tally.result()
    run = LoadRun(
        "https://a.example",
        "2026-03-04T12:00:00+00:00",
        20.0,
        20.01,
        200.0,
        "",
        0,
        whole,
        each,
        (),
        CLIENT,
        "reused",
        "1.1",
    )
    return dataclasses.replace(run, **changes)


def verdicts(run):
    return {
        (c.endpoint, c.name): judge_load.judge_latency(run.only(c.endpoint), c)
        for c in judge_load.latency_criteria(run, LOAD)
    }


def test_quick_passes_with_figures():
    """All criteria pass; a distribution with limit and bounds and a series by second are attached."""
    found = verdicts(run_of(lambda n, _: 0.01 + n % 10 / 1000))
    assert {j.verdict for j in found.values()} == {Verdict.PASS}
    assert set(found) == {(e, q) for e in (WHOLE, "one", "two") for q in ("p50", "p99")}
    spread, series = found[WHOLE, "p99"].figures
    assert isinstance(spread, Distribution)
    assert isinstance(series, Series)
    assert (spread.limit, spread.quantile) == (500, 0.99)
    assert spread.low <= 19.1 <= spread.high + 0.1
    assert [line.name for line in series.lines] == ["p50", "p99", "max"]
    assert len(series.lines[0].points) == 20
    assert "single stall" in found[WHOLE, "p99"].notes[0]


def test_slow_on_the_whole_fails_the_median_alone():
    found = verdicts(run_of(lambda _n, _t: 0.26))
    assert {k[1]: j.verdict for k, j in found.items()} == {"p50": Verdict.FAIL, "p99": Verdict.PASS}
    reason = found["one", "p50"].reason
    assert reason.startswith("p50 of one is over 200 ms: 2000 of 2000 (100.00%)")


def test_two_percent_slow_fails_p99_alone():
    found = verdicts(run_of(lambda n, _: 0.6 if n % 50 < 2 and n % 100 < 2 else 0.01))
    assert found[WHOLE, "p99"].verdict is Verdict.FAIL
    assert "p99 of all endpoints is over 500 ms: 80 of 4000 (2.00%)" in found[WHOLE, "p99"].reason
    assert found[WHOLE, "p50"].verdict is Verdict.PASS


def test_a_quick_error_is_not_quick():
    """Every 50th answer is an error after 1 ms: p99 fails and the reason says which."""
    found = verdicts(run_of(lambda _n, _t: 0.001, lambda n: "status 500" if n % 50 == 0 else ""))
    reason = found[WHOLE, "p99"].reason
    assert found[WHOLE, "p99"].verdict is Verdict.FAIL
    assert "80 failed: status 500; look for these failures" in reason
    assert "not reached" in reason


def test_a_stall_counts_in_full_and_is_placed():
    """A stall of 2 s: requests due meanwhile wait for its end."""
    found = verdicts(run_of(lambda _n, t: max(0.01, 9.0 - t) if 7.0 <= t < 9.0 else 0.01))
    assert found[WHOLE, "p99"].verdict is Verdict.FAIL
    assert "second 7, 8 of the run" in found[WHOLE, "p99"].reason
    assert found[WHOLE, "p50"].verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"client": dataclasses.replace(CLIENT, kept=0.9, rate_achieved=180.0)},
            "kept only 90.0% of its schedule",
        ),
        ({"client": dataclasses.replace(CLIENT, lag_p99_s=0.06)}, "late by 60 ms (p99 of its own lag)"),
        (
            {"client": dataclasses.replace(CLIENT, floor=None, problem="its own server did not start")},
            "did not start",
        ),
        (
            {"client": dataclasses.replace(CLIENT, floor=Floor(9, 9.0, 0.3, 0.4))},
            "on a no-op server",
        ),
        ({"greatest_rate": 100.0}, "the declared peak is 200/s"),
        ({"stopped": "stopped manually", "lasted_s": 4.0}, "stopped after 4 s of 20 s"),
    ],
)
def test_what_cannot_be_told_is_inconclusive(changes, words):
    found = verdicts(run_of(lambda _n, _t: 0.01, **changes))
    assert {j.verdict for j in found.values()} == {Verdict.INCONCLUSIVE}
    assert words in found[WHOLE, "p99"].reason


def test_a_client_that_lags_proves_no_fail_either():
    """With a client that is late itself even slow figures are inconclusive."""
    late = dataclasses.replace(CLIENT, lag_p99_s=0.3)
    found = verdicts(run_of(lambda _n, _t: 0.9, client=late))
    assert {j.verdict for j in found.values()} == {Verdict.INCONCLUSIVE}


def test_nothing_sent_is_inconclusive():
    """Zero requests to an endpoint never pass it."""
    tally = Tally(["one", "two"], LOAD.known_limits_s)
    for n in range(4000):
        tally.add(0, n / 200, 0.01)
    whole, each = tally.result()
    found = verdicts(dataclasses.replace(run_of(lambda _n, _t: 0.01), whole=whole, endpoints=each))
    assert found["two", "p99"].verdict is Verdict.INCONCLUSIVE
    assert "no request was sent" in found["two", "p99"].reason


def test_a_stopped_run_can_fail_but_not_pass():
    found = verdicts(run_of(lambda _n, _t: 0.9, stopped="kill switch: …", lasted_s=20.0))
    assert {j.verdict for j in found.values()} == {Verdict.FAIL}


@pytest.mark.parametrize("cause", ["name not resolved", "no route from here"])
def test_what_never_left_our_side_is_no_failure_of_the_platform(cause):
    """All, or so many that the rest would pass: inconclusive. A refusal, or a rest that fails by itself, still fails."""

    def found(seconds, failure):
        return verdicts(run_of(lambda _n, _at: seconds, failure))

    every = found(0.01, lambda _n: cause)
    assert {each.verdict for each in every.values()} == {Verdict.INCONCLUSIVE}
    assert "never left this machine" in every[WHOLE, "p50"].reason
    third = found(0.01, lambda n: cause if n % 3 == 0 else "")
    assert third[WHOLE, "p99"].verdict is Verdict.INCONCLUSIVE
    assert third[WHOLE, "p50"].verdict is Verdict.PASS
    refused = found(0.01, lambda _n: "connection refused")
    assert {each.verdict for each in refused.values()} == {Verdict.FAIL}
    slow = found(5.0, lambda n: cause if n % 3 == 0 else "")
    assert {each.verdict for each in slow.values()} == {Verdict.FAIL}


def test_bodies_that_were_not_looked_at_are_said():
    """Each endpoint for itself, and all of them for the whole; one whose text is named is left out."""
    load = LOAD.model_copy(
        update={"endpoints": [LOAD.endpoints[0], LOAD.endpoints[1].model_copy(update={"contains": ["ok"]})]}
    )
    run = run_of(lambda *_: 0.01)
    noted = {
        (c.endpoint, c.name): [
            n for n in judge_load.judge_latency(run.only(c.endpoint), c).notes if "`contains`" in n
        ]
        for c in judge_load.latency_criteria(run, load)
    }
    assert {endpoint for (endpoint, _), notes in noted.items() if notes} == {WHOLE, "one"}
    assert all("the status of one was" in note for notes in noted.values() for note in notes)
