"""The previous system: a small database beside the platform's, which users no longer use.

Nobody writes to it, and it is read-only by default, as a cutover leaves it.
"""

from __future__ import annotations

from psycopg import sql as quoted

from pytest_deploygate.lab import sql
from pytest_deploygate.lab.state import Lab

DATABASE = "legacy"
_TABLES = """
REVOKE ALL ON SCHEMA public FROM PUBLIC;
CREATE SCHEMA legacy AUTHORIZATION platform_owner;
GRANT USAGE ON SCHEMA legacy TO platform_app;
CREATE TABLE legacy.orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, placed_at timestamptz NOT NULL DEFAULT now(), machine text NOT NULL
);
GRANT SELECT, INSERT, UPDATE, DELETE ON legacy.orders TO platform_app;
INSERT INTO legacy.orders (placed_at, machine)
SELECT now() - interval '2 days' - n * interval '1 minute', 'M-' || n FROM generate_series(1, 200) AS n;
ANALYZE legacy.orders;
"""


def create(lab: Lab) -> None:
    """Create it, with two hundred orders of earlier days."""
    name = quoted.Identifier(DATABASE)
    with sql.connect(lab, database="postgres") as connection:
        connection.execute(quoted.SQL("CREATE DATABASE {}").format(name))
    with sql.connect(lab, database=DATABASE) as connection:
        connection.execute(_TABLES)
    fence(lab)


def fence(lab: Lab) -> None:
    """Make new sessions read-only."""
    with sql.connect(lab, database="postgres") as connection:
        connection.execute(
            quoted.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(
                quoted.Identifier(DATABASE)
            )
        )


def order(lab: Lab, rows: int) -> None:
    """Place orders like a client that does not know of the cutover: it asks for a read-write transaction."""
    options = "-c default_transaction_read_only=off"
    with sql.connect(lab, role="platform_app", database=DATABASE, options=options) as connection:
        connection.execute(
            "INSERT INTO legacy.orders (machine) SELECT 'M-1' FROM generate_series(1, %s)", (rows,)
        )


def forget(lab: Lab) -> None:
    """Remove the late orders."""
    options = "-c default_transaction_read_only=off"
    with sql.connect(lab, database=DATABASE, options=options) as connection:
        connection.execute("DELETE FROM legacy.orders WHERE placed_at > now() - interval '1 day'")
