"""The platform's HTTP front: nginx, behind it HAProxy with health checks, behind that two replicas of the application.

The platform has two addresses: the new one (127.0.0.1), where users are since the cutover, and the old one, which only
the replicas of version 1 serve. The replicas of version 2 run while it is deployed and are in maintenance otherwise. While
a flag file exists, nginx answers every request with the maintenance page.
"""

from __future__ import annotations

import shlex
import socket
import sys
import urllib.request
from pathlib import Path
from signal import SIGKILL, SIGTERM

from pytest_deploygate.checks.uptime.probe.record import RecordError, read
from pytest_deploygate.fields.sources.lab import INVENTORIES
from pytest_deploygate.lab import access_log, client, nodes, processes, sql
from pytest_deploygate.lab.app import NEW_REPLICAS, REQUEST_NUMBER
from pytest_deploygate.lab.people import TOKEN
from pytest_deploygate.lab.services import Job, Service
from pytest_deploygate.lab.state import HOST, Lab, LabError
from pytest_deploygate.lab.supervisor import Program

REPLICAS = ("app1", "app2")
BALANCER = "haproxy"
FRONT = "front"
#: The address of the platform before the cutover, as `dns.OLD`.
OLD_HOST = "127.0.0.9"
_STATS = "haproxy-stats"
_RECORD = "front.watch"
_HAPROXY = """global
    maxconn 2000
    stats socket {socket} mode 600 level admin

defaults
    mode http
    timeout connect 1s
    timeout client 30s
    timeout server 30s
    timeout check 1s
    option redispatch
    retries 2

frontend platform
    bind {host}:{port}
    default_backend replicas

backend replicas
    balance roundrobin
    option httpchk GET /healthz
    http-check expect status 200
    default-server inter 500ms fall 3 rise 1
{servers}

frontend old
    bind {old}:{port}
    default_backend old

backend old
    balance roundrobin
    option httpchk GET /healthz
    http-check expect status 200
    default-server inter 500ms fall 3 rise 1
{olds}

frontend stats
    bind {host}:{stats}
    stats enable
    stats uri /
"""
_NGINX = """daemon off;
master_process off;
worker_processes 1;
worker_rlimit_nofile 8192;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
    log_format platform '{format}';
    access_log {log};
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server_tokens off;
    keepalive_requests {keepalive};
    upstream platform {{
        server {host}:{balancer};
        keepalive 64;
    }}
    upstream old {{
        server {old}:{balancer};
        keepalive 8;
    }}
    map $server_addr $side {{
        default platform;
        {old} old;
    }}
    server {{
        listen {host}:{port};
        listen {old}:{port};
        error_page 503 @maintenance;
        location @maintenance {{
            root {folder};
            add_header Retry-After 600 always;
            try_files /maintenance.html =503;
        }}
        location / {{
            if (-f {folder}/maintenance.on) {{ return 503; }}
            proxy_pass http://$side;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header {number} $connection_requests;
            proxy_connect_timeout 1s;
            proxy_read_timeout 30s;
        }}
    }}
}}
"""


_MAINTENANCE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Maintenance</title></head>
<body><h1>We will be back soon</h1><p>The platform goes back to its previous version.</p></body></html>
"""


def where(lab: Lab) -> Path:
    """Return the folder of nginx's and HAProxy's configuration."""
    return lab.private / "front"


def start(lab: Lab) -> None:
    """Write the configurations, start all four in parallel and wait until a request succeeds. Raises LabError."""
    processes.run(["/bin/mkdir", str(where(lab))], user=lab.user)
    nodes.put(lab, where(lab) / "haproxy.cfg", _haproxy(lab))
    access_log.make(lab)
    configure(lab)
    nodes.put(lab, where(lab) / "maintenance.html", _MAINTENANCE)
    for name, program in _programs(lab).items():
        client.start(lab, name, program)
    try:
        wait_whole(lab)
    except LabError as error:
        logs = "; ".join(f"{name}: {nodes.log_end(lab, name)}" for name in SERVERS)
        raise LabError(f"{error}: {logs}") from None
    access_log.rotate(lab)


def _haproxy(lab: Lab) -> str:
    olds = "\n".join(f"    server {name} {HOST}:{lab.ports[name]} check" for name in REPLICAS)
    news = "\n".join(f"    server {name} {HOST}:{lab.ports[name]} check disabled" for name in NEW_REPLICAS)
    return _HAPROXY.format(
        host=HOST,
        port=lab.ports[BALANCER],
        stats=lab.ports[_STATS],
        socket=where(lab) / "haproxy.sock",
        servers=f"{olds}\n{news}",
        olds=olds,
        old=OLD_HOST,
    )


def configure(
    lab: Lab, keepalive: int = 100_000, *, log_format: str = access_log.FORMAT, logs: bool = True
) -> None:
    """Write the front's configuration: after so many requests it closes a client's connection. Its next start reads it."""
    text = _NGINX.format(
        folder=where(lab),
        host=HOST,
        old=OLD_HOST,
        port=lab.ports[FRONT],
        balancer=lab.ports[BALANCER],
        keepalive=keepalive,
        number=REQUEST_NUMBER,
        format=log_format,
        log=f"{access_log.front(lab)} platform buffer=16k flush=1s" if logs else "off",
    )
    nodes.put(lab, where(lab) / "nginx.conf", text)


def _programs(lab: Lab) -> dict[str, Program]:
    """Return the program of each server. The replicas run as our own user, who can read the Python packages for sure."""
    balancer = [lab.programs["haproxy"], "-db", "-f", str(where(lab) / "haproxy.cfg")]
    front = [
        lab.programs["nginx"],
        "-p",
        str(where(lab)),
        "-e",
        "stderr",
        "-c",
        str(where(lab) / "nginx.conf"),
    ]
    replicas = {name: replica(lab, name) for name in REPLICAS}
    return replicas | {
        # SIGQUIT makes HAProxy dump its memory pools, and nginx wait for its connections.
        BALANCER: Program(balancer, lab.user, death_signal=SIGKILL),
        FRONT: Program(front, lab.user, death_signal=SIGTERM),
    }


def replica(lab: Lab, name: str) -> Program:
    """Return the program of a replica of the application; its name decides on version 1 or 2."""
    argv = [sys.executable, "-m", "pytest_deploygate.lab.app", str(lab.folder), name]
    return Program(argv, death_signal=SIGTERM)


def whole(lab: Lab) -> bool:
    """Return whether both replicas are up and a request succeeds."""
    return set(replicas_up(lab)) == set(REPLICAS) and answers(lab)


def wait_whole(lab: Lab) -> None:
    """Wait until both replicas are up and a request succeeds. Raises LabError."""
    sql.wait_until("an answer of both replicas through the front", lambda: whole(lab), 15.0)


def replicas_up(lab: Lab, backend: str = "replicas") -> list[str]:
    """Return the replicas that HAProxy sends requests to, by its own health checks."""
    try:
        with socket.create_connection((HOST, lab.ports[_STATS]), 1.0) as connection:
            connection.settimeout(1.0)
            connection.sendall(b"GET /;csv HTTP/1.0\r\n\r\n")
            table = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    except OSError:
        return []
    rows = [line.split(",") for line in table.splitlines() if line.startswith(f"{backend},")]
    return [row[1] for row in rows if row[1] in (*REPLICAS, *NEW_REPLICAS) and row[17].startswith("UP")]


def answers(lab: Lab) -> bool:
    """Return whether a request succeeds through the whole front."""
    try:
        with urllib.request.urlopen(f"http://{HOST}:{lab.ports[FRONT]}/healthz", timeout=1.0) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def record(lab: Lab) -> Path:
    """Return the record of the watch on the front in the lab's first seconds."""
    return lab.folder / _RECORD


def watch(lab: Lab) -> None:
    """Watch the front in the background, as a user would, for the window in the lab's inventory.

    A lab that is a minute old was not watched for 24 hours, so its inventory has a short window, which the report
    counts as a weakening; no record is invented.
    """
    # The supervisor does not pass our environment on; the watch must use this lab.
    words = ["env", f"DEPLOYGATE_LAB={lab.folder}", sys.executable, "-m", "pytest_deploygate", "watch"]
    words += ["--inventory", str(lab_inventory(Path.cwd())), "--vantage", "lab", "--t0", "now"]
    # In the lab's folder: the stop of a change that people try must not end it.
    client.run(lab, shlex.join([*words, "--record", str(record(lab)), "--out", str(record(lab).parent)]))


def wait_watched(lab: Lab) -> None:
    """Wait until the watch of the lab's first seconds is over. Raises LabError when there is none."""
    sql.wait_until("the end of the watch on the front", lambda: _watched(lab), 60.0)


def _watched(lab: Lab) -> bool:
    try:
        return any(run.ended == "complete" for run in read(record(lab)).runs)
    except RecordError:
        return False


def lab_inventory(start: Path) -> Path:
    """Return the lab's inventory: that of the project that `start` is in, else the one that comes with the package."""
    files = (folder / "inventories" / "lab.yml" for folder in (start, *start.parents))
    return next((file for file in files if file.is_file()), INVENTORIES / "lab.yml")


def values(lab: Lab) -> dict[str, str]:
    """Return what inventories can refer to beside the ports."""
    return {
        "haproxy.socket": str(where(lab) / "haproxy.sock"),
        "watch.record": str(record(lab)),
        "api.token": str(lab.secret_file(TOKEN)),
        "log.access": str(access_log.front(lab)),
        "log.access.format": access_log.FORMAT,
        "log.application": str(access_log.application(lab)),
        "maintenance.flag": str(where(lab) / "maintenance.on"),
    }


SERVERS = {
    "app1": "application, first replica",
    "app2": "application, second replica",
    BALANCER: "HAProxy, before the replicas",
    FRONT: "nginx, before HAProxy",
}
SERVICE = Service(
    name=FRONT,
    servers=SERVERS,
    programs=("haproxy", "nginx"),
    missing="the HTTP front (response times, uptime) is not covered; apt install haproxy nginx",
    start=start,
    where=where,
    values=values,
    once_up=watch,
    jobs=lambda _lab: {"rotate-access-logs": Job("7 0 * * *", access_log.rotate)},
    more_servers=dict.fromkeys(NEW_REPLICAS, "application, version 2"),
    more_ports=(_STATS,),
    secrets=(TOKEN,),
    modules=("pytest_deploygate.lab.app",),
    leaves=(_RECORD,),  # reappears when the folder is lost while the watch begins
)
