"""How we reach a host that Ansible's variables describe. Variables count before ansible.cfg, as for Ansible.

What our own connections cannot do (passwords of SSH, other ways to become a user, other kinds of connection) is
left to Ansible: `ansible://`, which is slower.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import quote, urlencode

from pytest_deploygate.checks.hosts.listing.ansible import Listed
from pytest_deploygate.checks.hosts.section import Ansible

_SSH = ("ssh", "smart", "paramiko", "paramiko_ssh")
_CONTAINERS = {"docker": "docker", "docker_api": "docker", "podman": "podman"}
_HERE = ("localhost", "127.0.0.1", "::1")
_TRUE = ("true", "yes", "on", "1")
_KUBECTL = ("namespace", "container", "context", "kubeconfig")


def of(host: Listed, defaults: Mapping[str, Any], asked: Ansible) -> dict[str, Any]:
    """Return the keys of `Host` for a host."""
    told = host.variables

    def first(*names: str, default: str = "") -> Any:
        """Return the first variable that is set, else what ansible.cfg sets."""
        set_ = (told[name] for name in names if told.get(name) not in (None, ""))
        return next(set_, defaults.get(default))

    here = host.name in _HERE and "ansible_connection" not in told
    kind = str("local" if here else first("ansible_connection", default="DEFAULT_TRANSPORT") or "ssh")
    kind = kind.rpartition(".")[2]  # without its collection
    becomes = str(first("ansible_become", default="DEFAULT_BECOME") or "").lower() in _TRUE
    method = str(first("ansible_become_method", default="DEFAULT_BECOME_METHOD") or "sudo").rpartition(".")[2]
    user = first("ansible_user", "ansible_ssh_user", default="DEFAULT_REMOTE_USER")
    address = str(first("ansible_host", "ansible_ssh_host") or host.name)
    found: dict[str, Any] = {
        "name": host.name,
        "roles": list(host.groups),
        "failure_domain": _text(told.get(asked.failure_domain)) if asked.failure_domain else None,
    }
    if becomes:
        found["run_as"] = str(first("ansible_become_user", default="DEFAULT_BECOME_USER") or "root")
    login = first("ansible_password", "ansible_ssh_password", "ansible_ssh_pass")
    password = first("ansible_become_password", "ansible_become_pass")
    odd = (becomes and method != "sudo") or str(told.get("ansible_shell_type") or "sh") != "sh"
    if kind in _SSH and not odd and not login:
        found["connection"] = _ssh(address, user, first)
    elif kind == "local" and not odd:
        found["connection"] = "local://"
    elif kind in _CONTAINERS and not odd and not becomes:
        found["connection"] = f"{_CONTAINERS[kind]}://{_at(user)}{quote(address)}"
    elif kind == "kubectl" and not odd and not becomes:
        options = {name: v for name in _KUBECTL if (v := told.get(f"ansible_kubectl_{name}"))}
        found["connection"] = f"kubectl://{quote(address)}{_query(options)}"
    else:  # Ansible becomes the user by itself
        found.pop("run_as", None)
        source = {"ansible_inventory": str(asked.inventory[0])}
        found["connection"] = f"ansible://{quote(host.name)}{_query(source)}"
    if "run_as" in found and password:
        found["run_as_password"] = str(password)
    return found


def _ssh(address: str, user: Any, first: Any) -> str:
    port = first("ansible_port", "ansible_ssh_port", default="DEFAULT_REMOTE_PORT")
    key = first(
        "ansible_ssh_private_key_file", "ansible_private_key_file", default="DEFAULT_PRIVATE_KEY_FILE"
    )
    arguments = [
        first("ansible_ssh_common_args", default="ssh_common_args"),
        first("ansible_ssh_extra_args", default="ssh_extra_args"),
        first(default="ssh_args"),
    ]
    options = {
        "ssh_identity_file": str(key or ""),
        "ssh_extra_args": " ".join(str(each) for each in arguments if each),
    }
    return f"ssh://{_at(user)}{_bracketed(address)}{f':{port}' if port else ''}{_query(options)}"


def _at(user: Any) -> str:
    return f"{quote(str(user), safe='')}@" if user else ""


def _query(options: Mapping[str, str]) -> str:
    given = {name: value for name, value in options.items() if value}
    return f"?{urlencode(given, safe='/', quote_via=quote)}" if given else ""


def _bracketed(address: str) -> str:
    try:
        return f"[{address}]" if ip_address(address).version == 6 else address
    except ValueError:
        return quote(address, safe="")


def _text(value: object) -> str | None:
    return None if value is None else str(value)
