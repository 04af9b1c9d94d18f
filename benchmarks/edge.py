"""How long the edge's checks take, compared with sslscan, testssl.sh and sslyze if they are installed, in one run.

    python benchmarks/edge.py [--sslyze /path/to/its/venv/bin/sslyze] [--without-testssl]

One real nginx on loopback with 200 TLS ports (RSA and ECDSA leaf, Mozilla's intermediate suites, HSTS, a redirect), and one
BIND on 50 ports if it is installed. A verdict covers everything: certificates, suites, groups, renegotiation, headers,
redirect. "Own time" is the CPU time of this process. sslyze is AGPL and never imported: name its program in a separate venv.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "probes")]

import tls_servers as servers
from test_probe_dns import APP, serving, text

from pytest_deploygate.checks.dns.judge import names as judge_dns
from pytest_deploygate.checks.dns.probe import names as dns
from pytest_deploygate.checks.dns.section import Dns
from pytest_deploygate.checks.tls.judge import certificates as judge_certificates
from pytest_deploygate.checks.tls.judge import protocols as judge_tls
from pytest_deploygate.checks.tls.probe.endpoints import Edge
from pytest_deploygate.checks.tls.section.endpoints import Endpoint
from pytest_deploygate.checks.tls.section.guidelines import profile
from pytest_deploygate.model import Verdict

ENDPOINTS, DNS_SERVERS, RUNS = 200, 50, 5
_LIMIT_S = 70.0
_NGINX = """daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr crit;
events {{ worker_connections 2000; }}
http {{
    access_log off; server_tokens off; ssl_session_cache off; ssl_session_tickets off;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
    ssl_protocols TLSv1.2 TLSv1.3; ssl_ecdh_curve X25519:prime256v1:secp384r1; ssl_ciphers {suites};
    add_header Strict-Transport-Security "max-age=63072000" always;
    add_header Content-Security-Policy "default-src 'none'; frame-ancestors 'none'" always;
    server {{ listen 127.0.0.1:{plain}; return 301 https://{host}$request_uri; }}
    server {{
        {listen}
        ssl_certificate {folder}/rsa/chain.pem; ssl_certificate_key {folder}/rsa/key.pem;
        ssl_certificate {folder}/ecdsa/chain.pem; ssl_certificate_key {folder}/ecdsa/key.pem;
        return 200 "ok\\n";
    }}
}}
"""


def free_ports(count: int) -> list[int]:
    """Return ports that are free now, all different."""
    with contextlib.ExitStack() as held:
        found = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in found:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in found]


@contextlib.contextmanager
def running(command: list[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server, wait until its port answers, and stop it at the end."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline and process.poll() is None:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.02)
            else:
                raise SystemExit(f"{command[0]} did not start")
            yield process
        finally:
            process.terminate()


@contextlib.contextmanager
def nginx(folder: Path, program: str) -> Iterator[tuple[int, list[int]]]:
    """Run nginx; yield the port of plain HTTP and the TLS ports."""
    for kind, key in (("rsa", servers.rsa_key()), ("ecdsa", servers.ecdsa_key())):
        (folder / kind).mkdir()
        servers.write(folder / kind, servers.build(key), servers.own().intermediate, key=key)
    shutil.copy(folder / "rsa" / "root.pem", folder / "root.pem")
    plain, *ports = free_ports(ENDPOINTS + 1)
    suites = ":".join(sorted(s for s in profile("intermediate").suites if not s.startswith("TLS_")))
    listen = " ".join(f"listen 127.0.0.1:{port} ssl;" for port in ports)
    values = {"folder": folder, "suites": suites, "plain": plain, "host": servers.HOST, "listen": listen}
    (folder / "nginx.conf").write_text(_NGINX.format_map(values))
    command = [program, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
    with running(command, ports[-1]):
        yield plain, ports


def look(endpoints: list[Endpoint], folder: Path) -> tuple[float, float]:
    """Judge endpoints concurrently; return wall and own CPU time in seconds. All must pass."""
    began, cpu = time.perf_counter(), time.process_time()
    edge = Edge(endpoints, servers.settings(folder))
    expected = profile("intermediate")
    for one in endpoints:
        found = edge.certificates(one)
        verdicts = [
            judge_certificates.judge_certificates(
                found, judge_certificates.ExpectedCertificates(one, edge.tls, expected)
            ),
            judge_tls.judge_protocols(edge.offers(one), judge_tls.ExpectedProtocols(one, expected, found)),
        ]
        if bad := [v.reason for v in verdicts if v.verdict is not Verdict.PASS]:
            raise SystemExit(f"{one.name}: {bad}")
    edge.close()
    return time.perf_counter() - began, time.process_time() - cpu


def others(port: int, sslyze: str | None, *, testssl: bool) -> Iterator[tuple[str, list[str]]]:
    """Yield the other scanners that are installed, with their commands."""
    place = f"127.0.0.1:{port}"
    if scan := shutil.which("sslscan"):
        yield "sslscan", [scan, f"--sni-name={servers.HOST}", place]
    if sslyze:
        yield "sslyze", [sslyze, f"{servers.HOST}:{port}{{127.0.0.1}}"]
    if testssl and (scan := shutil.which("testssl") or shutil.which("testssl.sh")):
        quiet = ("--quiet", "--warnings", "off", "--nodns", "none", "--ip", "127.0.0.1")
        # Only the checks that we do too: the full set takes longer than this benchmark may.
        same = ("-p", "-S", "-E", "-f", "-h", "-R", "-C")
        yield "testssl.sh", [scan, *quiet, *same, f"{servers.HOST}:{port}"]


def endpoints_of(plain: int, ports: list[int]) -> list[Endpoint]:
    """Return an endpoint for each port, with headers and redirect."""
    return [servers.endpoint(port, name=f"e{port}", http={"redirect_port": plain}) for port in ports]


@contextlib.contextmanager
def bind(folder: Path, program: str) -> Iterator[Dns]:
    """Run one BIND that serves the zone on 50 ports."""
    ports = free_ports(DNS_SERVERS)
    listen = " ".join(f"listen-on port {port} {{ 127.0.0.1; }};" for port in ports)
    folder.chmod(0o777)
    (folder / "example.test.zone").write_text(text())
    (folder / "named.conf").write_text(
        f'options {{ directory "{folder}"; pid-file none; session-keyfile "{folder}/key"; listen-on-v6 {{ none; }}; {listen} '
        f'recursion no; managed-keys-directory "{folder}"; lock-file none; }};\ncontrols {{ }};\n'
        'zone "example.test" { type primary; file "example.test.zone"; notify no; };\n'
    )
    found = [{"name": f"ns{n}.example.test", "address": "127.0.0.1", "port": p} for n, p in enumerate(ports)]
    with running([program, "-g", "-n", "1", "-c", str(folder / "named.conf")], ports[-1]):
        yield Dns.model_validate({"zone": "example.test", "servers": found, "timeout": "2s"})


def dns_times(settings: Dns) -> str:
    """Query a name on all servers and judge it, several times."""
    walls = []
    for _ in range(RUNS):
        began = time.perf_counter()
        facts = dns.name(settings, APP)
        judged = judge_dns.judge_name(judge_dns.Named(facts), judge_dns.ExpectedName(settings, APP))
        walls.append(time.perf_counter() - began)
        if judged.verdict is not Verdict.PASS:
            raise SystemExit(judged.reason)
    return f"{statistics.median(walls):.2f} s (median of {RUNS}, worst {max(walls):.2f} s; limit 2 s)"


def main() -> None:
    """Print the figures."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--sslyze", help="its program, in a separate venv")
    options.add_argument("--without-testssl", action="store_true")
    wanted = options.parse_args()
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise SystemExit("this needs nginx (apt-get install nginx)")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before")
    with tempfile.TemporaryDirectory() as name, nginx(Path(name), program) as (plain, ports):
        folder, endpoints = Path(name), endpoints_of(plain, ports)
        look(endpoints[:1], folder)
        runs = sorted(look(endpoints[:1], folder) for _ in range(RUNS))
        one, own = runs[RUNS // 2][0], statistics.median(cpu for _, cpu in runs)
        print(f"one endpoint: {one:.3f} s, own time {own:.3f} s (median of {RUNS}; limit 0.15 s own time)")
        for called, command in others(ports[0], wanted.sslyze, testssl=not wanted.without_testssl):
            began = time.perf_counter()
            try:
                subprocess.run(
                    command, capture_output=True, check=False, timeout=_LIMIT_S, stdin=subprocess.DEVNULL
                )
            except subprocess.TimeoutExpired:
                print(
                    f"{called}: not finished after {_LIMIT_S:.0f} s, over {_LIMIT_S / one:.0f} times as long"
                )
                continue
            other = time.perf_counter() - began
            print(f"{called}: {other:.2f} s, {other / one:.0f} times as long")
        wall, cpu = look(endpoints, folder)
        print(f"{ENDPOINTS} endpoints: {wall:.1f} s, own time {cpu:.1f} s (limit 10 s)")
    if named := shutil.which("named", path=f"{os.environ['PATH']}:/usr/sbin"):
        with tempfile.TemporaryDirectory() as name, bind(Path(name), named) as settings:
            print(f"a name on {DNS_SERVERS} ports of BIND, UDP and TCP: {dns_times(settings)}")
    else:
        with serving(*[text()] * DNS_SERVERS) as settings:
            print(f"a name on {DNS_SERVERS} servers in this process, UDP and TCP: {dns_times(settings)}")


if __name__ == "__main__":
    main()
