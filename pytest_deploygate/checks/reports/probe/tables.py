"""The tables of a file: its cells as they are written there."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from pytest_deploygate.checks.reports.facts import Cell, Row
from pytest_deploygate.checks.reports.section import Format, ReportFile
from pytest_deploygate.model import CannotTell

_MOST_ROWS = 200_000
_MOST_PAGES = 500
#: A file of a spreadsheet may be packed so well that it does not fit into memory.
_MOST_UNPACKED = 300_000_000
#: In a page of a PDF, laid out as text, cells of a row are at least this far apart.
_BETWEEN = "  "


class Unreadable(Exception):  # noqa: N818 (it is an answer, not an error)
    """The file is not what it should be; the text says what it is."""


Tables = tuple[tuple[Row, ...], ...]


def read(body: bytes, file: ReportFile) -> Tables:
    """Return the tables of a file. Raises Unreadable if it is none of its form, CannotTell if we lack a library."""
    if file.form != "html" and body.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html")):
        raise Unreadable(f"is an HTML page, not a file of the form {file.form.upper()}")
    return _READERS[file.form](body, file)


def from_json(text: str) -> dict[str, Any]:
    """Return a row of a query by its columns."""
    row: dict[str, Any] = json.loads(text, parse_float=Decimal)
    return row


def _csv(body: bytes, file: ReportFile) -> Tables:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(f"is not UTF-8: its byte {error.start + 1} is none of a letter") from None
    try:
        rows = [tuple(row) for row in csv.reader(io.StringIO(text), delimiter=file.delimiter, strict=True)]
    except csv.Error as error:
        raise Unreadable(f"is no CSV: {error}") from None
    return (tuple(rows),)


def _html(body: bytes, file: ReportFile) -> Tables:  # noqa: ARG001 (all readers take both)
    import html5lib  # noqa: PLC0415 (0.1 s)

    page = html5lib.parse(body, namespaceHTMLElements=False)
    return tuple(
        tuple(
            tuple(" ".join("".join(cell.itertext()).split()) for cell in row if cell.tag in ("td", "th"))
            for row in table.iter("tr")
        )
        for table in page.iter("table")
    )


def _xlsx(body: bytes, file: ReportFile) -> Tables:  # noqa: ARG001 (all readers take both)
    try:
        import openpyxl  # noqa: PLC0415 (0.3 s, and an extra)
    except ImportError:
        raise CannotTell(_lacks("XLSX")) from None
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as packed:
            if sum(part.file_size for part in packed.infolist()) > _MOST_UNPACKED:
                raise CannotTell(f"it has more than {_MOST_UNPACKED // 1_000_000} MB when it is unpacked")
        # Formulas are read besides: one that no program has calculated has no value.
        values, formulas = (
            openpyxl.load_workbook(io.BytesIO(body), data_only=only) for only in (True, False)
        )
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, EOFError) as error:
        raise Unreadable(f"is no XLSX that can be opened: {error}") from None
    return tuple(
        tuple(
            tuple(_of_sheet(value, formula) for value, formula in zip(row, written, strict=True))
            for row, written in zip(
                sheet.iter_rows(values_only=True),
                formulas[sheet.title].iter_rows(values_only=True),
                strict=True,
            )
        )
        for sheet in values.worksheets
    )


def _of_sheet(value: object, formula: object) -> Cell:
    if value is None:
        return str(formula) if isinstance(formula, str) and formula.startswith("=") else ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        midnight = (value.hour, value.minute, value.second, value.microsecond) == (0, 0, 0, 0)
        return value.date().isoformat() if midnight else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return value if isinstance(value, int | float) else str(value)


def _pdf(body: bytes, file: ReportFile) -> Tables:  # noqa: ARG001 (all readers take both)
    try:
        import pypdf  # noqa: PLC0415 (0.3 s, and an extra)
    except ImportError:
        raise CannotTell(_lacks("PDF")) from None
    try:
        document = pypdf.PdfReader(io.BytesIO(body), strict=True)
        if len(document.pages) > _MOST_PAGES:
            raise CannotTell(f"it has more than {_MOST_PAGES} pages; name a shorter report")
        text = "\n".join(page.extract_text(extraction_mode="layout") for page in document.pages)
    except (pypdf.errors.PyPdfError, ValueError, KeyError, TypeError, OSError) as error:
        raise Unreadable(f"is no PDF that can be opened: {error}") from None
    if not text.strip():
        raise CannotTell("it has no text, only pictures; its figures cannot be read here")
    return (tuple(tuple(_of_line(line)) for line in text.splitlines() if line.strip()),)


def _of_line(line: str) -> Iterator[str]:
    return (cell.strip() for cell in line.split(_BETWEEN) if cell.strip())


def _lacks(what: str) -> str:
    return f"a {what} file cannot be read here: run `pip install 'pytest-deploygate[reports]'`"


_READERS: Mapping[Format, Callable[[bytes, ReportFile], Tables]] = {
    "html": _html,
    "csv": _csv,
    "xlsx": _xlsx,
    "pdf": _pdf,
}
