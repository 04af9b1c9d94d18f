"""How long the edge's checks take: one endpoint, 200 endpoints, a name on 50 servers; sslscan beside it where installed.

    python benchmarks/edge.py

Real `openssl s_server` processes and DNS servers on loopback. "Own time" is the CPU time of this process.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "probes")]

import tls_servers as servers
from test_probe_dns import APP, serving, text

from pytest_deploygate.inventory.guidelines import profile
from pytest_deploygate.judge import certificates as judge_certificates
from pytest_deploygate.judge import tls as judge_tls
from pytest_deploygate.probes import dns
from pytest_deploygate.probes.edge import Edge

SUITES = ":".join(sorted(s for s in profile("intermediate").suites if not s.startswith("TLS_")))


def look(ports: list[int], folder: Path) -> tuple[float, float]:
    """Judge endpoints side by side; return wall and own CPU time in seconds."""
    endpoints = [servers.endpoint(port, name=f"e{n}") for n, port in enumerate(ports)]
    began, cpu = time.perf_counter(), time.process_time()
    edge = Edge(endpoints, servers.settings(folder))
    expected = profile("intermediate")
    for one in endpoints:
        judge_certificates.judge(edge.certificates(one), judge_certificates.Expected(one, edge.tls, expected))
        judge_tls.judge(edge.offers(one), judge_tls.Expected(one, expected, edge.certificates(one)))
    edge.close()
    return time.perf_counter() - began, time.process_time() - cpu


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = servers.write(folder, servers.build(), servers.own().intermediate)
        with servers.s_server(made, "-cipher", SUITES, "-no_tls1", "-no_tls1_1") as port:
            look([port], folder)
            runs = sorted(look([port], folder) for _ in range(5))
            print(
                f"one endpoint: {runs[2][0]:.3f} s, own time {runs[2][1]:.3f} s (median of 5; limit 0.15 s)"
            )
            wall, cpu = look([port] * 200, folder)
            print(f"200 endpoints (one s_server behind all): {wall:.1f} s, own time {cpu:.1f} s (limit 10 s)")
            if scan := shutil.which("sslscan"):
                began = time.perf_counter()
                subprocess.run([scan, f"127.0.0.1:{port}"], capture_output=True, check=False, timeout=120)
                other = time.perf_counter() - began
                print(f"sslscan: {other:.2f} s, {other / runs[2][0]:.0f} times as long")
    with serving(*[text()] * 50) as settings:
        began = time.perf_counter()
        dns.name(settings, APP)
        print(f"a name on 50 servers, UDP and TCP: {time.perf_counter() - began:.2f} s (limit 2 s)")


if __name__ == "__main__":
    main()
