"""Doing what the inventory says as the platform itself: SQL as the application's role, or requests, for a synthetic person."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import psycopg
import requests

from pytest_deploygate.checks.privacy.section import Login, Operation, Request
from pytest_deploygate.clients.postgres.cluster import Cluster, explain
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact

_REQUEST_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class Subject:
    """A person who does not exist. Nobody else in the world has this address, name or number."""

    email: str
    name: str
    phone: str

    def values(self) -> dict[str, str]:
        """Return what steps refer to."""
        return {"email": self.email, "name": self.name, "phone": self.phone}

    def needles(self) -> tuple[str, ...]:
        """Return what to look for, in lower case; also as bytea shows it."""
        plain = tuple(value.lower() for value in self.values().values())
        # bytea keeps upper and lower case apart: both spellings that were sent, and the lowered one.
        spelt = {value.encode().hex() for value in (*self.values().values(), *plain)}
        return (*plain, *sorted(spelt))


def new_subject(token: str = "") -> Subject:
    """Make up a person; the same token gives the same person."""
    token = token or secrets.token_hex(8)
    digits = f"{int(token, 16) % 10**12:012d}"
    return Subject(f"deploygate-{token}@example.com", f"Deploygate Subject {token[::-1]}", f"+1-555-{digits}")


def do(cluster: Cluster, login: Login, steps: Sequence[Operation], subject: Subject) -> None:
    """Do steps in their order. Raises CannotTell with the step's number and what was answered."""
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
                f"step {number}, as {login.user}, did not succeed: {explain(cluster.primary, error)}"
            ) from error


def _http(request: Request, subject: Subject, number: int) -> None:
    body = {k: _filled(v, subject) for k, v in request.json_.items()} if request.json_ is not None else None
    headers = {"User-Agent": "deploygate"}
    if request.bearer:
        headers["Authorization"] = f"Bearer {request.bearer.reveal()}"
    url = str(_filled(request.url, subject))
    try:
        answer = requests.request(
            request.method, url, json=body, headers=headers, timeout=_REQUEST_TIMEOUT_S, allow_redirects=False
        )
    except requests.RequestException as error:
        raise CannotTell(
            f"step {number}: {request.method} {request.url} failed: {redact(str(error))}"
        ) from error
    if answer.status_code not in request.expect:
        raise CannotTell(
            f"step {number}: {request.method} {request.url} answered {answer.status_code}, expected "
            f"{' or '.join(map(str, request.expect))}: {redact(answer.text[:200])}"
        )


def _filled(value: str | int | bool, subject: Subject) -> str | int | bool:
    if not isinstance(value, str):
        return value
    for name, text in subject.values().items():
        value = value.replace(f"{{{name}}}", text)
    return value
