"""A network of the lab's first three hosts: each in a network namespace with a packet filter, joined by a bridge.

    here ── bridge ── host1, host2, host3        and an address outside, on the bridge's own machine

Only root can make such namespaces. They, and our own interface to them, are gone when their processes end, so nothing is
left of them after `lab down` or `kill -9`. Logins to these hosts run their commands in the host's namespace.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

from pytest_deploygate.lab import client, nodes, processes, sql
from pytest_deploygate.lab.programs import tool
from pytest_deploygate.lab.services import Service, hosts
from pytest_deploygate.lab.state import Lab, LabError
from pytest_deploygate.lab.supervisor import Program

#: The hosts that have a network, and the number of each in it.
NAMES = ("host1", "host2", "host3")
BRIDGE = "network"
#: What listens on one of them only while a fault is in the lab.
EXTRA = "network-extra"
_MODULE = "pytest_deploygate.lab.network_server"
#: An address outside, which the lab's inventory names: one for documentation (RFC 5737), at home on the bridge's machine.
OUTSIDE = "203.0.113.10"
_FILTER = """flush ruleset
table inet gate {{
  chain input {{
    type filter hook input priority 0; policy drop;
    iifname "lo" accept
    ct state established,related accept
    meta l4proto {{ icmp, ipv6-icmp }} accept
    tcp dport 9100 accept
    udp dport 123 accept
    ip saddr {{ {ipv4} }} tcp dport 5432 accept
    ip6 saddr {{ {ipv6} }} tcp dport 5432 accept
    ip saddr {{ {ipv4} }} udp dport 53 accept
    ip6 saddr {{ {ipv6} }} udp dport 53 accept
  }}
  chain output {{
    type filter hook output priority 0; policy accept;
    ip daddr 203.0.113.0/24 drop
  }}
}}
"""


def server(name: str) -> str:
    """Return the name of the server that holds a host's namespace."""
    return f"network-{name}"


def addresses(lab: Lab, number: int) -> tuple[str, str]:
    """Return the addresses of a member of the network: 1 is the bridge, 254 this machine.

    The networks are those for benchmarks (RFC 2544) and a unique local one (RFC 4193); each lab has its own, as it has its
    own block of ports.
    """
    block = _block(lab)
    return f"198.18.{block}.{number}", f"fd67:a7e0:{block:x}::{number:x}"


def _block(lab: Lab) -> int:
    return (lab.ports[BRIDGE] - 20000) // 200


def interface(lab: Lab) -> str:
    """Return the name of this machine's interface to the network."""
    return f"dglab{_block(lab)}"


def where(lab: Lab) -> Path:
    """Return the folder of the filters' rules."""
    return hosts.where(lab) / "network"


def rules(lab: Lab) -> Path:
    """Return the file with the rules that the hosts start with."""
    return where(lab) / "rules.nft"


def inside(lab: Lab, name: str, command: str) -> str:
    """Run a shell command in a host's network namespace and return its output. Raises LabError if it fails."""
    return processes.run(_entering(lab, _pid(lab, server(name)), "/bin/sh", "-c", command), user=None)


def entering(lab: Lab, name: str, *command: str) -> list[str]:
    """Return the command line that runs a command in the namespace of a host, or of the bridge."""
    return _entering(lab, _pid(lab, name if name == BRIDGE else server(name)), *command)


def nft(lab: Lab, name: str, command: str) -> str:
    """Run a command of nft on a host."""
    return inside(lab, name, f"{shlex.quote(lab.programs['nft'])} {shlex.quote(command)}")


def filter_anew(lab: Lab, name: str) -> None:
    """Give a host the rules that it started with."""
    inside(lab, name, f"{shlex.quote(lab.programs['nft'])} -f {shlex.quote(str(rules(lab)))}")


def listen(lab: Lab, name: str, *ports: str) -> None:
    """Let something more listen on a host, until `silence`. Raises LabError."""
    ready = where(lab) / f"{EXTRA}.ready"
    ready.unlink(missing_ok=True)
    argv = _entering(lab, _pid(lab, server(name)), *_serving(lab, ready, ports))
    client.start(lab, EXTRA, Program(argv, None, death_signal=signal.SIGKILL))
    _await(lab, EXTRA, ready)


def silence(lab: Lab) -> None:
    """End what `listen` started, if it runs."""
    if EXTRA in client.status(lab.folder)["servers"]:
        client.stop(lab, EXTRA, signal.SIGTERM)
        client.forget(lab, EXTRA)


def start(lab: Lab) -> None:
    """Make the bridge, join this machine and the hosts to it, and start what listens on them. Raises LabError."""
    where(lab).mkdir(mode=0o755)
    members = [addresses(lab, number) for number in _numbers().values()]
    rules(lab).write_text(
        _FILTER.format(ipv4=", ".join(v4 for v4, _ in members), ipv6=", ".join(v6 for _, v6 in members))
    )
    ipv4, ipv6 = addresses(lab, 1)
    bridge = [
        "ip link set lo up",
        f"ip address add {OUTSIDE}/32 dev lo",
        "ip link add lab type bridge",
        f"ip address add {ipv4}/24 dev lab",
        f"ip address add {ipv6}/64 dev lab nodad",
        "ip link set lab up",
    ]
    _begin(lab, BRIDGE, bridge, ["tcp/443"])
    _await(lab, BRIDGE, _ready(lab, BRIDGE))  # all others join its bridge, which a busy machine makes late
    _join_here(lab)
    for name, number in _numbers().items():
        _begin(lab, server(name), _joining(lab, number), ["tcp/5432", "tcp/9100", "udp/53", "udp/123"])
    for name in map(server, NAMES):
        _await(lab, name, _ready(lab, name))
    for name in NAMES:
        hosts.enter(lab, name, f"/proc/{_pid(lab, server(name))}/ns/net")


def _numbers() -> dict[str, int]:
    return {name: number for number, name in enumerate(NAMES, 11)}


def _joining(lab: Lab, number: int) -> list[str]:
    """Return the commands that join a new namespace to the bridge and start its filter."""
    (ipv4, ipv6), (gateway4, gateway6) = addresses(lab, number), addresses(lab, 1)
    bridge = _pid(lab, BRIDGE)
    return [
        "ip link set lo up",
        f"ip link add eth0 type veth peer name port{number} netns {bridge}",
        shlex.join(_entering(lab, bridge, "ip", "link", "set", f"port{number}", "master", "lab", "up")),
        f"ip address add {ipv4}/24 dev eth0",
        f"ip address add {ipv6}/64 dev eth0 nodad",
        "ip link set eth0 up",
        f"ip route add default via {gateway4}",
        f"ip route add default via {gateway6}",
        f"nft -f {shlex.quote(str(rules(lab)))}",
    ]


def _join_here(lab: Lab) -> None:
    """Join this machine by an interface that is gone when the bridge's namespace is."""
    (ipv4, ipv6), bridge, name = addresses(lab, 254), _pid(lab, BRIDGE), interface(lab)
    lines = [
        f"ip link delete {name} 2>/dev/null || true",
        f"ip link add {name} type veth peer name here netns {bridge}",
        shlex.join(_entering(lab, bridge, "ip", "link", "set", "here", "master", "lab", "up")),
        f"ip address add {ipv4}/24 dev {name}",
        f"ip address add {ipv6}/64 dev {name} nodad",
        f"ip link set {name} up",
    ]
    processes.run(["/bin/sh", "-ec", "\n".join(lines)], user=None)


def _begin(lab: Lab, name: str, lines: list[str], ports: list[str]) -> None:
    """Start the process that holds a namespace and listens in it."""
    script = ["set -e", *lines, f"exec {shlex.join(_serving(lab, _ready(lab, name), ports))}"]
    argv = [lab.programs["unshare"], "--net", "/bin/sh", "-c", "\n".join(script)]
    client.start(lab, name, Program(argv, None, death_signal=signal.SIGKILL))
    # The interfaces of the others are made into its namespace, which exists once unshare became the shell.
    sql.wait_until(f"the namespace of {name}", lambda: _own_namespace(_pid(lab, name)), 15.0)


def _own_namespace(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()
    except OSError:
        return False


def _serving(lab: Lab, ready: Path, ports: list[str] | tuple[str, ...]) -> list[str]:
    return [sys.executable, "-m", _MODULE, str(lab.folder), str(ready), *ports]


def _ready(lab: Lab, name: str) -> Path:
    return where(lab) / f"{name}.ready"


def _await(lab: Lab, name: str, ready: Path) -> None:
    try:
        sql.wait_until(f"start of {name}", ready.exists, 20.0)
    except LabError as error:
        raise LabError(f"{error}: {nodes.log_end(lab, name)}") from None


def _pid(lab: Lab, name: str) -> int:
    running = client.status(lab.folder)["servers"].get(name)
    if running is None or running["exit_code"] is not None:
        raise LabError(f"{name} is not running: {nodes.log_end(lab, name)}")
    return int(running["pid"])


def _entering(lab: Lab, pid: int, *command: str) -> list[str]:
    return [lab.programs["nsenter"], f"--net=/proc/{pid}/ns/net", *command]


def values(lab: Lab) -> dict[str, str]:
    """Return the addresses of each host."""
    found: dict[str, str] = {}
    for name, number in _numbers().items():
        found[f"network.{name}.ipv4"], found[f"network.{name}.ipv6"] = addresses(lab, number)
    return found


def _find(name: str) -> str | None:
    path = tool(name) if os.getuid() == 0 else None
    if path is None or name != "nft":
        return path
    # A container may have the program and not the permission, or no IPv6.
    script = "ip link set lo up && ip address add fd67:a7e0::1/64 dev lo && nft add table inet gate"
    tried = subprocess.run(
        ["unshare", "--net", "/bin/sh", "-c", script], capture_output=True, check=False, timeout=10
    )
    return path if tried.returncode == 0 else None


SERVICE = Service(
    name="network",
    servers={
        BRIDGE: "a network of three hosts with a packet filter each: its bridge",
        **{server(name): f"what listens on {name}" for name in NAMES},
    },
    more_servers={EXTRA: "something more that listens, while a fault is in the lab"},
    programs=("ip", "nft", "unshare", "nsenter"),
    missing="the firewall is not covered; run the lab as root, with iproute2 and nftables installed",
    start=start,
    where=where,
    after=("hosts",),
    values=values,
    find=_find,
    alone=True,
    modules=(_MODULE,),
)
