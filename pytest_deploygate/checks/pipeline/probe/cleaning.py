"""Taking synthetic events away: before a test, for one that was killed, and after it."""

from __future__ import annotations

from contextlib import closing
from urllib.parse import quote

import psycopg
import requests

from pytest_deploygate.checks.pipeline.section import Pipeline
from pytest_deploygate.checks.pipeline.section.left_out import CleanRequest
from pytest_deploygate.clients.budget import Spending
from pytest_deploygate.clients.http import sending
from pytest_deploygate.clients.postgres.cluster import Cluster, explain
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact


def clean(pipeline: Pipeline, database: Cluster | None, spending: Spending) -> list[str]:
    """Do all steps, each even if another fails; return what failed, for people."""
    problems = []
    for number, step in enumerate(pipeline.clean_up, 1):
        try:
            if step.http is not None:
                _request(step.http, pipeline.devices, spending)
            elif step.sql is not None and database is not None:
                _statement(step.sql, pipeline, database)
        except CannotTell as error:
            problems.append(f"step {number} of `clean_up` failed: {error}")
    return problems


def _request(request: CleanRequest, devices: list[str], spending: Spending) -> None:
    urls = [request.url.replace("{device}", quote(device, safe="")) for device in devices]
    for url in dict.fromkeys(urls):
        try:
            answer = sending.send(
                request,
                url,
                request.timeout.total_seconds(),
                headers=dict(spending.headers),
                allow_redirects=False,
            )
        except (requests.RequestException, OSError) as error:
            raise CannotTell(f"{request.method} {url}: {sending.why(error)}") from None
        if answer.status_code not in request.status:
            raise CannotTell(
                f"{request.method} {url} answered with {answer.status_code}, {request.expected} was expected"
            )


def _statement(statement: str, pipeline: Pipeline, database: Cluster) -> None:
    role = pipeline.role
    if role is None:
        raise CannotTell("no `role` is declared for it")
    settings = database.settings.model_copy(update={"user": role.user, "password": role.password})
    other = Cluster(settings)
    with closing(other.connect(database.primary, read_only=False)) as connection:
        try:
            connection.execute(statement.encode(), {"devices": pipeline.devices})
        except psycopg.Error as error:
            raise CannotTell(f"as {role.user}: {redact(explain(database.primary, error))}") from None
