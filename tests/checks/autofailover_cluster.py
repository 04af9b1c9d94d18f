"""A formation that pg_auto_failover manages, on loopback: a monitor, and nodes whose `pg_autoctl run` keeps PostgreSQL."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from scratch_cluster import GATE, WRITES, Scratch, binaries, wait

#: By default the monitor looks at each node every 5 s, and gives one up after 20 s.
_FASTER = (
    "pgautofailover.health_check_period = 1000",
    "pgautofailover.health_check_retry_delay = 500",
    "pgautofailover.node_considered_unhealthy_timeout = 5000",
    "pgautofailover.primary_demote_timeout = 5000",
    "pgautofailover.startup_grace_period = 1000",
)
#: Without these it keeps its files in the home of its user, and its sockets below /var/run.
_PROGRAM = """#!/bin/sh
export HOME={folder} XDG_CONFIG_HOME={folder}/config XDG_DATA_HOME={folder}/data XDG_RUNTIME_DIR={folder}/run
export PG_REGRESS_SOCK_DIR={folder} PGHOST={folder}
exec {as_user} {program} "$@"
"""


class AutoFailover(Scratch):
    """Nodes db1, db2, … as the monitor knows them. The `pg_autoctl` in the path runs as the servers' user."""

    def __init__(self, folder: Path, ports: dict[str, int], at: int) -> None:
        super().__init__(folder, ports)
        self.at = at
        self.monitor = f"postgres://autoctl_node@127.0.0.1:{at}/pg_auto_failover"
        as_user = "setpriv --reuid=postgres --regid=postgres --clear-groups" if os.getuid() == 0 else ""
        self.program = folder / "bin/pg_autoctl"
        self.program.parent.mkdir()
        program = shutil.which("pg_autoctl")
        self.program.write_text(_PROGRAM.format(folder=folder, as_user=as_user, program=program))
        self.program.chmod(0o755)
        (folder / "run").mkdir(mode=0o777)
        (folder / "run").chmod(0o777)

    def autoctl(self, *words: str, check: bool = True) -> str:
        done = subprocess.run(
            [self.program, *words], cwd=self.folder, capture_output=True, text=True, errors="replace", timeout=120, check=False,
            env={**os.environ, "PG_AUTOCTL_MONITOR": self.monitor},
        )  # fmt: skip
        if check and done.returncode:
            raise AssertionError(f"{words}: {done.stdout}{done.stderr}")
        return done.stdout

    def create(self) -> None:  # type: ignore[override]
        """Make the monitor, db1 with the gate's login and schema, and the other nodes from it."""
        common = ("--hostname", "127.0.0.1", "--auth", "trust", "--no-ssl", "--pgctl", f"{self.bin}/pg_ctl")
        home = f"{self.folder}/monitor"
        self.autoctl("create", "monitor", "--pgdata", home, "--pgport", f"{self.at}", *common)
        self.autoctl("config", "set", "--pgdata", home, "postgresql.listen_addresses", "127.0.0.1")
        self._append("monitor", "fsync = off", "shared_buffers = '16MB'", *_FASTER)
        self.keep("monitor")
        wait(self.states_known)
        for name, port in self.ports.items():
            home, where = f"{self.folder}/{name}", ("--listen", "127.0.0.1", "--pgport", f"{port}")
            own = ("--name", name, "--monitor", self.monitor)
            self.autoctl("create", "postgres", "--pgdata", home, *where, *common, *own)
            if name == "db1":
                self._append(
                    name, "fsync = off", "shared_buffers = '16MB'", "wal_receiver_status_interval = '1s'"
                )
            self.keep(name)
            if name == "db1":
                wait(lambda: self.sql("db1", "SELECT 1"))
                self.sql("db1", f"CREATE ROLE {GATE} LOGIN; GRANT pg_monitor TO {GATE}")
                self.sql("db1", f"CREATE SCHEMA {WRITES} AUTHORIZATION {GATE}")
        wait(self.settled)

    def keep(self, name: str) -> None:
        """Run a node's pg_autoctl, in a session of its own."""
        subprocess.run(["sh", "-c", self._run(name)], check=True)

    def elsewhere(self) -> str:
        """The address of a monitor that is not there."""
        return self.monitor.replace(f":{self.at}/", ":9/")

    def states_known(self) -> bool:
        try:
            self.states()
        except (AssertionError, ValueError):
            return False
        return True

    def states(self) -> dict[str, str]:
        """Return what the monitor has assigned to each node, and whether the node is there yet."""
        found = json.loads(self.autoctl("show", "state", "--json", "--monitor", self.monitor))
        return {
            n["nodename"]: n["current_group_state"]
            + ("" if n["current_group_state"] == n["assigned_group_state"] and n["health"] == 1 else " …")
            for n in found
        }

    def settled(self) -> bool:
        return sorted(self.states().values()) == ["primary", *(["secondary"] * (len(self.ports) - 1))]

    def killed(self) -> dict[str, str]:
        """A crash of the leader with its pg_autoctl, which would start it again; and their return."""
        return {"fault": "killed", "do": f"kill -KILL -{self._group('{node}')}", "undo": self._run("{node}")}

    def frozen(self) -> dict[str, str]:
        """The leader and its pg_autoctl hang, and go on later. Sessions of the server are groups of their own."""
        server = f"$(ps -o pid= --ppid $(head -n 1 {self.folder}/{{node}}/postmaster.pid))"
        return {
            "fault": "frozen",
            "do": f"kill -STOP -{self._group('{node}')} {server}",
            "undo": f"kill -CONT {server} -{self._group('{node}')}",
        }

    def destroy(self) -> None:
        for name in ("monitor", *self.ports):
            with contextlib.suppress(OSError, ValueError):
                group = int(self._pid_file(name).read_text().split()[0])
                os.killpg(group, signal.SIGCONT)
                os.killpg(group, signal.SIGKILL)
        time.sleep(1.0)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _pid_file(self, name: str) -> Path:
        return Path(f"{self.folder}/run/pg_autoctl{self.folder}/{name}/pg_autoctl.pid")

    def _group(self, name: str) -> str:
        return f"$(head -n 1 {self._pid_file(name)} 2>/dev/null)"

    def _run(self, name: str) -> str:
        run = f"setsid {self.program} run --pgdata {self.folder}/{name}"
        return (
            f"kill -0 -{self._group(name)} 2>/dev/null || {run} </dev/null >>{self.folder}/{name}.out 2>&1 &"
        )

    def _append(self, name: str, *lines: str) -> None:
        with (self.folder / name / "postgresql.conf").open("a") as conf:
            conf.write("\n".join(lines) + "\n")


@contextlib.contextmanager
def autofailover_cluster(nodes: int) -> Iterator[AutoFailover]:
    """Start a formation."""
    from places import server_folder
    from scratch_cluster import _free_ports

    if shutil.which("pg_autoctl") is None or not (binaries() / "../lib/pgautofailover.so").exists():
        pytest.skip(
            "there is no pg_auto_failover here: apt install pg-auto-failover-cli postgresql-15-auto-failover"
        )
    folder = server_folder("deploygate-autofailover-")
    folder.chmod(0o755)
    at, *ports = _free_ports(nodes + 1)
    names = [f"db{number}" for number in range(1, nodes + 1)]
    made = AutoFailover(folder, dict(zip(names, ports, strict=True)), at)
    try:
        made.create()
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("PATH", f"{folder}/bin{os.pathsep}{os.environ['PATH']}")
            patched.setenv("PG_AUTOCTL_MONITOR", made.monitor)
            yield made
    finally:
        made.destroy()
