"""What the lab's hosts connect to: a gateway over HTTP and an API over TLS, at the bridge of their network.

Three hosts reach it through their network, the fourth and this machine by an interface of this machine. The API has a
name that is in the hosts' own files, and a certificate of an authority that each host trusts by a file of its own.
"""

from __future__ import annotations

import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from pytest_deploygate.lab import authority, client, nodes, sql
from pytest_deploygate.lab.services import Service, hosts, network
from pytest_deploygate.lab.state import Lab, LabError
from pytest_deploygate.lab.supervisor import Program

NAME = "reached"
#: Within the network's own namespace, so that no other lab has them.
PORT, TLS_PORT = 8080, 8443
API = "api.lab.test"
_MODULE = "pytest_deploygate.lab.reached_server"
_NOWHERE = "http://127.0.0.1:1/"


def where(lab: Lab) -> Path:
    """Return the folder of certificate and key."""
    return lab.private / NAME


def address(lab: Lab) -> str:
    """Return the address of both servers."""
    return network.addresses(lab, 1)[0]


def names(lab: Lab) -> str:
    """Return the file of names that each host has."""
    return f"{hosts.NAMES_FILE}{address(lab)} {API}\n"


def trust(lab: Lab, name: str) -> None:
    """Let a host trust the authority of the API's certificate."""
    hosts.write(lab, name, hosts.TRUSTED_FILE, (where(lab) / "ca.pem").read_text())


def stranger() -> str:
    """Return the certificate of an authority that signed nothing here, in PEM."""
    return authority.pem(authority.make(_NOWHERE, _NOWHERE, datetime.now(UTC)).root)


def start(lab: Lab) -> None:
    """Make the certificate, tell the hosts the name and the authority, and start both servers. Raises LabError."""
    folder = where(lab)
    folder.mkdir(mode=0o755)
    own, key = (
        authority.make(_NOWHERE, _NOWHERE, datetime.now(UTC)),
        ec.generate_private_key(ec.SECP256R1()),
    )
    leaf = authority.leaf(own, key, [API])
    (folder / "ca.pem").write_text(authority.pem(own.root))
    (folder / "api.pem").write_text(authority.pem(leaf, own.intermediate))
    (folder / "api.key").touch(mode=0o600)
    (folder / "api.key").write_text(authority.key_pem(key))
    for name in hosts.NAMES:
        hosts.write(lab, name, "hosts", names(lab))
        trust(lab, name)
    ready = folder / "ready"
    files = [str(folder / "api.pem"), str(folder / "api.key")]
    serving = [sys.executable, "-m", _MODULE, str(lab.folder), str(ready), address(lab)]
    argv = network.entering(lab, network.BRIDGE, *serving, str(PORT), str(TLS_PORT), *files)
    client.start(lab, NAME, Program(argv, None, death_signal=signal.SIGKILL))
    try:
        sql.wait_until("what the hosts connect to", ready.exists, 20.0)
    except LabError as error:
        raise LabError(f"{error}: {nodes.log_end(lab, NAME)}") from None


def values(lab: Lab) -> dict[str, str]:
    """Return where both servers are, and where hosts have the authority's certificate."""
    return {
        "reached.address": address(lab),
        "reached.http": str(PORT),
        "reached.https": str(TLS_PORT),
        "reached.ca": hosts.TRUSTED,
    }


SERVICE = Service(
    name=NAME,
    servers={NAME: "what the hosts connect to: a gateway over HTTP, an API over TLS"},
    programs=("nsenter",),
    missing="connectivity between hosts is not covered; run the lab as root, with util-linux, iproute2 and nftables",
    start=start,
    where=where,
    values=values,
    after=("hosts", "network"),
    alone=True,
    profiles=("monitoring",),
    modules=(_MODULE,),
)
