"""Fetch a report's files between two answers of its queries."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import requests

from pytest_deploygate.checks.reports.facts import Answer, Cell, File, Generated
from pytest_deploygate.checks.reports.probe import tables
from pytest_deploygate.checks.reports.section import DAY, Report, ReportFile, ReportQuery
from pytest_deploygate.clients import own_lag
from pytest_deploygate.clients.http import form_login, oauth, sending, whole
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import CannotTell

_MOST_BYTES = 50_000_000
_MOST_ROWS = 100_000
_REFUSED = (401, 403, 407)


def generated(report: Report, cluster: Cluster) -> Generated:
    """Return what each file has, and what the queries return before and after. Raises CannotTell without a login."""
    day = (datetime.now(UTC) - report.day).date()
    session = form_login.cookies(report.form, report, report.patience.total_seconds()) if report.form else {}
    access = oauth.logged_in(report, report.patience.total_seconds())
    rows, total = _answers(report, cluster, day)
    files = tuple(_file(access, file, day, session) for file in report.files)
    found = Generated(report.name, day.isoformat(), files, rows, total)
    return replace(found, changed=(rows, total) != _answers(report, cluster, day))


def _answers(report: Report, cluster: Cluster, day: date) -> tuple[Answer, Answer | None]:
    rows = _answer(report.rows, cluster, day)
    return rows, _answer(report.total, cluster, day) if report.total else None


def _answer(query: ReportQuery, cluster: Cluster, day: date) -> Answer:
    # Its rows come as JSON, so that an answer has names, and numbers stay numbers.
    text = query.sql.strip().rstrip(";")
    parameters = {"day": day} if "%(day)s" in text else None
    bounded = f"SELECT row_to_json(answer)::text FROM ({text}\n) AS answer LIMIT {_MOST_ROWS + 1}"  # noqa: S608 (the inventory's own query)
    try:
        found = [tables.from_json(row) for (row,) in cluster.rows(cluster.primary, bounded, parameters)]
    except CannotTell as unknown:
        return Answer(problem=str(unknown))
    if len(found) > _MOST_ROWS:
        return Answer(problem=f"it returns more than {_MOST_ROWS} rows; name a shorter report")
    return Answer(tuple(found[0]) if found else (), tuple(tuple(map(_cell, row.values())) for row in found))


def _cell(value: object) -> Cell:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value if isinstance(value, int | float) else "" if value is None else str(value)


def _file(report: Report, file: ReportFile, day: date, session: form_login.Session) -> File:
    """Fetch and read one file."""
    name = f"{report.name}, {file.form.upper()}"
    began = time.monotonic()
    with own_lag.watching() as lag:
        found = _fetched(name, report, file.url.replace(DAY, day.isoformat()), session)
        late = lag.since(began)
    if isinstance(found, File):
        return replace(found, took_s=round(time.monotonic() - began, 3), lag=late)
    took_s = round(time.monotonic() - began, 3)
    said = File(name, took_s, size=len(found), lag=late)
    try:
        return replace(said, tables=tables.read(found, file))
    except CannotTell as unknown:
        return replace(said, problem=str(unknown))
    except tables.Unreadable as error:
        return replace(said, wrong=str(error))


def _fetched(name: str, report: Report, url: str, session: form_login.Session) -> File | bytes:
    """Return the file's bytes, or what came instead of it."""
    limit_s = report.patience.total_seconds()
    try:
        with sending.get(
            report,
            url,
            limit_s,
            afresh=True,
            stream=True,
            allow_redirects=False,
            cookies=form_login.revealed(session),
        ) as answer:
            status = answer.status_code
            body, all_of_it = whole.read(answer, _MOST_BYTES)
    except requests.Timeout:
        return File(name, 0.0, problem=f"{url} was not answered completely within {limit_s:g} s")
    except (requests.RequestException, OSError) as error:
        return File(name, 0.0, problem=f"{url} could not be had: {sending.why(error)}")
    if status in _REFUSED or 300 <= status < 400:
        return File(
            name,
            0.0,
            problem=f"{url} answered {status}: it does not let us in; set `form`, `token` or `auth` of a user that may read it",
        )
    if status != 200:
        return File(name, 0.0, wrong=f"{url} answered {status} in place of the report")
    if not all_of_it:
        return File(
            name, 0.0, problem=f"{url} has more than {_MOST_BYTES // 1_000_000} MB; name a shorter report"
        )
    return body
