"""Runs the inventory's steps as the platform itself: SQL as the application's role, or requests, for a synthetic person."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import psycopg
import requests

from pytest_deploygate.checks.privacy.probe.writings import written
from pytest_deploygate.checks.privacy.section import Login, Operation, PlatformRequest
from pytest_deploygate.clients.http import sending, text
from pytest_deploygate.clients.postgres.cluster import Cluster, explain
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact


@dataclass(frozen=True)
class Subject:
    """A person who does not exist. Nobody else in the world has this address, name or number."""

    email: str
    name: str
    phone: str

    def values(self) -> dict[str, str]:
        """Return the values that steps refer to."""
        return {"email": self.email, "name": self.name, "phone": self.phone}

    def needles(self) -> tuple[str, ...]:
        """Return what to look for in text in lower case: the parts that nobody else has, as systems write them."""
        token = self.email.removeprefix("deploygate-").partition("@")[0]
        return written((token, self.name.rpartition(" ")[2], self.phone.rpartition("-")[2]))


def new_subject(token: str = "") -> Subject:
    """Make up a person; the same token gives the same person."""
    token = token or secrets.token_hex(8)
    digits = f"{int(token, 16) % 10**12:012d}"
    return Subject(f"deploygate-{token}@example.com", f"Deploygate Subject {token[::-1]}", f"+1-555-{digits}")


def do(cluster: Cluster, login: Login, steps: Sequence[Operation], subject: Subject) -> None:
    """Run steps in order. Raises CannotTell with the step's number and the answer."""
    for number, step in enumerate(steps, 1):
        if step.sql is not None:
            _sql(cluster, login, step.sql, subject, number)
        elif step.http is not None:
            _http(step.http, subject, number)


def _sql(cluster: Cluster, login: Login, statement: str, subject: Subject, number: int) -> None:
    as_role = cluster.settings.model_copy(update={"user": login.user, "password": login.password})
    other = Cluster(as_role)
    with closing(other.connect(cluster.primary, read_only=False)) as connection:
        try:
            connection.execute(statement.encode(), subject.values())
        except psycopg.Error as error:
            raise CannotTell(
                f"step {number}, as {login.user}, failed: {explain(cluster.primary, error)}"
            ) from error


def _http(request: PlatformRequest, subject: Subject, number: int) -> None:
    filled = request.model_copy(
        update={
            "body": _filled(request.body, subject),
            "json_": _filled(request.json_, subject),
            "headers": _filled(request.headers, subject),
        }
    )
    url = str(_filled(request.url, subject))
    what = f"step {number}: {request.method} {request.url}"
    try:
        answer = sending.send(filled, url, request.timeout.total_seconds(), allow_redirects=False)
    except (requests.RequestException, OSError) as error:
        raise CannotTell(f"{what} failed: {redact(sending.why(error))}") from error
    if answer.status_code not in request.status:
        raise CannotTell(
            f"{what} answered {answer.status_code}, expected {request.expected}: {redact(answer.text[:200])}"
        )
    if lacking := text.lacking(request, answer.content, answer.headers.get("Content-Type", "")):
        raise CannotTell(f"{what} answered {answer.status_code}, {redact(lacking)}")


def _filled(value: Any, subject: Subject) -> Any:
    """Return a JSON value with the subject's values filled in everywhere."""
    if isinstance(value, dict):
        return {key: _filled(inner, subject) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, subject) for inner in value]
    if not isinstance(value, str):
        return value
    for name, words in subject.values().items():
        value = value.replace(f"{{{name}}}", words)
    return value
