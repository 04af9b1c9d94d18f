"""Four hosts on this machine: an sshd for each, in namespaces with a name, identifiers and processes of its own.

Only root can make such namespaces; for others the lab has no hosts. They share kernel, processors and the root file
system with this machine. Their own are the host name, /etc/machine-id, the boot id, /etc/fstab, the names of other hosts
and their name server, /run with the certificates that they trust, root's home, the processes, and a small file system on
/srv with a service's log and key.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import signal
import socket
import uuid
from functools import partial
from pathlib import Path

from pytest_deploygate.lab import client, nodes, processes, sql
from pytest_deploygate.lab.programs import tool
from pytest_deploygate.lab.services import Service
from pytest_deploygate.lab.state import HOST, Lab, LabError
from pytest_deploygate.lab.supervisor import Program

NAMES = ("host1", "host2", "host3", "host4")
#: Mounted on every host. Small, so that a fault can fill it.
DATA = "/srv"
_PROGRAMS = ("sshd", "ssh", "ssh-keygen", "unshare", "nsenter")
_SERVER = """ListenAddress {host}
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/client_key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
MaxStartups 100
SetEnv HOME={home}
ForceCommand {login}
"""
#: Runs the command of a login, in the host's network where it has one of its own. Each further program takes time.
_LOGIN = (
    "[ -e {network} ] && read -r net <{network} && "
    'exec {nsenter} --net="$net" /bin/sh -c "${{SSH_ORIGINAL_COMMAND:-exec $SHELL}}"; '
    'eval "${{SSH_ORIGINAL_COMMAND:-exec $SHELL}}"'
)
_CLIENT = """Host *
  IdentityFile {folder}/client_key
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known_hosts
  StrictHostKeyChecking yes
"""
#: A service's log, an older one that was rotated and packed, and its key and configuration.
LOG, KEY = f"{DATA}/log/service.log", f"{DATA}/service/service.key"
_SERVICE_FILES = (
    f"mkdir -p -m 755 {DATA}/log {DATA}/service",
    f"echo 'INFO service is ready, 4 workers' >{LOG}",
    f"echo 'INFO service starts' | gzip -c >{LOG}.2.gz",
    f"printf 'listen = 127.0.0.1:9000\nworkers = 4\n' >{DATA}/service/service.conf",
    f"(umask 077; head -c 32 /dev/urandom | base64 >{KEY})",
)
#: This machine's /proc, in the folder of a host.
_OUTER = "proc"
#: What a host sees in place of this machine's files, by name in its folder.
_OWN_FILES = {
    "machine-id": "/etc/machine-id",
    "boot_id": "/proc/sys/kernel/random/boot_id",
    "fstab": "/etc/fstab",
    "hosts": "/etc/hosts",
    "resolv.conf": "/etc/resolv.conf",
}
#: Where a host has the certificates that it trusts, as one of its own files.
TRUSTED, TRUSTED_FILE = "/run/platform-ca.pem", "ca.pem"
#: The file of names that a host begins with.
NAMES_FILE = "127.0.0.1 localhost\n::1 localhost\n"
#: Names that are in no file have no other place to be asked for.
_RESOLVER = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"


def where(lab: Lab) -> Path:
    """Return the folder with the keys and a folder for each host."""
    return lab.private / "hosts"


def folder(lab: Lab, name: str) -> Path:
    """Return the folder of what one host sees in place of this machine's files."""
    return where(lab) / name


def write(lab: Lab, name: str, file: str, text: str) -> None:
    """Write one of a host's own files in place: it is mounted, so another file under its name would not be seen."""
    path = folder(lab, name) / file
    path.write_text(text)
    path.chmod(0o644)


def read(lab: Lab, name: str, file: str) -> str:
    """Return one of a host's own files."""
    return (folder(lab, name) / file).read_text()


def enter(lab: Lab, name: str, network: str) -> None:
    """Let logins to a host run their commands in a network namespace (a path such as `/proc/123/ns/net`).

    A host sees only its own processes in /proc; those of this machine are in its folder.
    """
    seen = network.replace("/proc", str(folder(lab, name) / _OUTER), 1)
    _network(lab, name).write_text(f"{seen}\n")


def _network(lab: Lab, name: str) -> Path:
    return where(lab) / f"{name}.network"


def pid(lab: Lab, name: str) -> int:
    """Return the process of a host's sshd. Raises LabError if it is not running."""
    server = client.status(lab.folder)["servers"].get(name)
    if server is None or server["exit_code"] is not None:
        raise LabError(f"{name} is not running")
    return int(server["pid"])


def inside(lab: Lab, name: str, command: str) -> str:
    """Run a shell command as root in a host's namespaces and return its output. Raises LabError if it fails."""
    own = f"/proc/{pid(lab, name)}/ns"
    return processes.run(
        [
            lab.programs["nsenter"],
            f"--mount={own}/mnt",
            f"--pid={own}/pid_for_children",
            "/bin/sh",
            "-c",
            command,
        ],
        user=None,
    )


def start(lab: Lab) -> None:
    """Make the keys, and start the hosts. Raises LabError."""
    place = where(lab)
    place.mkdir(mode=0o755)
    for key in ("host_key", "client_key"):
        processes.run(
            [lab.programs["ssh-keygen"], "-q", "-t", "ed25519", "-N", "", "-f", str(place / key)], user=None
        )
    public = (place / "host_key.pub").read_text()
    (place / "known_hosts").write_text("".join(f"[{HOST}]:{lab.ports[name]} {public}" for name in NAMES))
    (place / "ssh_config").write_text(_CLIENT.format(folder=place))
    for name in NAMES:
        begin(lab, name)
    for name in NAMES:
        try:
            sql.wait_until(f"start of {name}", partial(_answers, lab.ports[name]), 15.0)
        except LabError as error:
            raise LabError(f"{error}: {nodes.log_end(lab, name)}") from None


def begin(lab: Lab, name: str) -> None:
    """Start one host as on its first day."""
    own = folder(lab, name)
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir(mode=0o755)
    write(lab, name, "machine-id", f"{secrets.token_hex(16)}\n")
    write(lab, name, "boot_id", f"{uuid.uuid4()}\n")
    write(lab, name, "fstab", f"tmpfs {DATA} tmpfs rw,size=8m 0 0\n")
    write(lab, name, "hosts", NAMES_FILE)
    write(lab, name, "resolv.conf", _RESOLVER)
    write(lab, name, TRUSTED_FILE, "")
    network, nsenter = shlex.quote(str(_network(lab, name))), shlex.quote(lab.programs["nsenter"])
    login = _LOGIN.format(network=network, nsenter=nsenter)
    # bash reads ~/.bashrc for each command over SSH; that of this machine's root is none of the host's.
    (own / "home").mkdir(mode=0o700)
    settings = _SERVER.format(
        host=HOST, port=lab.ports[name], folder=where(lab), home=own / "home", login=login
    )
    (own / "sshd_config").write_text(settings)
    (own / _OUTER).mkdir(mode=0o700)
    mounts = [f"mount --bind /proc {shlex.quote(str(own / _OUTER))}", "mount -t proc proc /proc"]
    mounts += [
        f"[ ! -e {target} ] || mount --bind {shlex.quote(str(own / file))} {target}"
        for file, target in _OWN_FILES.items()
    ]
    lines = [
        "set -e",
        *mounts,
        f"mount -t tmpfs -o size=8m,nr_inodes=400 tmpfs {DATA}",
        "mount -t tmpfs -o size=1m,mode=755 tmpfs /run",
        "mkdir -m 755 /run/sshd",
        f"ln -s {shlex.quote(str(own / TRUSTED_FILE))} {TRUSTED}",
        *_SERVICE_FILES,
        f"hostname {name}",
        f"exec {shlex.join([lab.programs['sshd'], '-D', '-e', '-f', str(own / 'sshd_config')])}",
    ]
    # Processes of its own: sshd is the first of them. `unshare` blocks SIGTERM; when it is killed, all of them end.
    # The folder is an argument by itself, so that `lab down` finds it without the supervisor.
    own_kinds = ["--mount", "--uts", "--pid", "--fork", "--kill-child"]
    argv = [lab.programs["unshare"], *own_kinds, "/bin/sh", "-c", "\n".join(lines), name, str(own)]
    client.start(lab, name, Program(argv, None, death_signal=signal.SIGKILL))


def stop(lab: Lab, name: str) -> None:
    """Stop one host."""
    client.stop(lab, name, signal.SIGKILL)


def values(lab: Lab) -> dict[str, str]:
    """Return the connection of each host, as root: accounts of servers are locked, which OpenSSH refuses without PAM."""
    return {
        f"hosts.{name}": f"ssh://root@{HOST}:{lab.ports[name]}?ssh_config={where(lab)}/ssh_config"
        for name in NAMES
    }


def _answers(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), 1.0) as connection:
            return connection.recv(8).startswith(b"SSH-")
    except OSError:
        return False


def _find(name: str) -> str | None:
    return tool(name) if os.getuid() == 0 else None


SERVICE = Service(
    name="hosts",
    servers={
        "host1": "four SSH servers with identities of their own: the database's first host",
        "host2": "its second",
        "host3": "its third",
        "host4": "the application's host",
    },
    programs=_PROGRAMS,
    missing="servers are not covered; run the lab as root, with openssh-server and util-linux installed",
    start=start,
    where=where,
    values=values,
    find=_find,
    alone=True,
)
