"""PgBouncer in front of the primary, in transaction mode."""

from __future__ import annotations

from pathlib import Path

from pytest_deploygate.lab import client, nodes, sql
from pytest_deploygate.lab.services import Service
from pytest_deploygate.lab.state import DATABASE, HOST, PRIMARY, Lab, LabError
from pytest_deploygate.lab.supervisor import Program

NAME = "pgbouncer"
_CLIENTS = ("platform_app", "deploygate")
_CONFIGURATION = """[databases]
{database} = host={host} port={primary} dbname={database}

[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
stats_users = deploygate
pool_mode = transaction
default_pool_size = 15
reserve_pool_size = 5
max_client_conn = 200
server_tls_sslmode = disable
ignore_startup_parameters = extra_float_digits, options
"""


def where(lab: Lab) -> Path:
    """Return the configuration file."""
    return lab.private / "pgbouncer.ini"


def start(lab: Lab) -> None:
    """Write PgBouncer's configuration and start it. Raises LabError."""
    users = lab.private / "pgbouncer.users"
    configuration = where(lab)
    nodes.put(lab, users, "".join(f'"{r}" "{lab.password(r).reveal()}"\n' for r in _CLIENTS))
    text = _CONFIGURATION.format(
        database=DATABASE, host=HOST, primary=lab.ports[PRIMARY], port=lab.ports[NAME], users=users
    )
    nodes.put(lab, configuration, text)
    client.start(lab, NAME, Program([lab.programs[NAME], str(configuration)], lab.user))
    try:
        sql.wait_until("start of PgBouncer", lambda: _answers(lab), 10.0)
    except LabError as error:
        raise LabError(f"{error}: {nodes.log_end(lab, NAME)}") from None


def _answers(lab: Lab) -> bool:
    try:
        with sql.connect(lab, NAME, role="platform_app", options="") as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except sql.Unreachable:
        return False


def values(lab: Lab) -> dict[str, str]:
    """Return what inventories refer to beside the port."""
    return {"pooling.record": str(lab.folder / "pooling-pressure.json")}


SERVICE = Service(
    name=NAME,
    servers={NAME: "PgBouncer, transaction mode"},
    programs=(NAME,),
    missing="connection pooling is not covered; apt install pgbouncer",
    start=start,
    where=where,
    values=values,
)
