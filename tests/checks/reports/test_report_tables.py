"""The tables of files in each form, as real libraries write them."""

from __future__ import annotations

import io

import pytest

from pytest_deploygate.checks.reports.probe import tables
from pytest_deploygate.checks.reports.section import ReportFile

HEADINGS = ("Device", "Readings", "Average")
ROWS = [("press-1", 1200, 21.53), ("press 2, left", 7, -3.5)]


def _file(form: str, **more: str) -> ReportFile:
    return ReportFile.model_validate({"url": f"https://app.example.com/daily.{form}", **more})


def test_csv_with_a_byte_order_mark_and_quotes() -> None:
    body = '\ufeffDevice;Readings\r\n"press 2; left";7\r\n'.encode()
    assert tables.read(body, _file("csv", delimiter=";")) == (
        (("Device", "Readings"), ("press 2; left", "7")),
    )


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<!DOCTYPE html><title>Log in</title>", "is an HTML page"),
        (b"Device\n\xff\xfe", "is not UTF-8"),
        (b'Device,Readings\n"press', "is no CSV"),
    ],
)
def test_what_is_no_csv(body: bytes, said: str) -> None:
    with pytest.raises(tables.Unreadable, match=said):
        tables.read(body, _file("csv"))


def test_html_tables_with_their_headings() -> None:
    body = b"<h1>x</h1><table><thead><tr><th>Device<th>Readings</thead><tr><td> press <b>1</b></td><td>7</table><table></table>"
    assert tables.read(body, _file("html")) == ((("Device", "Readings"), ("press 1", "7")), ())


def test_spreadsheet_with_numbers_dates_and_a_formula_that_nothing_calculated() -> None:
    openpyxl = pytest.importorskip("openpyxl")
    from datetime import datetime

    book = openpyxl.Workbook()
    for row in (HEADINGS, *ROWS, ("Total", "=SUM(B2:B3)", datetime(2026, 11, 28))):  # noqa: DTZ001 (sheets have no zones)
        book.active.append(row)
    kept = io.BytesIO()
    book.save(kept)
    assert tables.read(kept.getvalue(), _file("xlsx")) == (
        (HEADINGS, *ROWS, ("Total", "=SUM(B2:B3)", "2026-11-28")),
    )


def test_spreadsheet_that_is_cut_off() -> None:
    openpyxl = pytest.importorskip("openpyxl")
    kept = io.BytesIO()
    openpyxl.Workbook().save(kept)
    with pytest.raises(tables.Unreadable, match="no XLSX that can be opened"):
        tables.read(kept.getvalue()[:-40], _file("xlsx"))


def _pdf(rows: list[tuple[object, ...]]) -> bytes:
    fpdf = pytest.importorskip("fpdf")
    document = fpdf.FPDF()
    document.set_font("helvetica", size=11)
    document.add_page()
    document.cell(text="Daily report", new_x="LMARGIN", new_y="NEXT")
    with document.table() as table:
        for row in rows:
            table.row([str(cell) for cell in row])
    return bytes(document.output())


def test_pdf_of_two_pages_repeats_its_headings() -> None:
    pytest.importorskip("pypdf")
    rows = [(f"press-{n}", n, n / 2) for n in range(80)]
    (lines,) = tables.read(_pdf([HEADINGS, *rows]), _file("pdf"))
    assert lines[0] == ("Daily report",)
    assert lines.count(HEADINGS) > 1
    assert [line for line in lines[1:] if line != HEADINGS] == [tuple(map(str, row)) for row in rows]


def test_pdf_that_is_cut_off() -> None:
    pytest.importorskip("pypdf")
    with pytest.raises(tables.Unreadable, match="no PDF that can be opened"):
        tables.read(_pdf([HEADINGS])[:200], _file("pdf"))
