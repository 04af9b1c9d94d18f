"""A PostgreSQL connection as libpq takes it, in the words of an inventory: hosts, database, role, where the password is.

A URI, key/value text or nothing (PGHOST, PGSERVICE and the other variables), as in chapter 34.1 of PostgreSQL's manual.
"""

import ipaddress
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field
from itertools import zip_longest
from typing import Any

from pytest_deploygate.fields.postgres import ConnectionSettings, Node
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.redaction import Secret, hide_those_of_url

#: What an inventory says in place of a password: the variable that libpq itself reads.
PASSWORD = "env:PGPASSWORD"  # noqa: S105 (a reference, not a password)
_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


class DsnError(ValueError):
    """The DSN cannot be used; the text says why, without the DSN itself, as a password may be in it."""


@dataclass(frozen=True)
class Address:
    """Where to connect. `needs_password` is true where the password came with the DSN or the service, not from .pgpass."""

    hosts: tuple[tuple[str, int], ...]
    database: str
    user: str
    password: Secret | None = field(default=None, repr=False)
    sslmode: str = "prefer"
    sslrootcert: str = ""
    notes: tuple[str, ...] = ()

    def settings(self, host: str, port: int, *, timeout_s: int = 3) -> ConnectionSettings:
        """Return the settings of a connection to one server."""
        return ConnectionSettings.model_validate(
            {
                "name": self.database,
                "user": self.user,
                "password": self.password,
                "sslmode": self.sslmode,
                "sslrootcert": self.sslrootcert or None,
                "connect_timeout": f"{timeout_s}s",
                "statement_timeout": "10s",
                "primary": Node(name=f"{host}:{port}", host=host, port=port),
            }
        )


def read(dsn: str) -> Address:
    """Return what a DSN stands for, with libpq's defaults and the service's. Raises DsnError."""
    from psycopg import ProgrammingError  # noqa: PLC0415 (the driver is loaded only when it is needed)
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

    hide_those_of_url(dsn)
    try:
        given: dict[str, Any] = dict(conninfo_to_dict(dsn)) if dsn else {}
    except ProgrammingError:
        raise DsnError(
            "the DSN cannot be read: write postgresql://user@host:port/database, or "
            "host=… port=… dbname=… user=… (special characters of a URI are percent-encoded)"
        ) from None
    if given.get("password"):
        Secret(str(given["password"]), PASSWORD)
    service = str(given.get("service") or os.environ.get("PGSERVICE") or "")
    with _service(service):
        defaults = _defaults()
    whole = {**defaults, **{key: str(value) for key, value in given.items() if value is not None}}
    return _address(whole, service)


def _address(whole: Mapping[str, str], service: str) -> Address:
    notes: list[str] = []
    hosts = tuple(_hosts(whole, notes, service))
    user = whole.get("user", "")
    database = whole.get("dbname") or user
    if not database:
        raise DsnError("the DSN names no database: add it, for example postgresql://user@host/database")
    password = Secret(whole["password"], PASSWORD) if whole.get("password") else None
    mode = whole.get("sslmode") or "prefer"
    if mode not in _MODES:
        raise DsnError(f"sslmode {mode} is not known: use one of {', '.join(_MODES)}")
    roots = whole.get("sslrootcert", "")
    if roots and not os.path.isfile(roots):  # noqa: PTH113 (libpq's word `system` is no path)
        notes.append(f"sslrootcert {roots} is no file here, so it is not in the inventory")
        roots = ""
    return Address(hosts, database, user, password, mode, roots, tuple(notes))


def _hosts(whole: Mapping[str, str], notes: list[str], service: str) -> Iterator[tuple[str, int]]:
    """Yield host and port of each server. An inventory names hosts, so a socket becomes `localhost`."""
    names = (whole.get("hostaddr") or whole.get("host") or "").split(",")
    ports = (whole.get("port") or "").split(",")
    if len(ports) not in (1, len(names)):
        raise DsnError(
            f"the DSN has {len(names)} hosts and {len(ports)} ports: give one port for all, or one for each"
        )
    for host, port in zip_longest(names, ports, fillvalue=ports[0]):
        if port and not (port.isdigit() and 0 < int(port) < 65536):
            raise DsnError(f"the DSN's port {port!r} is not a port: 1 to 65535")
        if not host and service and not whole.get("host"):
            notes.append(
                f"the service {service} names no host (is it in ~/.pg_service.conf or PGSERVICEFILE?)"
            )
        if not host or host.startswith(("/", "@")):
            notes.append(
                "the DSN stands for a socket of this machine; an inventory names hosts, so localhost is tried"
            )
        yield ("localhost" if not host or host.startswith(("/", "@")) else host), int(port or 5432)


@contextmanager
def _service(name: str) -> Iterator[None]:
    """Have libpq read a service: its defaults are read with the service of PGSERVICE only."""
    before = os.environ.get("PGSERVICE")
    if name:
        os.environ["PGSERVICE"] = name
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("PGSERVICE", None)
        else:
            os.environ["PGSERVICE"] = before


def _defaults() -> dict[str, str]:
    """Return what libpq takes where nothing is said: variables and the service."""
    from psycopg.pq import Conninfo  # noqa: PLC0415

    found = {}
    for option in Conninfo.get_defaults():
        if option.val:
            name, value = option.keyword.decode(), option.val.decode(errors="replace")
            found[name] = value
    return found


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine by its address or name."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
