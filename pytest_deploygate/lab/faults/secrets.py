"""Faults of secrets: one lies open on a host, and a key that everybody may read."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from pytest_deploygate.lab.faults import Change, Fault, by_sql
from pytest_deploygate.lab.faults.postgres import login_rules
from pytest_deploygate.lab.services import hosts
from pytest_deploygate.lab.state import Lab

_ITEMS = {"sec.secrets": "fail"}
_TESTS = ("test_servers_show_no_secret",)
_SCOPE = "preflight and security"
_NEEDS = hosts.NAMES
#: The role whose password is found.
_ROLE = "platform_app"
_PID = "/run/importer.pid"
_ROTATED = f"{hosts.LOG}.3.gz"
_SETTINGS = f"{hosts.DATA}/service/database.env"


def _on(host: str, command: Callable[[str], str]) -> Change:
    """Return a change that runs a command on a host, which gets the password, quoted."""
    return lambda lab: hosts.inside(lab, host, command(shlex.quote(lab.password(_ROLE).reveal())))


def _in_background(before: str, after: Callable[[str], str]) -> Callable[[str], str]:
    """Return a command that starts a process of its own, with something before its name or among its arguments."""
    loop = shlex.quote("while :; do sleep 3600; done")
    return lambda password: (
        f"{before.format(password)} setsid sh -c {loop} importer {after(password)} >/dev/null 2>&1 </dev/null & echo $! >{_PID}"
    )


def _end(host: str) -> Change:
    return lambda lab: hosts.inside(
        lab, host, f"[ ! -e {_PID} ] || kill -- -$(cat {_PID}) 2>/dev/null; rm -f {_PID}"
    )


def _remove(host: str, path: str) -> Change:
    return lambda lab: hosts.inside(lab, host, f"rm -f {path}")


def _key(mode: str) -> Callable[[Lab], str]:
    return lambda lab: hosts.inside(lab, "host2", f"chmod {mode} {hosts.KEY}")


ARGUMENTS = Fault(
    "secret-in-arguments",
    "a process of host1 has the application's password among its arguments",
    _ITEMS,
    _on("host1", _in_background("", lambda password: f"--password {password}")),
    _end("host1"),
    says="host1: the secret lab:password.platform_app stands in the arguments of process",
    tests=_TESTS,
    scope=_SCOPE,
    needs=_NEEDS,
)
ENVIRONMENT = Fault(
    "secret-in-environment",
    "a process of host3 has the application's password in its environment",
    _ITEMS,
    _on("host3", _in_background("PGPASSWORD={}", lambda _: "")),
    _end("host3"),
    says="stands in the environment of process",
    tests=_TESTS,
    scope=_SCOPE,
    needs=_NEEDS,
)
ROTATED_LOG = Fault(
    "secret-in-rotated-log",
    "an old log of host4, rotated and packed, has the application's password in a URL",
    _ITEMS,
    _on(
        "host4",
        lambda p: f"echo 'DEBUG connects to postgresql://app:'{p}'@db1/platform' | gzip -c >{_ROTATED}",
    ),
    _remove("host4", _ROTATED),
    says=f"stands in the log {_ROTATED} line 1",
    tests=_TESTS,
    scope=_SCOPE,
    needs=_NEEDS,
)
NAME = Fault(
    "secret-in-file-name",
    "a file of host2 has the application's password in its name",
    _ITEMS,
    _on("host2", lambda p: f"(umask 077; true >{hosts.DATA}/service/export-{p}.csv)"),
    _remove("host2", f"{hosts.DATA}/service/export-*.csv"),
    says=f"is part of the name {hosts.DATA}/service/export-[secret].csv",
    tests=_TESTS,
    scope=_SCOPE,
    needs=_NEEDS,
)
WORLD_READABLE = Fault(
    "secret-in-world-readable-file",
    "a file of host3 with the application's password may be read by every user",
    _ITEMS,
    _on(
        "host3", lambda p: f"printf 'PGUSER=app\\nPGPASSWORD=%s\\n' {p} >{_SETTINGS}; chmod 0644 {_SETTINGS}"
    ),
    _remove("host3", _SETTINGS),
    says=f"stands in the world-readable file {_SETTINGS} line 2",
    tests=_TESTS,
    scope=_SCOPE,
    needs=_NEEDS,
)
KEY_MODE = Fault(
    "key-mode",
    "the key of a service on host2 may be read by every user",
    _ITEMS,
    _key("0644"),
    _key("0600"),
    says=f"host2: {hosts.KEY} has mode 0644",
    tests=_TESTS,
    scope=_SCOPE,
    needs=_NEEDS,
)
MD5 = Fault(
    "pg-hba-md5",
    "pg_hba.conf of db1 asks clients of a private network for md5",
    _ITEMS,
    login_rules("host all all 10.0.0.0/8 md5\n"),
    login_rules(),
    says="db1: pg_hba.conf line 6 asks all from 10.0.0.0/8 for md5",
    tests=("test_database_asks_for_passwords",),
    scope=_SCOPE,
)
DEFAULT_PASSWORD = Fault(
    "default-password",
    "somebody made a role `admin` with the password `admin` on db1",
    _ITEMS,
    by_sql("CREATE ROLE admin LOGIN PASSWORD 'admin'"),
    by_sql("DROP ROLE IF EXISTS admin"),
    says="PostgreSQL db1: admin gets in with a well-known default password",
    tests=("test_services_are_guarded",),
    scope=_SCOPE,
)
