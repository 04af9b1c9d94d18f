"""PgBouncers in front of the primary: those that were named, and on the usual ports of its host only if told to."""

from collections.abc import Sequence
from contextlib import closing
from typing import Any

from pytest_deploygate.discovery.postgres.asking import Server
from pytest_deploygate.redaction import redact

#: Ports on which PgBouncer listens by default, and in the packages of some providers.
USUAL = (6432, 6433, 6543)
_MODES = ("session", "transaction", "statement")


def look(server: Server, named: Sequence[tuple[str, int]], *, host: str, usual: bool) -> None:
    """Ask the consoles and note the poolers that answer."""
    around = [(host, port) for port in USUAL if (host, port) not in named] if usual else []
    for where, port in named:
        _note(server, where, port, told=True)
    for where, port in around:
        _note(server, where, port, told=False)
    if not named and not usual:
        server.wanted(
            "database.pooling",
            "poolers are looked for only if told: --pooler HOST:PORT, or --usual-ports for those of the primary's host",
        )


def _note(server: Server, host: str, port: int, *, told: bool) -> None:
    import psycopg  # noqa: PLC0415 (the driver is loaded only when it is needed)

    try:
        mode, databases = _ask(server, host, port)
    except (psycopg.Error, OSError) as error:
        if told:
            server.unread(
                f"pooler {host}:{port}",
                redact(" ".join(str(error).split())),
                f"add {server.address.user} to `stats_users` in pgbouncer.ini",
            )
        return
    name = server.address.database
    if name not in databases and "*" not in databases:
        server.remark(f"the pooler {host}:{port} has no database {name}")
    value: dict[str, Any] = {"name": f"pgbouncer {host}:{port}", "host": host}
    value |= {"port": port} if port != 6432 else {}
    value |= {"mode": mode} if mode in _MODES else {}
    server.fact(
        "database.pooling.poolers", value, f"its console: SHOW CONFIG, pool_mode is {mode}", entry=True
    )


def _ask(server: Server, host: str, port: int) -> tuple[str, list[str]]:
    """Return the mode and the databases. The console takes simple queries only."""
    import psycopg  # noqa: PLC0415

    address = server.address
    console = psycopg.connect(
        host=host,
        port=port,
        dbname="pgbouncer",
        user=address.user,
        password=address.password.reveal() if address.password else None,
        sslmode=address.sslmode,
        connect_timeout=2,
        tcp_user_timeout=4000,
        autocommit=True,
        prepare_threshold=None,
        cursor_factory=psycopg.ClientCursor,
    )
    with closing(console):
        config = {str(row[0]): str(row[1]) for row in console.execute("SHOW CONFIG").fetchall()}
        databases = [str(row[0]) for row in console.execute("SHOW DATABASES").fetchall()]
    return config.get("pool_mode", ""), databases
