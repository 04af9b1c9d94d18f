"""The pending migrations are run by their own tool, through the relay, on the scratch server."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from pytest_deploygate.clients.host.commands import run
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact


@dataclass(frozen=True)
class Address:
    """Where the relay listens, and the password that it asks for."""

    port: int
    password: str
    database: str

    @property
    def url(self) -> str:
        """As a URL that libpq, psycopg and most tools take."""
        return f"postgresql://postgres:{self.password}@127.0.0.1:{self.port}/{self.database}"

    @property
    def environment(self) -> dict[str, str]:
        """A small environment in which nothing but this server is named as a database."""
        kept = {
            k: os.environ[k] for k in ("PATH", "HOME", "LANG", "LC_ALL", "VIRTUAL_ENV") if k in os.environ
        }
        return kept | {
            "PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": "postgres", "PGPASSWORD": self.password,
            "PGDATABASE": self.database, "PGSSLMODE": "disable", "PGCLIENTENCODING": "UTF8", "DATABASE_URL": self.url,
        }  # fmt: skip

    def filled(self, command: str) -> str:
        """Put the address into a command of the inventory."""
        own = {
            "{url}": self.url, "{host}": "127.0.0.1", "{port}": str(self.port), "{user}": "postgres",
            "{password}": self.password, "{database}": self.database,
        }  # fmt: skip
        for name, value in own.items():
            command = command.replace(name, shlex.quote(value))
        return command


def psql(programs: Path, at: Address, file: Path, files_as: str, within_s: float) -> str:
    """Run a file with psql, which stops at the first error; return what it said if it did not end well."""
    command = [str(programs / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1"]
    if files_as == "one_query":
        command += ["-c", file.read_text(encoding="utf-8-sig")]
    else:
        command += ["-1"] * (files_as == "transaction") + ["-f", str(file)]
    return _ran(command, at.environment, file.parent, within_s)


def alembic(at: Address, scripts: Path, ini: Path | None, table: str, within_s: float) -> str:
    """Run Alembic's pending migrations in a process of their own; return what it said if it did not end well."""
    url = at.url.replace("postgresql://", "postgresql+psycopg://")
    program = str(Path(__file__).with_name("run_alembic.py"))
    # The migrations may import the application that their folder belongs to.
    path = os.pathsep.join([str(scripts.parent), *filter(None, [os.environ.get("PYTHONPATH", "")])])
    command = [sys.executable, program, str(scripts), url, table, str(ini or "")]
    return _ran(command, at.environment | {"PYTHONPATH": path}, scripts.parent, within_s)


def command(at: Address, text: str, within_s: float) -> str:
    """Run the inventory's command; return what it said if it did not end well."""
    words = " ".join(
        f"{name}={shlex.quote(value)}" for name, value in at.environment.items() if name != "PATH"
    )
    return run(f"export {words}; {at.filled(text)}", within_s=within_s).problem.replace(at.password, "…")


def _ran(command: list[str], environment: Mapping[str, str], folder: Path, within_s: float) -> str:
    try:
        done = subprocess.run(
            command, env=dict(environment), cwd=folder, stdin=subprocess.DEVNULL, capture_output=True,
            check=False, timeout=within_s,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"did not end within {within_s:g} s (`migration_lint.scratch.within`)"
    except OSError as error:
        raise CannotTell(f"{command[0]} cannot be run: {error}") from error
    if done.returncode == 0:
        return ""
    said = " ".join((done.stderr or done.stdout).decode(errors="replace").split())
    return redact(said)[-400:].replace(environment["PGPASSWORD"], "…") or f"exit code {done.returncode}"
