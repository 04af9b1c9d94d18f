"""The adapter for a server of an inventory, by its kind."""

from __future__ import annotations

from importlib.metadata import entry_points

from pytest_deploygate.comparison.adapter import Server, Side
from pytest_deploygate.comparison.described import POSTGRES
from pytest_deploygate.fields.any_server import AnyServer
from pytest_deploygate.fields.postgres import ConnectionSettings
from pytest_deploygate.model import CannotTell
from pytest_deploygate.problems import nearest

#: Entry points of this group are adapters: a callable that takes what `server` takes, and returns a `Server`.
GROUP = "deploygate.servers"
MARIADB = "mariadb"


def server(login: AnyServer | ConnectionSettings, side: Side, statement_s: float) -> Server:
    """Return the server that an inventory names. `statement_s` limits each of its statements.

    Raises CannotTell where no adapter of this kind is installed, or where it cannot be loaded.
    """
    kind = login.kind if isinstance(login, AnyServer) else POSTGRES
    if kind == POSTGRES:
        from pytest_deploygate.comparison.sides import PostgresServer  # noqa: PLC0415 (only the kind that is used)

        settings = login if isinstance(login, ConnectionSettings) else login.alone()
        return PostgresServer(settings, side, statement_s)
    if kind == MARIADB:
        from pytest_deploygate.comparison.mariadb.server import MariaDbServer  # noqa: PLC0415 (as above)

        return MariaDbServer(login, side, statement_s)
    return _installed(kind, login, side, statement_s)


def _installed(kind: str, login: AnyServer | ConnectionSettings, side: Side, statement_s: float) -> Server:
    there = {point.name: point for point in entry_points(group=GROUP)}
    if kind not in there:
        raise CannotTell(
            f"{login.primary.name} is of the kind {kind!r}, and no adapter of this name is installed"
            f"{nearest(kind, sorted([POSTGRES, MARIADB, *there]))}"
        )
    try:
        made: Server = there[kind].load()(login, side, statement_s)
    except CannotTell:
        raise
    except Exception as error:  # (whatever an adapter of others does, it ends in a sentence)
        raise CannotTell(
            f"the adapter {kind!r} ({there[kind].value}) cannot be used: {type(error).__name__}: {error}"
        ) from error
    return made
