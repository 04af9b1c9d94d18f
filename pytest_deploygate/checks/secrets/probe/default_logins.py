"""Try well-known logins, each user once, so that a lock against guessing is not triggered."""

from __future__ import annotations

import base64
import re
import socket

import psycopg
import requests

from pytest_deploygate.checks.secrets.facts import Tried
from pytest_deploygate.checks.secrets.section import AdminPage, DefaultPasswords, RedisPlace
from pytest_deploygate.clients.http import sending
from pytest_deploygate.fields.http import HttpAccess
from pytest_deploygate.fields.postgres import ConnectionSettings
from pytest_deploygate.redaction import redact

#: Of PostgreSQL's images and tutorials.
_DATABASE = (("postgres", "postgres"), ("admin", "admin"))
#: The password in redis.conf's own example.
_REDIS = "foobared"
#: Of RabbitMQ, Grafana, Tomcat, Prometheus' exporters and many others.
_PAGES = (("admin", "admin"), ("guest", "guest"))
#: What PostgreSQL says to a login that it refuses, and what only to one that it has let in.
_REFUSED = re.compile(
    r"password authentication failed|no pg_hba\.conf entry|role \S+ does not exist|is not permitted to log in"
)
_LET_IN = re.compile(r"database \S+ does not exist|permission denied for database")
_TIMEOUT_S = 5.0
_NOT_LET_IN = (requests.codes.unauthorized, requests.codes.forbidden)


def tried(where: DefaultPasswords, database: ConnectionSettings | None) -> tuple[Tried, ...]:
    """Return the outcome for each service."""
    return (
        *([_database(database)] if database else []),
        *(_redis(place) for place in where.redis),
        *(_page(page) for page in where.pages),
    )


def _database(settings: ConnectionSettings) -> Tried:
    node, name = settings.primary, f"PostgreSQL {settings.primary.name}"
    let_in: list[str] = []
    for user, password in _DATABASE:
        try:
            psycopg.connect(
                host=node.host, port=node.port, dbname="postgres", user=user, password=password,
                sslmode=settings.sslmode, sslrootcert=str(settings.sslrootcert) if settings.sslrootcert else None,
                connect_timeout=max(2, round(settings.connect_timeout.total_seconds())), application_name="deploygate",
            ).close()  # fmt: skip
        except psycopg.Error as error:
            said = " ".join(str(error).split())
            if _LET_IN.search(said):
                let_in.append(user)
            elif not _REFUSED.search(said):
                return Tried(name, tuple(let_in), tuple(let_in), problem=redact(said)[:300])
        else:
            let_in.append(user)
    return Tried(name, tuple(user for user, _ in _DATABASE), tuple(let_in))


def _redis(place: RedisPlace) -> Tried:
    name = f"Redis {place.name}"
    try:
        with socket.create_connection((place.host, place.port), _TIMEOUT_S) as connection:
            said = _said(connection, "PING")
            if said.startswith("+PONG"):
                return Tried(name, unasked=True)
            if not said.startswith(("-NOAUTH", "-DENIED")):
                return Tried(name, problem=f"it does not answer as Redis ({redact(said)[:80]})")
            answer = _said(connection, f"AUTH {_REDIS}") if said.startswith("-NOAUTH") else said
    except OSError as error:
        return Tried(name, problem=str(error.strerror or error))
    return Tried(name, ("default",), ("default",) if answer.startswith("+OK") else ())


def _said(connection: socket.socket, command: str) -> str:
    connection.sendall(f"{command}\r\n".encode())
    return connection.recv(512).decode(errors="replace").strip()


def _page(page: AdminPage) -> Tried:
    """Without a login the page must ask for one; otherwise nothing that is tried would mean anything."""
    access = HttpAccess(ca_file=page.ca_file)
    try:
        asks = sending.get(access, page.url, _TIMEOUT_S, allow_redirects=False)
        if asks.status_code < requests.codes.multiple_choices:
            why = "without a login: it is open to everybody, or shows a form; name a URL that asks for basic authentication"
            return Tried(page.name, problem=f"it answers {asks.status_code} {why}")
        if not asks.headers.get("WWW-Authenticate", "").lower().startswith("basic"):
            return Tried(
                page.name, problem=f"it answers {asks.status_code} and asks for no basic authentication"
            )
        let_in = [user for user, password in _PAGES if _gets_in(access, page, user, password)]
    except (requests.RequestException, OSError) as error:
        return Tried(page.name, problem=sending.why(error))
    return Tried(page.name, tuple(user for user, _ in _PAGES), tuple(let_in))


def _gets_in(access: HttpAccess, page: AdminPage, user: str, password: str) -> bool:
    login = base64.b64encode(f"{user}:{password}".encode()).decode()
    answer = sending.get(
        access, page.url, _TIMEOUT_S, allow_redirects=False, headers={"Authorization": f"Basic {login}"}
    )
    if (
        answer.status_code >= requests.codes.server_error
        or answer.status_code == requests.codes.too_many_requests
    ):
        answer.raise_for_status()
    return answer.status_code not in _NOT_LET_IN
