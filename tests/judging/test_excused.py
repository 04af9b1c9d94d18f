"""A time over its limit is not judged if the gate's own delay explains it, and is if it does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_deploygate.judging.own_lag import OwnLag, excused
from pytest_deploygate.model import Judgement, Reading, Verdict

QUIET = OwnLag(over_s=3.06, cpu_s=0.3, runnable=0.4, processors=2)
STOPPED = OwnLag(over_s=3.06, late_s=1.0, runnable=0.4, processors=2)
CROWDED = OwnLag(over_s=3.06, cpu_s=0.3, runnable=3.0, processors=2)


@pytest.mark.parametrize(
    ("lag", "figure_s", "says"),
    [
        (QUIET, 3.06, ""),
        (STOPPED, 3.06, "this process was 1 s late itself"),
        (CROWDED, 3.06, "4.0 tasks wanted the 2 processors of this machine"),
        (STOPPED, 5.0, ""),
        (CROWDED, 12.0, ""),
        (STOPPED, 2.9, ""),
        (OwnLag(), 3.06, ""),
    ],
)
def test_what_explains_a_time_over_a_limit_of_three_seconds(lag, figure_s, says):
    assert bool(lag.explains(figure_s, 3.0)) is bool(says)
    assert says in lag.explains(figure_s, 3.0)


def test_an_excused_failure_is_inconclusive_and_compares_nothing():
    """The reason keeps what was measured, and no reading says that a limit was missed."""
    reading = Reading("slowest answer", 3.06, "s", "at most 3 s", ok=False)
    failed = Judgement(Verdict.FAIL, "took 3.06 s, limit 3 s", (reading,), confirmed=True)
    found = excused(failed, STOPPED, 3.06, 3.0)
    assert (found.verdict, found.confirmed) == (Verdict.INCONCLUSIVE, False)
    assert found.reason.startswith("took 3.06 s, limit 3 s, but this process was 1 s late itself")
    assert [each.ok for each in found.readings] == [None]
    assert excused(failed, QUIET, 3.06, 3.0) is failed
    assert excused(failed, STOPPED, None, 3.0) is failed


@given(st.sampled_from(list(Verdict)), st.floats(0, 100), st.floats(0.1, 100), st.floats(0, 50))
def test_lag_never_makes_a_verdict_better(verdict, figure_s, limit_s, late_s):
    """Only a failure changes, and only to inconclusive."""
    found = excused(Judgement(verdict, "x"), OwnLag(late_s=late_s), figure_s, limit_s).verdict
    assert found is verdict or (verdict is Verdict.FAIL and found is Verdict.INCONCLUSIVE)
