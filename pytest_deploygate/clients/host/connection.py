"""How a command reaches a host: the command line here that runs it there.

A connection is written as testinfra writes it (`ssh://deploy@db1.example.com:2222`), with the same options behind a question
mark, so that one inventory serves our checks and people's own testinfra tests. testinfra itself is not needed: its pytest
plugin and pytest-ansible's have the same option, and no pytest starts where both are installed. What it reaches by a protocol
of its own (paramiko, Salt, WinRM) is left to it.
"""

from __future__ import annotations

import functools
import shlex
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, unquote

from pytest_deploygate.clients.host import ssh
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell
from pytest_deploygate.problems import nearest

#: Options of the connections that are made here.
_OPTIONS = (
    "ansible_inventory", "container", "context", "controlpersist", "kubeconfig", "namespace", "ssh_config", "ssh_extra_args",
    "ssh_identity_file", "sudo", "sudo_user", "timeout",
)  # fmt: skip
#: Options whose values are paths here, in which `~` is the home folder.
_PATHS = ("ansible_inventory", "ssh_config", "ssh_identity_file", "kubeconfig")
_CONNECT_S = "10"
#: Kinds of connection that testinfra has beside ours.
BY_TESTINFRA = ("paramiko", "safe-ssh", "salt", "winrm")


@dataclass(frozen=True)
class Address:
    """A connection's parts: `kind://user@host:port?option=value`. Empty parts are not given."""

    kind: str
    host: str
    user: str = ""
    port: str = ""
    options: tuple[tuple[str, str], ...] = ()

    def option(self, name: str) -> str:
        """Return an option's value; empty if it is not given."""
        return dict(self.options).get(name, "")


@functools.cache
def address(name: str) -> Address:
    """Take a connection apart. Raises CannotTell for what is none."""
    kind, sign, rest = name.partition("://")
    if not sign:
        raise CannotTell(f"{name!r} does not say how to connect: write ssh://{name}, or local://")
    if kind not in (*_LINES, "ansible", *BY_TESTINFRA):
        known = (*_LINES, "ansible", *BY_TESTINFRA)
        place = f"{kind}://{rest.partition('?')[0].rpartition('@')[2]}"
        raise CannotTell(
            f"{place} cannot be accessed: no kind of connection is named {kind!r}{nearest(kind, known)}"
        )
    where, _, query = rest.partition("?")
    options = {key: values[0] for key, values in parse_qs(query).items()}
    wrong = next((key for key in options if key not in _OPTIONS and kind not in BY_TESTINFRA), None)
    if wrong is not None:
        raise CannotTell(f"a connection has no option {wrong!r}{nearest(wrong, _OPTIONS)}")
    for key in _PATHS:
        if key in options:
            options[key] = str(Path(options[key]).expanduser())
    user, _, host = where.rpartition("@")
    port = ""
    if kind == "ssh":
        if ":" in user:
            login = f"{user.partition(':')[0]}:…@{host}"
            raise CannotTell(f"ssh://{login} has a password, which is not used: log in with a key")
        host, port = _host_and_port(host.partition("/")[0])
    if not host and kind != "local":
        raise CannotTell(f"{kind}:// names no host: write {kind}://NAME")
    return Address(kind, unquote(host.rstrip("/")), unquote(user), port, tuple(options.items()))


def _host_and_port(where: str) -> tuple[str, str]:
    """Split `host:port`; an address of IPv6 stands in brackets."""
    if where.startswith("["):
        host, _, port = where[1:].partition("]")
        return host, port.removeprefix(":")
    host, _, port = where.partition(":")
    return host, port


def line(name: str, command: str) -> str:
    """Return the line of a shell here that runs a shell's command on a host. Raises CannotTell for other connections."""
    to = address(name)
    return _LINES[to.kind](to, name, command)


def as_user(name: str, command: str) -> str:
    """Return a command that runs as the user of a host's options `sudo` and `sudo_user`; as it is without them."""
    to = address(name)
    if to.option("sudo").lower() != "true":
        return command
    user = ["-u", to.option("sudo_user")] if to.option("sudo_user") else []
    return shlex.join(["sudo", *user, "/bin/sh", "-c", command])


def _local(_to: Address, _name: str, command: str) -> str:
    return command


def _ssh(to: Address, name: str, command: str) -> str:
    words = ["ssh", *ssh.arguments(name, to.option("controlpersist"))]
    if to.option("ssh_config"):
        words += ["-F", to.option("ssh_config")]
    if to.user:
        words += ["-o", f"User={to.user}"]
    if to.port:
        words += ["-o", f"Port={to.port}"]
    if to.option("ssh_identity_file"):
        words += ["-i", to.option("ssh_identity_file")]
    if not any("connecttimeout" in word.lower() for word in words):
        words += ["-o", f"ConnectTimeout={to.option('timeout') or _CONNECT_S}"]
    return shlex.join([*words, "--", to.host, command])


def _container(to: Address, _name: str, command: str) -> str:
    user = ["-u", to.user] if to.user else []
    return shlex.join([to.kind, "exec", *user, to.host, "/bin/sh", "-c", command])


def _pod(to: Address, _name: str, command: str) -> str:
    # `kubectl exec` and `oc exec` cannot name a user.
    words = ["oc" if to.kind == "openshift" else "kubectl"]
    for option, flag in (("kubeconfig", "--kubeconfig"), ("context", "--context"), ("namespace", "-n")):
        if to.option(option):
            words += [flag, to.option(option)]
    container = ["-c", to.option("container")] if to.option("container") else []
    return shlex.join([*words, "exec", to.host, *container, "--", "/bin/sh", "-c", command])


def _lxc(to: Address, _name: str, command: str) -> str:
    return shlex.join(["lxc", "exec", to.host, "--mode=non-interactive", "--", "/bin/sh", "-c", command])


def _chroot(to: Address, _name: str, command: str) -> str:
    return shlex.join(["chroot", to.host, "/bin/sh", "-c", command])


#: The line here by the kind of connection.
_LINES: dict[str, Callable[[Address, str, str], str]] = {
    "chroot": _chroot,
    "docker": _container,
    "kubectl": _pod,
    "local": _local,
    "lxc": _lxc,
    "openshift": _pod,
    "podman": _container,
    "ssh": _ssh,
}
