"""The section `blast_radius`: it lowers limits, and more than the shipped ones needs a reason that is shown."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from pytest_deploygate.checks import limits_of
from pytest_deploygate.checks.blast_radius.section import BlastRadius
from pytest_deploygate.judging.spending import Limits


def test_without_a_word_the_shipped_limits_hold():
    assert BlastRadius().limits("sec.waf") == Limits()
    assert BlastRadius().limits("db.restore") == limits_of("db.restore") != Limits()


def test_all_items_and_single_ones_are_lowered():
    section = BlastRadius.model_validate(
        {
            "every": {"requests": 500, "concurrency": 8, "received": "10MB"},
            "items": [{"item": "sec.waf", "requests": 200, "duration": "30s"}],
        }
    )
    waf, load = section.limits("sec.waf"), section.limits("crit.p50")
    assert (waf.requests, waf.concurrency, waf.seconds, waf.received_bytes) == (200, 8, 30.0, 10 * 1024**2)
    assert (load.requests, load.concurrency) == (500, 8)


def test_what_is_said_of_all_never_raises():
    section = BlastRadius.model_validate({"every": {"requests": 10**9}})
    assert section.limits("sec.waf").requests == Limits().requests


def test_more_than_shipped_needs_a_reason():
    with pytest.raises(
        ValidationError,
        match=r"requests of sec\.waf is more than its shipped limit of 10000: lower it, or say",
    ):
        BlastRadius.model_validate({"items": [{"item": "sec.waf", "requests": 20_000}]})
    section = BlastRadius.model_validate(
        {"items": [{"item": "sec.waf", "requests": 20_000, "more": "two corpora of the team"}]}
    )
    assert section.limits("sec.waf").requests == 20_000


def test_an_item_is_named_once():
    with pytest.raises(ValidationError, match=r"names sec\.waf twice"):
        BlastRadius.model_validate({"items": [{"item": "sec.waf"}, {"item": "sec.waf"}]})


def test_bounds():
    section = BlastRadius.model_validate({"errors": 0.05, "slower": 3, "slower_by": "200ms"})
    assert (section.bounds.errors, section.bounds.slower, section.bounds.slower_s) == (0.05, 3.0, 0.2)
