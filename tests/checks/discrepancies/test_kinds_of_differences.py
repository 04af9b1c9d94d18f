"""Values that differ for one cause get one kind, from their texts alone."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.discrepancies.probe.kinds import kind


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        (None, "", "empty-for-null"),
        ("", None, "null-for-empty"),
        ("line 3", None, "null-for-value"),
        (None, "line 3", "value-for-null"),
        ("2026-07-01 10:00:00+00", "2026-07-01 12:00:00+00", "shifted+2h"),
        ("2026-07-01 00:30:00+00", "2026-06-30 23:30:00+00", "shifted-1h"),
        ("2026-07-01 10:00:00", "2026-07-01 15:45:00", "shifted+5h45m"),
        ("2026-07-01 10:00:00+00", "2026-07-03 14:00:00+00", "changed"),
        ("2026-07-01 10:00:00.123456+00", "2026-07-01 10:00:00.123+00", "rounded"),
        ("2026-07-01 10:00:00.9+00", "2026-07-01 10:00:00+00", "rounded"),
        ("2026-07-01 10:00:00", "2026-07-01 10:00:00+00", "changed"),
        ("2026-02-31 10:00:00", "2026-02-28 10:00:00", "changed"),
        ("23.324324324324323", "23.324323654174805", "rounded"),
        ("12.755", "12.76", "rounded"),
        ("12.99", "12", "rounded"),
        ("1.50", "1.5", "digits"),
        ("0.0", "-0.0", "changed"),
        ("12.5", "12.6", "changed"),
        ("1000", "1", "changed"),
        ("9" * 150 + "e900", "1", "changed"),
        ("1e400", "2e400", "changed"),
        ("Press no. 12 of hall 3", "Press no. 12", "truncated"),
        ("abc", "abc  ", "spaces"),
        ("Straße", "STRASSE", "case"),
        ("caf\u00e9", "cafe\u0301", "unicode-form"),
        ("für", "fÃ¼r", "encoding"),
        ("10 €", "10 â‚¬", "encoding"),
        ("a", "b", "changed"),
        ("digest:00ff", "digest:00", "changed"),
    ],
)
def test_kind_of_a_changed_value(source, target, expected):
    assert kind("changed", source, target) == expected


def test_rows_on_one_side_only():
    assert (kind("missing", "{}", None), kind("extra", None, "{}")) == ("lost", "extra")
