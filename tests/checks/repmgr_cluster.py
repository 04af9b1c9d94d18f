"""A cluster that repmgr manages, on loopback: PostgreSQL, repmgrd for each node, and an sshd through which repmgr reaches them."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from scratch_cluster import GATE, WRITES, Scratch, binaries, wait

_CONF = """node_id={number}
node_name='{name}'
conninfo='host=127.0.0.1 port={port} user=repmgr dbname=repmgr connect_timeout=2'
data_directory='{folder}/{name}'
pg_bindir='{bin}'
ssh_options='-q -F {folder}/ssh_config'
use_replication_slots=yes
service_start_command='{bin}/pg_ctl -D {folder}/{name} -l {folder}/{name}.log -w -o "-p {port}" start'
service_stop_command='{bin}/pg_ctl -D {folder}/{name} -m fast -w stop'
service_restart_command='{bin}/pg_ctl -D {folder}/{name} -l {folder}/{name}.log -w -m fast -o "-p {port}" restart'
failover=automatic
promote_command='{bin}/repmgr standby promote -f {folder}/at-{name}/repmgr.conf'
follow_command='{bin}/repmgr standby follow -f {folder}/at-{name}/repmgr.conf -W --upstream-node-id=%n'
monitor_interval_secs=1
reconnect_attempts=2
reconnect_interval=1
"""
_SSHD = """ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/key-host
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
MaxStartups 100
"""
_SSH = """  HostName 127.0.0.1
  Port {port}
  User {user}
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known_hosts
  StrictHostKeyChecking yes
"""


class Repmgr(Scratch):
    """Nodes db1, db2, … as repmgr knows them. `ssh db2` finds the node's `repmgr.conf` in the folder it begins in."""

    def __init__(self, folder: Path, ports: dict[str, int] | None = None) -> None:
        super().__init__(folder, ports)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.as_user = (
            ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups"]
            if os.getuid() == 0
            else []
        )

    def create(self, *settings: str) -> None:
        """Make db1, register it, clone the others from it by repmgr, and serve ssh."""
        self.run("initdb", "-D", "db1", "-U", "postgres", "-A", "trust", "-N", "--no-instructions")
        lines = [
            "listen_addresses = '127.0.0.1'", f"unix_socket_directories = '{self.folder}'", "fsync = off",
            "max_slot_wal_keep_size = '256MB'", "hot_standby = on", "shared_buffers = '16MB'", "wal_log_hints = on",
            "wal_receiver_status_interval = '1s'", "max_connections = 60", "shared_preload_libraries = 'repmgr'",
            *settings,
        ]  # fmt: skip
        with (self.folder / "db1/postgresql.conf").open("a") as conf:
            conf.write("\n".join(lines) + "\n")
        for number, name in enumerate(self.ports, 1):
            home = self.folder / f"at-{name}"
            home.mkdir()
            home.chmod(0o755)
            (home / "repmgr.conf").write_text(
                _CONF.format(
                    number=number, name=name, port=self.ports[name], folder=self.folder, bin=self.bin
                )
            )
        self._serve()
        self.start("db1")
        self.sql("db1", "CREATE ROLE repmgr SUPERUSER LOGIN")
        self.sql("db1", "CREATE DATABASE repmgr OWNER repmgr")
        self.sql("db1", f"CREATE ROLE {GATE} LOGIN; GRANT pg_monitor TO {GATE}")
        self.sql("db1", f"CREATE SCHEMA {WRITES} AUTHORIZATION {GATE}")
        self.repmgr("db1", "primary", "register")
        for name in list(self.ports)[1:]:
            self.replica(name)

    def synchronous(self, names: str) -> None:
        """Let commits wait, whoever leads. Not before the nodes are there."""
        for name in self.ports:
            with (self.folder / name / "postgresql.conf").open("a") as conf:
                conf.write(f"synchronous_standby_names = '{names}'\n")
            self.sql(name, "SELECT pg_reload_conf()")

    def replica(self, name: str, source: str = "db1") -> None:
        """Clone a node by repmgr, and register it."""
        whence = ("-h", "127.0.0.1", "-p", str(self.ports[source]), "-U", "repmgr", "-d", "repmgr")
        self.repmgr(name, *whence, "standby", "clone", "--fast-checkpoint")
        self.start(name)
        self.repmgr(name, "standby", "register", "--force")

    def repmgr(self, name: str, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run("repmgr", "-f", f"{self.folder}/at-{name}/repmgr.conf", *words, check=check)

    def watch(self, name: str) -> None:
        """Start the node's repmgrd, and wait until it is known to its server."""
        with (self.folder / f"at-{name}/repmgrd.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [*self.as_user, self.bin / "repmgrd", "-f", self.folder / f"at-{name}/repmgr.conf",
                 "--daemonize=false", "--no-pid-file"],
                cwd=self.folder, stdout=log, stderr=log,
            )  # fmt: skip
        wait(lambda: self.repmgr_sql(name, "SELECT repmgr.repmgrd_is_running()")[0][0])

    def unwatch(self, name: str) -> None:
        """End the node's repmgrd."""
        process = self.processes.pop(name)
        process.terminate()
        process.wait(20)

    def repmgr_sql(self, name: str, text: str) -> list[tuple]:
        return self.sql(name, text, "repmgr")

    def state(self) -> str:
        """A command that prints the state without ssh, which takes longest."""
        words = [*self.as_user, str(self.bin / "repmgr"), "-f", f"{self.folder}/at-{{node}}/repmgr.conf"]
        return f"{' '.join(words)} service status --csv"

    def killed(self) -> dict[str, str]:
        """A crash of the leader, and its return by repmgr; both as an inventory would name them."""
        hosts, ports = ",".join("127.0.0.1" for _ in self.ports), ",".join(map(str, self.ports.values()))
        others = f"host={hosts} port={ports} user=repmgr dbname=repmgr target_session_attrs=read-write"
        # Before its first checkpoint a promoted server counts as on the old timeline: pg_rewind then finds nothing to do.
        ready = f"{self.bin}/psql -qc CHECKPOINT {shlex.quote(others)}"
        rejoin = f"{ready} && repmgr node rejoin -d {shlex.quote(others)} --force-rewind"
        runs = f"{self.bin}/pg_ctl -D {self.folder}/{{node}} -s status"
        return {
            "fault": "killed",
            "do": f"kill -KILL $(head -n 1 {self.folder}/{{node}}/postmaster.pid)",
            "undo": f'ssh {{node}} "{runs} || ({rejoin})"',
        }

    def destroy(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(20)
        for name in reversed(self.ports):
            self.stop(name, "immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _serve(self) -> None:
        """Serve logins of the servers' user; each node has a key that leads into its folder."""
        sshd = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:" + os.environ.get("PATH", ""))
        if sshd is None or shutil.which("ssh") is None:
            pytest.skip("there is no sshd here: apt install openssh-server openssh-client")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        allowed, hosts = "", ""
        about = _SSH.format(port=port, folder=self.folder, user=self.user)
        for name, home in {"host": ".", "127.0.0.1": ".", **{n: f"at-{n}" for n in self.ports}}.items():
            key = self.folder / f"key-{name}"
            subprocess.run(
                [*self.as_user, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True
            )
            public = key.with_name(f"{key.name}.pub").read_text()
            if name == "host":
                (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {public}")
                continue
            allowed += f'command="cd {self.folder / home} && eval \\"$SSH_ORIGINAL_COMMAND\\"" {public}'
            hosts += f"Host {name}\n  IdentityFile {key}\n{about}"
        (self.folder / "authorized_keys").write_text(allowed)
        (self.folder / "ssh_config").write_text(hosts)
        (self.folder / "sshd_config").write_text(_SSHD.format(port=port, folder=self.folder))
        with (self.folder / "sshd.log").open("wb") as log:
            self.processes["sshd"] = subprocess.Popen(
                [*self.as_user, sshd, "-D", "-e", "-f", self.folder / "sshd_config"], stderr=log
            )
        programs = self.folder / "bin"
        programs.mkdir()
        (programs / "ssh").write_text(
            f'#!/bin/sh\nexec {shutil.which("ssh")} -q -F {self.folder}/ssh_config "$@"\n'
        )
        (programs / "ssh").chmod(0o755)


@contextlib.contextmanager
def repmgr_cluster(nodes: int, *settings: str) -> Iterator[Repmgr]:
    """Start a cluster, with an `ssh` in the path that reaches its nodes by name."""
    from places import server_folder
    from scratch_cluster import _free_ports

    if not (binaries().parent / "lib/repmgr.so").exists():
        pytest.skip("there is no repmgr for this server: apt install postgresql-15-repmgr")
    folder = server_folder("deploygate-repmgr-")
    folder.chmod(0o755)
    names = [f"db{number}" for number in range(1, nodes + 1)]
    made = Repmgr(folder, dict(zip(names, _free_ports(nodes), strict=True)))
    try:
        made.create(*settings)
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("PATH", f"{folder}/bin{os.pathsep}{os.environ['PATH']}")
            yield made
    finally:
        made.destroy()
