"""Reports that are complete, and the ways in which they are not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_deploygate.checks.reports.facts import Answer, File, Generated
from pytest_deploygate.checks.reports.judge import judge
from pytest_deploygate.checks.reports.judge.numbers import same
from pytest_deploygate.checks.reports.section import Report
from pytest_deploygate.judging.own_lag import OwnLag
from pytest_deploygate.model import Judgement, Verdict

COLUMNS = ("Device", "Readings", "Average")
ROWS = (("press-1", 1200, 21.537), ("press-2", 800, 20.0), ("press-3", 4, -1.25))
TOTAL = Answer(("Device", "Readings"), (("Total", 2004),))
TABLE = (
    COLUMNS,
    ("press-1", "1,200", "21.54 °C"),
    ("press-2", "800", "20.0"),
    ("press-3", "4", "-1.25"),
    ("Total", "2,004", ""),
)
REPORT = Report.model_validate(
    {
        "name": "daily",
        "files": [{"url": "https://app.example.com/daily.csv"}],
        "rows": {"name": "per device", "sql": "SELECT"},
        "total": {"name": "of the day", "sql": "SELECT"},
    }
)


def _of(*table: tuple[Any, ...], report: Report = REPORT, **more: Any) -> Judgement:
    file = File("daily, CSV", 0.2, (table,) if table else ())
    file = replace(
        file, **{name: more.pop(name) for name in ("wrong", "problem", "took_s", "lag") if name in more}
    )
    found = Generated("daily", "2026-11-28", (file,), Answer(COLUMNS, ROWS), TOTAL if report.total else None)
    return judge(replace(found, **more), report)


def test_complete() -> None:
    judged = _of(*TABLE)
    assert judged.verdict is Verdict.PASS, judged.reason
    assert (
        judged.reason
        == "daily of 2026-11-28 (CSV) has all 3 rows of 'per device', and the total of 'of the day'"
    )
    assert ("daily, CSV: Readings of Total", 2004) in [(read.name, read.value) for read in judged.readings]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            (*TABLE[:-1], ("Total", "1,204", "")),
            "Readings of Total is 1,204, the database has 2004 (query 'of the day')",
        ),
        ((*TABLE[:3], *TABLE[4:]), "lacks 1 of the 3 rows of 'per device': press-3"),
        (TABLE[:3], "has no row 'Total' with the total: it is cut off"),
        ((*TABLE[:3], ("press-3",)), "is cut off within the row of press-3"),
        ((*TABLE, ("press-4", "1", "2")), "has 1 row that the query 'per device' does not return: press-4"),
        ((*TABLE, TABLE[1]), "has 1 row more than once: press-1"),
        (
            (TABLE[0], ("press-1", "1,201", "21.54"), *TABLE[2:]),
            "Readings of press-1 is 1,201, the database has 1200",
        ),
        (
            (TABLE[0], ("press-1", "1,200", "21.53"), *TABLE[2:]),
            "Average of press-1 is 21.53, the database has 21.537",
        ),
        ((TABLE[0], ("press-1", "1,200", ""), *TABLE[2:]), "Average of press-1 is nothing"),
        (
            (("Device", "Readings"), *(row[:2] for row in TABLE[1:])),
            "has no table with the column Average; the closest",
        ),
        ((("nothing",),), "has no table with the columns Device, Readings, Average: it is incomplete"),
        ((), "has no table at all"),
    ],
)
def test_incomplete_or_wrong(table: tuple[Any, ...], said: str) -> None:
    judged = _of(*table)
    assert judged.verdict is Verdict.FAIL, judged.reason
    assert said in judged.reason


@pytest.mark.parametrize(
    ("more", "verdict", "said"),
    [
        ({"rows": Answer(problem="db1: permission denied")}, Verdict.INCONCLUSIVE, "db1: permission denied"),
        ({"rows": Answer(COLUMNS)}, Verdict.INCONCLUSIVE, "returns no row for 2026-11-28"),
        ({"rows": Answer(COLUMNS, (*ROWS, ROWS[0]))}, Verdict.INCONCLUSIVE, "several rows with one Device"),
        ({"total": Answer(TOTAL.columns, TOTAL.rows * 2)}, Verdict.INCONCLUSIVE, "a total has one"),
        ({"rows": Answer(COLUMNS, ROWS[:2]), "changed": True}, Verdict.INCONCLUSIVE, "changed meanwhile"),
        ({"changed": True}, Verdict.PASS, "has all 3 rows"),
        ({"problem": "no answer"}, Verdict.INCONCLUSIVE, "no answer"),
        ({"wrong": "answered 500"}, Verdict.FAIL, "answered 500"),
        ({"took_s": 12.0}, Verdict.FAIL, "took 12 s, at most 10 s is allowed"),
        ({"took_s": 12.0, "lag": OwnLag(12.0, 5.0)}, Verdict.INCONCLUSIVE, "may be our own delay"),
    ],
)
def test_unknown_and_late(more: dict[str, Any], verdict: Verdict, said: str) -> None:
    judged = _of(*TABLE, **more)
    assert (judged.verdict, said in judged.reason) == (verdict, True), judged


def test_formula_that_nothing_calculated_is_unknown() -> None:
    judged = _of(*TABLE[:-1], ("Total", "=SUM(B2:B4)", ""))
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "the formula =SUM(B2:B4), which no program has calculated" in judged.reason


def test_headings_and_footers_of_pages_are_no_rows() -> None:
    table = (("Plant",), *TABLE[:3], ("Page 1 of 2",), *TABLE[:1], *TABLE[3:], ("Page 2 of 2",))
    assert _of(*table).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("cell", "expected", "decimal", "equal"),
    [
        ("1.234,50", 1234.5, ",", True),
        ("1 234.5", 1234.5, ".", True),
        ("1'234", 1234, ".", True),
        ("−3.5 %", -3.5, ".", True),
        ("12", 12.4, ".", True),
        ("12", 12.6, ".", False),
        ("1200.4", 1200, ".", False),
        ("1200", 1201, ".", False),
        (1200.0, 1200, ".", True),
        (0.1 + 0.2, 0.3, ".", True),
        (1e22, 1e22, ".", True),
        (7, "7", ".", True),
        (7.0, "7", ".", True),
        ("n/a", 7, ".", False),
        ("1.2.3", 1.2, ".", False),
        ("", 0, ".", False),
    ],
)
def test_numbers_as_people_write_them(
    cell: str | float, expected: str | float, decimal: str, *, equal: bool
) -> None:
    assert same(cell, expected, decimal) is equal
