"""A firewall's table of many rows: attempts from here, and from hosts over SSH.

    python benchmarks/firewall.py                    # 200 targets with 100 ports each, all on loopback
    python benchmarks/firewall.py --filtered 2       # of these targets two drop everything, as a filter does (root)
    python benchmarks/firewall.py --hosts 20         # 20 hosts (sshd on loopback) try 200 x 10 each at the same time

Targets are addresses of 127.0.0.0/8, where half of the ports are open and the others refuse. Dropped packets cost the
timeout twice, so two such targets are 200 attempts that wait. Prints wall time, our processor time and the load.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import socket
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from hosts import serving

from pytest_deploygate.checks.firewall import judge, probe
from pytest_deploygate.checks.firewall.section import Firewall
from pytest_deploygate.checks.hosts.section import Hosts


@contextlib.contextmanager
def listening(number: int) -> Iterator[tuple[int, ...]]:
    """Listen on so many ports of every address."""
    with contextlib.ExitStack() as stack:
        ports = []
        for _ in range(number):
            there = stack.enter_context(socket.socket())
            there.bind(("0.0.0.0", 0))
            there.listen(4096)
            ports.append(int(there.getsockname()[1]))
        yield tuple(sorted(ports))


@contextlib.contextmanager
def dropping(targets: list[str]) -> Iterator[None]:
    """Drop what goes to these addresses, by a filter of our own table."""
    if not targets:
        yield
        return
    rules = "\n".join(f"ip daddr {target} drop" for target in targets)
    table = f"table ip dgbench {{\nchain input {{\ntype filter hook input priority 0\n{rules}\n}}\n}}\n"
    subprocess.run(["nft", "-f", "-"], input=table, text=True, check=True)
    try:
        yield
    finally:
        subprocess.run(["nft", "delete table ip dgbench"], check=True)


def cpu_s() -> float:
    """Return the processor time of this process and its children."""
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--targets", type=int, default=200)
    parser.add_argument("--ports", type=int, default=100)
    parser.add_argument("--filtered", type=int, default=0)
    parser.add_argument("--hosts", type=int, default=0)
    said = parser.parse_args()
    targets = [f"127.2.{number // 250}.{number % 250 + 1}" for number in range(said.targets)]
    many = said.ports if not said.hosts else said.ports // 10
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(listening(many // 2))
        closed = [number for number in range(1, 1024) if number not in opened][: many - len(opened)]
        stack.enter_context(dropping(targets[: said.filtered]))
        sources, hosts = ["here"], None
        if said.hosts:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            places = stack.enter_context(serving(folder, said.hosts))
            servers = [{"name": f"host{n}", "connection": place} for n, place in enumerate(places)]
            hosts = Hosts.model_validate({"servers": servers})
            sources = [server["name"] for server in servers]
        rules = [
            {
                "from": sources,
                "to": targets[said.filtered :],
                "ports": [f"tcp/{p}" for p in opened],
                "expected": "open",
            },
            {"from": sources, "to": targets, "ports": [f"tcp/{p}" for p in closed], "expected": "closed"},
        ]
        firewall = Firewall.model_validate({"rules": rules})
        began, before = time.monotonic(), cpu_s()
        measured = probe.network(firewall, hosts)
        probed = time.monotonic()
        judged = judge.judge(measured, firewall)
        ended = time.monotonic()
        used = cpu_s() - before
    counts: Counter[str] = Counter()
    for each in measured.seen:
        counts[each.outcome.value] += each.number
    print(
        f"{sum(counts.values())} attempts from {len(sources)} places: {dict(counts)}, {judged.verdict.value}"
    )
    print(
        f"wall {ended - began:.2f} s (judge {ended - probed:.2f} s)  CPU {used:.2f} s with ssh's"
        f"  peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB"
    )
    print(json.dumps({"cpus": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}))


if __name__ == "__main__":
    main()
