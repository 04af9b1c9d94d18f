"""What is known of a lab: where its folder is, which ports and programs it uses, which faults are in it.

`Lab` is the handle that everything else in this package takes. It is saved as `lab.json`. `state.json` is written once
the lab is ready; its `values` are what inventories refer to as `lab:NAME`.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from pytest_deploygate.fields.sources.lab import STATE_FILE, lab_folder
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.redaction import Secret

DATABASE = "platform"
STANZA = "platform"
HOST = "127.0.0.1"
PRIMARY = "db1"
REPLICAS = ("db2", "db3")
NODES = (PRIMARY, *REPLICAS)
SUPERUSER = "postgres"
#: Roles that log in, each with its own password in a file of mode 0600.
LOGINS = (
    SUPERUSER,
    "platform_owner",
    "platform_app",
    "platform_jobs",
    "platform_backup",
    "replicator",
    "deploygate",
)

#: Set by a command that holds the folder, for the commands that it starts.
_HELD = "DEPLOYGATE_LAB_HELD"


LAB_FILE = "lab.json"


class LabError(Exception):
    """The lab cannot do what was asked; the text is for the person who asked."""


@dataclass(frozen=True)
class Lab:
    """A lab's folder, its programs and its ports. `user` is None where servers run as ourselves.

    `programs` has the path of each executable that the services need, by its name. `missing` has a line for each thing
    that the lab does without. `profiles` are those that it was started with.
    """

    folder: Path
    servers: Path
    version: str
    user: str | None
    ports: dict[str, int]
    pgbackrest: str | None
    programs: dict[str, str]
    missing: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()

    @property
    def private(self) -> Path:
        """The folder of the servers' user, mode 0700: data, repository, archive, configuration."""
        return self.folder / "data"

    @property
    def sockets(self) -> Path:
        """The folder of the servers' unix sockets."""
        return self.private / "run"

    @property
    def seed(self) -> Path:
        """The copy that `lab reset` restores."""
        return self.private / "seed"

    @property
    def crontab(self) -> Path:
        """The schedule that the supervisor runs."""
        return self.folder / "crontab"

    @property
    def pgbackrest_config(self) -> Path:
        """The configuration of pgBackRest."""
        return self.private / "pgbackrest.conf"

    @property
    def pgpass(self) -> Path:
        """Passwords of the roles that servers and jobs use."""
        return self.private / "pgpass"

    def data(self, node: str) -> Path:
        """Return the data folder of a node."""
        return self.private / node

    def tool(self, name: str) -> str:
        """Return the path of one of PostgreSQL's programs."""
        return str(self.servers / name)

    def secret_file(self, role: str) -> Path:
        """Return the file with a role's password."""
        return self.folder / "secrets" / role

    def password(self, role: str) -> Secret:
        """Return a role's password."""
        return Secret(self.secret_file(role).read_text().strip(), f"lab:password.{role}")

    def job_status(self, job: str) -> Path:
        """Return the status file of a scheduled job's last run."""
        return self.folder / "jobs" / f"{job}.json"

    @property
    def failover_record(self) -> Path:
        """The dated record of the failover drill."""
        return self.folder / "failover-drill.json"

    @property
    def restore_record(self) -> Path:
        """The dated record of the restore drill."""
        return self.folder / "restore-drill.json"

    def values(self) -> dict[str, str]:
        """Return what inventories can refer to of the cluster as `lab:NAME`; the whole is in `lab/values.py`."""
        found = {
            "host": HOST,
            "postgresql.major": self.version.partition(".")[0],
            "database": DATABASE,
            "crontab": str(self.crontab),
            "alembic.scripts": str(alembic_scripts()),
            "failover.record": str(self.failover_record),
            "retention.status": str(self.job_status("apply-retention")),
            "logs": str(self.folder / "log"),
            "db1.data": str(self.data(PRIMARY)),
            "log.db1": str(self.folder / "log" / f"{PRIMARY}.log"),
            "upcoming": str(self.folder / "upcoming"),
        }
        found |= {f"{name}.port": str(port) for name, port in self.ports.items()}
        return found | {f"password.{role}": str(self.secret_file(role)) for role in LOGINS}

    def save(self) -> None:
        """Write `lab.json`, from which jobs and later commands load this handle."""
        own = {k: v for k, v in asdict(self).items() if k != "folder"}
        write_whole(self.folder / LAB_FILE, own | {"servers": str(self.servers)})

    def ready(self, supervisor_pid: int, values: dict[str, str]) -> None:
        """Write `state.json`: from then on the lab counts as up, and inventories find their values."""
        state = {"values": values, "supervisor": supervisor_pid, "since": time.time()}
        write_whole(self.folder / STATE_FILE, state)

    def faults(self) -> list[str]:
        """Return the names of the faults that are in the lab now, oldest first."""
        try:
            return list(json.loads((self.folder / "faults.json").read_text()))
        except FileNotFoundError:
            return []

    def record_faults(self, names: Sequence[str]) -> None:
        """Record which faults are in the lab."""
        write_whole(self.folder / "faults.json", list(names))


def alembic_scripts() -> Path:
    """Return the folder with the platform's migrations."""
    return Path(__file__).parent / "alembic"


def load(folder: Path | None = None, *, up: bool = True) -> Lab:
    """Return the lab in `folder` (default: this project's). With `up=False` also one that is still starting.

    Raises LabError when there is none.
    """
    folder = folder or lab_folder()
    try:
        if up:
            (folder / STATE_FILE).stat()
        own = json.loads((folder / LAB_FILE).read_text())
        own |= {"folder": folder, "servers": Path(own["servers"])}
        own |= {name: tuple(own[name]) for name in ("missing", "profiles")}
        return Lab(**own)
    except FileNotFoundError:
        raise LabError("the lab is not running; start it with `deploygate lab up`") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LabError(
            f"the lab's state in {folder} cannot be read ({error}); `deploygate lab down` clears it"
        ) from None


def write_whole(path: Path, content: object, mode: int = 0o644) -> None:
    """Write JSON so that a reader sees the old file or the new one, never half of it."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


@contextmanager
def held_for_children(folder: Path) -> Iterator[None]:
    """Let the lab commands that we start work on the folder that we hold, without waiting for us."""
    os.environ[_HELD] = str(folder)
    try:
        yield
    finally:
        del os.environ[_HELD]


@contextmanager
def locked(folder: Path, wait_s: float = 60.0) -> Iterator[None]:
    """Lock the lab's folder, so that two `lab up`, or a heal and a reset, do not run at once.

    Raises LabError when somebody else holds it for longer than `wait_s` seconds.
    """
    if os.environ.get(_HELD) == str(folder):
        yield
        return
    deadline = time.monotonic() + wait_s
    while True:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is(folder, descriptor):
                break
            os.close(descriptor)
            continue
        except BlockingIOError:
            os.close(descriptor)
            if time.monotonic() > deadline:
                raise LabError(
                    f"another command has been working on the lab in {folder} for {wait_s:.0f} s; try again later"
                ) from None
            time.sleep(0.1)
    try:
        yield
    finally:
        os.close(descriptor)


def _is(folder: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(folder.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
