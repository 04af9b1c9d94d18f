"""The daily report: for each device how many readings there were, their least, mean and greatest value, and a total."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import date

from pytest_deploygate.lab.application.store import Store
from pytest_deploygate.lazy import dataclass

COLUMNS = ("Device", "Readings", "Least", "Mean", "Greatest", "Alerts")
Cells = tuple[str, int, float, float, float, int]

_ROWS = """
SELECT d.id, count(r.number) AS readings, coalesce(min(r.value), 0) AS least, coalesce(avg(r.value), 0) AS mean,
    coalesce(max(r.value), 0) AS greatest, (
        SELECT count(*) FROM alerts a WHERE a.device = d.id
        AND a.raised_at >= %(day)s::date AT TIME ZONE 'UTC' AND a.raised_at < (%(day)s::date + 1) AT TIME ZONE 'UTC'
    ) AS alerts
FROM devices d LEFT JOIN readings r ON r.device = d.id
    AND r.sent_at >= %(day)s::date AT TIME ZONE 'UTC' AND r.sent_at < (%(day)s::date + 1) AT TIME ZONE 'UTC'
WHERE d.tenant = %(tenant)s GROUP BY d.id ORDER BY d.id
"""


@dataclass(frozen=True)
class Report:
    """The rows of a day, one a device, and the sum of the readings and alerts of all."""

    day: date
    rows: list[Cells]
    readings: int
    alerts: int

    @property
    def title(self) -> str:
        """The heading."""
        return f"Daily report for {self.day.isoformat()}"

    def table(self) -> list[list[object]]:
        """Return all lines: the names of the columns, the rows, the total."""
        total = ["Total", self.readings, "", "", "", self.alerts]
        return [list(COLUMNS), *(list(row) for row in self.rows), total]


async def made(store: Store, tenant: str, day: date, off_by: int = 0) -> Report:
    """Return the report of a tenant; `off_by` is what its total is wrong by."""
    rows = await store.rows(_ROWS, {"day": day, "tenant": tenant})
    cells: list[Cells] = [
        (
            row["id"],
            row["readings"],
            round(row["least"], 2),
            round(row["mean"], 2),
            round(row["greatest"], 2),
            row["alerts"],
        )
        for row in rows
    ]
    return Report(day, cells, sum(row[1] for row in cells) + off_by, sum(row[5] for row in cells))


def as_csv(report: Report) -> bytes:
    """Return a report as CSV (RFC 4180)."""
    text = io.StringIO()
    csv.writer(text).writerows(report.table())
    return text.getvalue().encode()


def as_xlsx(report: Report) -> bytes:
    """Return a report as a workbook with one sheet."""
    from openpyxl import Workbook  # noqa: PLC0415 (half a second, when the first one is asked for)

    book = Workbook()
    sheet = book.active
    sheet.title = "Daily report"
    for line in report.table():
        sheet.append(line)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def as_pdf(report: Report) -> bytes:
    """Return a report as a document of one table."""
    from fpdf import FPDF  # noqa: PLC0415 (half a second, when the first one is asked for)

    document = FPDF()
    document.set_title(report.title)
    document.add_page()
    document.set_font("Helvetica", "B", 14)
    document.cell(0, 10, report.title, new_x="LMARGIN", new_y="NEXT")
    document.set_font("Helvetica", size=10)
    with document.table() as table:
        for line in report.table():
            table.row([str(cell) for cell in line])
    return bytes(document.output())


#: How a report is written, and its media type, by the ending of its file. Pages show it as HTML.
FORMATS: dict[str, tuple[Callable[[Report], bytes], str]] = {
    "csv": (as_csv, "text/csv; charset=utf-8"),
    "xlsx": (as_xlsx, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    "pdf": (as_pdf, "application/pdf"),
}
