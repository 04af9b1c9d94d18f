"""Times as logs have them, with and without a zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from pytest_deploygate.checks.access_logs.probe import times

AT = datetime(2026, 11, 29, 11, 30, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "after_s", "resolution_s"),
    [
        ("29/Nov/2026:11:30:01 +0000", 0, 1),
        ("[29/Nov/2026:12:30:01 +0100]", 0, 1),
        ("2026-11-29T11:30:01Z", 0, 1),
        ("2026-11-29T11:30:01.25+00:00", 0.25, 0.01),
        ("2026-11-29 17:00:01,250 +0530", 0.25, 0.001),
        ("2026-11-29T06:30:01-05", 0, 1),
        ("1795951801", 0, 1),
        ("1795951801.250", 0.25, 0.001),
        ("1795951801250", 0.25, 0.001),
        ("1795951801250000", 0.25, 1e-6),
        ("1795951801250000000", 0.25, 1e-9),
    ],
)
def test_a_time_with_its_zone(text, after_s, resolution_s):
    stamp = times.stamp(text)
    assert stamp is not None
    assert stamp.zoned
    assert abs((stamp.at - AT).total_seconds() - after_s) < 1e-6
    assert stamp.resolution_s == pytest.approx(resolution_s)


@pytest.mark.parametrize(
    "text", ["29/Nov/2026:11:30:01.000", "2026-11-29T11:30:01", "2026-11-29 11:30:01,000"]
)
def test_a_time_without_a_zone(text):
    stamp = times.stamp(text)
    assert stamp is not None
    assert not stamp.zoned
    assert stamp.at == AT.replace(tzinfo=None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "Nov 29 11:30:01",
        "31/Feb/2026:11:30:01 +0000",
        "29/Foo/2026:11:30:01 +0000",
        "29/11/2026",
        "1234567",
    ],
)
def test_another_form_is_not_guessed(text):
    assert times.stamp(text) is None


def test_an_offset_of_a_quarter_hour():
    stamp = times.stamp("29/Nov/2026:17:15:01 +0545")
    assert stamp is not None
    assert stamp.at == AT
    assert stamp.at.tzinfo == timezone(timedelta(hours=5, minutes=45))
