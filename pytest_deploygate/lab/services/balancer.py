"""Load balancers: two HAProxy and one nginx, before the same three backends, which are nginx with TLS.

A backend tells its name in a header. It needs its file `NAME.ready`, as an application needs its database: without it
every answer is 503, that of its health page among them. Everything that a fault changes is a switch in `Switches`;
`change` writes the configurations and restarts the servers.
"""

from __future__ import annotations

import csv
import io
import json
import shlex
import signal
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from pytest_deploygate.clients import haproxy
from pytest_deploygate.lab import authority, client, nodes, processes, sql
from pytest_deploygate.lab.services import Service
from pytest_deploygate.lab.state import HOST, Lab, LabError
from pytest_deploygate.lab.supervisor import Program
from pytest_deploygate.lazy import dataclass

NAME = "balancer"
BACKENDS = ("web1", "web2", "web3")
#: The balancers, with the addresses that they serve at.
BALANCERS = {"lb1": HOST, "lb2": "127.0.0.2"}
NGINX = "lb-nginx"
_DOMAIN = "web.lab.test"
#: `/long` takes two seconds: nginx sends the first part at once.
_LONG_BYTES, _LONG_RATE = 96_000, "32k"


@dataclass(frozen=True)
class Switches:
    """What can be wrong; the defaults are healthy."""

    unchecked: str = ""
    checks: str = "option httpchk GET /healthz"
    expect: str = "status 200"
    fall: int = 2
    weights: str = "20 10 10"
    rule: str = ""
    verify: str = "required"
    retries: bool = True
    slow_start: str = "1s"
    when_down: str = "none"  # or shutdown-sessions
    max_fails: int = 1
    health: str = "good"  # or always


_HAPROXY = """global
    maxconn 1000
    stats socket {socket} mode 600 level admin

defaults
    mode http
    timeout connect 1s
    timeout client 30s
    timeout server 30s
    timeout check 1s
{retries}

frontend web
    bind {address}:{port}
    default_backend web

backend web
    balance roundrobin
    {checks}
{expect}{rule}    default-server ssl verify {verify} ca-file {folder}/root.pem verifyhost {domain}
    default-server inter 200ms fall {fall} rise 1 {more}
{servers}
"""
_RETRIES = """    retries 3
    retry-on all-retryable-errors
    option redispatch 1"""
_NGINX = """{user}daemon off;
master_process off;
worker_processes 1;
worker_rlimit_nofile 4096;
pid {folder}/{name}.pid;
error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    server_tokens off;
    client_body_temp_path {folder}/tmp/{name}-body;
    proxy_temp_path {folder}/tmp/{name}-proxy;
    fastcgi_temp_path {folder}/tmp/{name}-fastcgi;
    uwsgi_temp_path {folder}/tmp/{name}-uwsgi;
    scgi_temp_path {folder}/tmp/{name}-scgi;
{inside}
}}
"""
_BACKEND = """    server {{
        listen {host}:{port} ssl;
        ssl_certificate {folder}/web.pem;
        ssl_certificate_key {folder}/web.key;
        default_type text/plain;
        add_header X-Backend {name};
        root {folder}/pages;
        location = /healthz {{
            {health}
            return 200 "ok\\n";
        }}
        location = /long {{
            limit_rate {rate};
        }}
        location = / {{
            if (!-f {folder}/ready/{name}) {{ return 503; }}
            return 200 "{name}\\n";
        }}
        location / {{ return 404; }}
    }}"""
_BALANCER = """    upstream web {{
{servers}
        keepalive 16;
    }}
    server {{
        listen {host}:{port};
        location / {{
            proxy_pass https://web;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate {folder}/root.pem;
            proxy_ssl_name {domain};
            proxy_ssl_server_name on;
            proxy_next_upstream error timeout http_503;
            proxy_connect_timeout 1s;
        }}
    }}"""


def where(lab: Lab) -> Path:
    """Return the folder of all configurations."""
    return lab.private / NAME


def socket_of(lab: Lab, balancer: str) -> str:
    """Return the path of a HAProxy's runtime socket."""
    return str(where(lab) / f"{balancer}.sock")


def start(lab: Lab) -> None:
    """Make certificates and configurations, start all servers, and wait until all checks are good. Raises LabError."""
    folder = where(lab)
    processes.run(
        ["/bin/mkdir", "-p", *(str(folder / each) for each in ("tmp", "ready", "pages"))], user=lab.user
    )
    texts = _certificates() | {f"ready/{name}": "" for name in BACKENDS} | {"pages/long": "." * _LONG_BYTES}
    _put_all(lab, texts)
    _write(lab, Switches())
    for name, program in _programs(lab).items():
        client.start(lab, name, program)
    _wait(lab)


def change(lab: Lab, **switches: object) -> None:
    """Set switches, restart the servers that they are about, and wait until their checks are good. Raises LabError."""
    before = switched(lab)
    wanted = replace(before, **switches)  # type: ignore[arg-type]
    _write(lab, wanted)
    if wanted.health != before.health:
        _restart(lab, BACKENDS, signal.SIGTERM)
    if wanted.max_fails != before.max_fails:
        _restart(lab, (NGINX,), signal.SIGTERM)
    _restart(lab, BALANCERS, signal.SIGKILL)
    _wait(lab)


def restore(lab: Lab, *names: str) -> None:
    """Set switches back to their healthy values."""
    change(lab, **{field.name: field.default for field in fields(Switches) if field.name in names})


def switched(lab: Lab) -> Switches:
    """Return the current switches."""
    return Switches(**json.loads((where(lab) / "switches.json").read_text()))


def tell(lab: Lab, balancer: str, command: str) -> None:
    """Send a command to a HAProxy. Raises LabError if it refuses."""
    try:
        said = haproxy.ask(socket_of(lab, balancer), command).strip()
    except OSError as error:
        raise LabError(f"{balancer} does not answer: {error}") from None
    if said:
        raise LabError(f"{balancer} refused `{command}`: {said}")


def wait_whole(lab: Lab) -> None:
    """Wait until all backends are up everywhere, with their whole weight. Raises LabError."""
    _wait(lab)


def _restart(lab: Lab, names: tuple[str, ...] | dict[str, str], number: signal.Signals) -> None:
    for name in names:
        client.stop(lab, name, number)
    for name in names:
        client.start(lab, name)


def _wait(lab: Lab) -> None:
    try:
        sql.wait_until("good health checks of all backends on both balancers", lambda: _whole(lab), 20.0)
    except LabError as error:
        logs = "; ".join(f"{name}: {nodes.log_end(lab, name)}" for name in SERVERS)
        raise LabError(f"{error}: {logs}") from None


def _whole(lab: Lab) -> bool:
    return all(_up(lab, name) for name in BALANCERS) and _answers(lab)


def _up(lab: Lab, balancer: str) -> bool:
    """Return whether a HAProxy sends requests to all backends, with the weights of its configuration."""
    try:
        table = haproxy.ask(socket_of(lab, balancer), "show stat").removeprefix("# ")
    except OSError:
        return False
    rows = [row for row in csv.DictReader(io.StringIO(table)) if row["pxname"] == "web"]
    servers = {row["svname"]: row for row in rows if row["svname"] in BACKENDS}
    weights = dict(zip(BACKENDS, switched(lab).weights.split(), strict=True))
    return len(servers) == len(BACKENDS) and all(
        # A restarted HAProxy takes servers for up until their first check is over.
        (row["status"] == "no check" or (row["status"] == "UP" and row["check_status"].endswith("OK")))
        and row["weight"] == weights[name]
        for name, row in servers.items()
    )


def _answers(lab: Lab) -> bool:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{lab.ports[NGINX]}/", timeout=1.0) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _write(lab: Lab, switches: Switches) -> None:
    texts = {f"{name}.conf": _backend(lab, name, switches) for name in BACKENDS}
    texts |= {f"{name}.cfg": _haproxy(lab, name, switches) for name in BALANCERS}
    texts |= {f"{NGINX}.conf": _nginx(lab, switches), "switches.json": json.dumps(asdict(switches))}
    _put_all(lab, texts)


def _put_all(lab: Lab, texts: dict[str, str]) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda item: nodes.put(lab, where(lab) / item[0], item[1]), texts.items()))


def _haproxy(lab: Lab, name: str, switches: Switches) -> str:
    weights = zip(BACKENDS, switches.weights.split(), strict=True)
    servers = [
        f"    server {each} {HOST}:{lab.ports[each]} weight {weight}{'' if each == switches.unchecked else ' check'}"
        for each, weight in weights
    ]
    more = [f"slowstart {switches.slow_start}"] if switches.slow_start else []
    more += [f"on-marked-down {switches.when_down}"] if switches.when_down != "none" else []
    return _HAPROXY.format(
        socket=socket_of(lab, name),
        retries=_RETRIES if switches.retries else "",
        address=BALANCERS[name],
        port=lab.ports[name],
        checks=switches.checks,
        expect=f"    http-check expect {switches.expect}\n" if "httpchk" in switches.checks else "",
        rule=f"    {switches.rule}\n" if switches.rule else "",
        verify=switches.verify,
        folder=where(lab),
        domain=_DOMAIN,
        fall=switches.fall,
        more=" ".join(more),
        servers="\n".join(servers),
    )


def _backend(lab: Lab, name: str, switches: Switches) -> str:
    ready = where(lab) / "ready" / name
    inside = _BACKEND.format(
        host=HOST,
        port=lab.ports[name],
        folder=where(lab),
        name=name,
        rate=_LONG_RATE,
        health="" if switches.health == "always" else f"if (!-f {ready}) {{ return 503; }}",
    )
    return _NGINX.format(user="", folder=where(lab), name=name, inside=inside)


def _nginx(lab: Lab, switches: Switches) -> str:
    servers = "\n".join(
        f"        server {HOST}:{lab.ports[name]} weight={weight} max_fails={switches.max_fails} fail_timeout=1s;"
        for name, weight in zip(BACKENDS, (2, 1, 1), strict=True)
    )
    inside = _BALANCER.format(
        servers=servers, host=HOST, port=lab.ports[NGINX], folder=where(lab), domain=_DOMAIN
    )
    # `nginx -T` by root gives the folders for temporary files to this user.
    user = f"user {lab.user};\n" if lab.user else ""
    return _NGINX.format(user=user, folder=where(lab), name=NGINX, inside=inside)


def _programs(lab: Lab) -> dict[str, Program]:
    def nginx(name: str) -> Program:
        words = [
            lab.programs["nginx"],
            "-p",
            str(where(lab)),
            "-e",
            "stderr",
            "-c",
            str(where(lab) / f"{name}.conf"),
        ]
        return Program(words, lab.user, death_signal=signal.SIGTERM)

    def balancer(name: str) -> Program:
        words = [lab.programs["haproxy"], "-db", "-f", str(where(lab) / f"{name}.cfg")]
        return Program(words, lab.user, death_signal=signal.SIGKILL)

    backends = {name: nginx(name) for name in (*BACKENDS, NGINX)}
    return backends | {name: balancer(name) for name in BALANCERS}


def _certificates() -> dict[str, str]:
    own = authority.make(
        "http://127.0.0.1/crl", "http://127.0.0.1/ocsp", datetime.now(UTC).replace(microsecond=0)
    )
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = authority.leaf(own, key, [_DOMAIN, HOST])
    return {
        "root.pem": authority.pem(own.root),
        "web.pem": authority.pem(leaf, own.intermediate),
        "web.key": authority.key_pem(key),
    }


def values(lab: Lab) -> dict[str, str]:
    """Return what inventories can refer to beside the ports."""
    folder = where(lab)
    config = [
        lab.programs["nginx"],
        "-T",
        "-p",
        str(folder),
        "-e",
        "stderr",
        "-c",
        str(folder / f"{NGINX}.conf"),
    ]
    found = {
        "balancer.ca": str(folder / "root.pem"),
        "balancer.nginx": shlex.join(config),
        "balancer.record": str(lab.folder / "balancer-drills.json"),
        "balancer.ready": str(folder / "ready"),
    }
    for name in BALANCERS:
        found |= {f"{name}.socket": socket_of(lab, name), f"{name}.config": str(folder / f"{name}.cfg")}
    return found


SERVERS = {
    **dict.fromkeys(BACKENDS, "a backend of the load balancers"),
    "lb1": "HAProxy, a load balancer",
    "lb2": "HAProxy, the other one",
    NGINX: "nginx as load balancer",
}
SERVICE = Service(
    name=NAME,
    servers=SERVERS,
    programs=("haproxy", "nginx"),
    missing="load balancers are not covered; apt install haproxy nginx",
    start=start,
    where=where,
    values=values,
    alone=True,
)
