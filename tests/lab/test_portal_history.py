"""What the lab fills in for its portal joins what is scraped, however late scrapes come."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from pytest_deploygate.lab.services import portal
from pytest_deploygate.lab.services.monitoring import EVERY_S


@given(st.floats(0, 3600), st.floats(2 * EVERY_S, 2 * portal.REMEMBERED_S))
def test_what_is_filled_in_ends_one_interval_before_a_scrape_and_begins_where_it_should(
    start_s: float, lasts_s: float
) -> None:
    end_s = start_s + lasts_s
    times = list(portal.times(start_s, end_s))
    assert abs(times[-1] - (end_s - EVERY_S)) < 0.01
    assert -0.001 < times[0] - start_s < 0.501
    apart = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(0 < each <= 60.501 for each in apart)
    assert all(each < EVERY_S + 0.001 for each in apart[-100:] if end_s - start_s > 1000)


def test_nothing_is_filled_in_where_nothing_is_missing() -> None:
    assert list(portal.times(100.0, 100.0)) == []
