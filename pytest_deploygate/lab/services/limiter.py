"""Two fronts that limit what one source may send: nginx with limit_req, and HAProxy with a stick table and short timeouts.

Both serve the same files. What a fault sets wrong is in `Switches`.
"""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from signal import SIGKILL, SIGTERM

from pytest_deploygate.lab import client, nodes, processes, sql
from pytest_deploygate.lab.services import Service
from pytest_deploygate.lab.state import HOST, Lab, LabError
from pytest_deploygate.lab.supervisor import Program
from pytest_deploygate.lazy import dataclass

NGINX, HAPROXY = "limiter-nginx", "limiter-haproxy"
_PAGES = "limiter-pages"
IPV6 = "::1"
#: What each source may send: nginx as a rate with a burst, HAProxy as a number per second.
RATE, BURST = 20, 20
#: What a source may have open at nginx, with a request each.
CONNECTIONS = 10
_FILES = {"search": "found 3 machines\n", "catalog": "3 machines\n", "login": "who are you?\n"}
#: More than the buffers between a server and a client who does not read.
_LARGE = 24 << 20
_NGINX = """daemon off;
master_process off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    default_type text/plain;
    server_tokens off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_header_timeout {header_timeout};
    client_body_timeout 2s;
    keepalive_timeout 2s;
    send_timeout {send_timeout};
    root {folder}/pages;
    limit_req_zone {key} zone=sources:1m rate={rate}r/s;
    limit_req_status {status};
    limit_conn_zone $binary_remote_addr zone=held:1m;
    limit_conn_status 429;
    server {{
        {listens}
        error_page {status} @refused;
        location @refused {{
            {retry}
            return {status};
        }}
        location / {{ {limit} }}
        location = /upload {{ {held} proxy_pass http://{host}:{pages}/search; }}
    }}
    server {{
        listen {host}:{pages};
    }}
}}
"""
_HAPROXY = """global
    maxconn 500

defaults
    mode http
    timeout connect 1s
    timeout client {client}
    timeout server 5s
    timeout http-request {request}
    timeout http-keep-alive {keep_alive}

frontend limited
    {binds}
    {buffer}
    stick-table type ipv6 size 10k expire {expire} store http_req_rate(1s),gpt0
    {before}
    http-request track-sc0 src{tracked}
    {ban}
    http-request return status 503 content-type text/plain string "slower, please" {retry} if {{ sc_http_req_rate(0) gt {number} }} {banned}
    default_backend pages

backend pages
    server pages {host}:{pages}
"""


@dataclass(frozen=True)
class Switches:
    """What is set in both: the first rows are nginx's, from `number` on HAProxy's. The defaults are as they should be."""

    key: str = "$binary_remote_addr"
    limited: bool = True
    rate: int = RATE
    burst: int = BURST
    refusal: int = 429
    crowds: bool = False
    header_timeout: str = "2s"
    send_timeout: str = "2s"
    number: int = BURST
    retry: bool = True
    claims: bool = False
    streams: bool = False
    bans: bool = False
    request: str = "2s"
    buffers: bool = True
    keep_alive: str = "2s"
    client: str = "3s"


def where(lab: Lab) -> Path:
    """Return the folder of both configurations."""
    return lab.private / "limiter"


def start(lab: Lab) -> None:
    """Write files and configurations, start both and wait until they answer. Raises LabError."""
    processes.run(["/bin/mkdir", "-p", str(where(lab) / "pages")], user=lab.user)
    for name, text in _FILES.items():
        nodes.put(lab, where(lab) / "pages" / name, text)
    processes.run(
        ["/usr/bin/truncate", "-s", str(_LARGE), str(where(lab) / "pages" / "large")], user=lab.user
    )
    configure(lab, Switches())
    nginx = [
        lab.programs["nginx"],
        "-p",
        str(where(lab)),
        "-e",
        "stderr",
        "-c",
        str(where(lab) / "nginx.conf"),
    ]
    haproxy = [lab.programs["haproxy"], "-db", "-f", str(where(lab) / "haproxy.cfg")]
    client.start(lab, NGINX, Program(nginx, lab.user, death_signal=SIGTERM))
    client.start(lab, HAPROXY, Program(haproxy, lab.user, death_signal=SIGKILL))
    _wait(lab)


def change(lab: Lab, now: Switches) -> None:
    """Start both anew with these switches."""
    client.stop(lab, HAPROXY, SIGTERM)
    client.stop(lab, NGINX, SIGTERM)
    configure(lab, now)
    client.start(lab, NGINX)
    client.start(lab, HAPROXY)
    _wait(lab)


def _wait(lab: Lab) -> None:
    try:
        sql.wait_until("an answer of both fronts with limits", lambda: _answers(lab), 10.0)
    except LabError as error:
        logs = "; ".join(f"{name}: {nodes.log_end(lab, name)}" for name in SERVERS)
        raise LabError(f"{error}: {logs}") from None


def configure(lab: Lab, now: Switches) -> None:
    """Write both configurations."""
    port, pages = lab.ports[NGINX], lab.ports[_PAGES]
    addresses = [HOST, f"[{IPV6}]"] if has_ipv6() else [HOST]
    nginx = _NGINX.format(
        folder=where(lab),
        host=HOST,
        pages=pages,
        key=now.key,
        rate=now.rate,
        status=now.refusal,
        held="" if now.crowds else f"limit_conn held {CONNECTIONS};",
        header_timeout=now.header_timeout,
        send_timeout=now.send_timeout,
        retry="add_header Retry-After 1 always;",
        limit=f"limit_req zone=sources burst={now.burst} nodelay;" if now.limited else "",
        listens="\n        ".join(f"listen {address}:{port};" for address in addresses),
    )
    haproxy = _HAPROXY.format(
        host=HOST,
        pages=pages,
        binds=f"bind {HOST}:{lab.ports[HAPROXY]}",
        client=now.client,
        request=now.request,
        keep_alive=now.keep_alive,
        buffer="option http-buffer-request" if now.buffers else "",
        expire="1h" if now.bans else "10s",
        tracked=" if !{ fc_http_major 2 }" if now.streams else "",
        before="http-request set-src hdr_ip(x-forwarded-for) if { req.hdr(x-forwarded-for) -m found }"
        if now.claims
        else "",
        ban=f"http-request sc-set-gpt0(0) 1 if {{ sc_http_req_rate(0) gt {now.number} }}" if now.bans else "",
        banned="|| { sc_get_gpt0(0) gt 0 }" if now.bans else "",
        retry="hdr Retry-After 2" if now.retry else "",
        number=now.number,
    )
    nodes.put(lab, where(lab) / "nginx.conf", nginx)
    nodes.put(lab, where(lab) / "haproxy.cfg", haproxy)


def has_ipv6() -> bool:
    """Tell whether this machine has the address of loopback over IPv6."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as there:
        there.bind((IPV6, 0))
        return True
    return False


def _answers(lab: Lab) -> bool:
    return all(_answers_at(lab.ports[name]) for name in SERVERS)


def _answers_at(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), 1.0) as there:
            there.settimeout(1.0)
            there.sendall(b"GET /search HTTP/1.0\r\n\r\n")
            return b" 200 " in there.recv(64)
    except OSError:
        return False


def values(lab: Lab) -> dict[str, str]:
    """Return what inventories can refer to beside the ports."""
    found = {"limiter.record": str(lab.folder / "limiter.record")}
    return found | {"limiter.also": IPV6 if has_ipv6() else HOST}


SERVERS = {
    NGINX: "nginx with limit_req, limits by source",
    HAPROXY: "HAProxy with a stick table, limits by source",
}
SERVICE = Service(
    name="limiter",
    servers=SERVERS,
    programs=("haproxy", "nginx"),
    missing="rate limits and slow clients are not covered; apt install haproxy nginx",
    start=start,
    where=where,
    values=values,
    more_ports=(_PAGES,),
    alone=True,
)
