"""A CDN: nginx with TLS, behind it two caches that share the requests (Varnish, else nginx), behind those an origin.

Everything that a fault changes is a name in a list; `change` writes the configurations and restarts what they are for,
which also empties the caches.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pytest_deploygate.lab import cdn_origin, client, nodes, processes, sql
from pytest_deploygate.lab.programs import tool
from pytest_deploygate.lab.services import Service, cdn_config, edge
from pytest_deploygate.lab.state import HOST, Lab, LabError
from pytest_deploygate.lab.supervisor import Program

NAME, ORIGIN = "cdn", "cdn-origin"
NODES = ("cdn-node1", "cdn-node2")
_PLAIN = "cdn-plain"
_PROGRAM = "varnishd"


def where(lab: Lab) -> Path:
    """Return the folder of the configurations."""
    return lab.private / "cdn"


def start(lab: Lab) -> None:
    """Write the configurations, start all four, and wait until an asset comes through. Raises LabError."""
    folders = [str(where(lab) / name) for name in ("tmp", *NODES)]
    processes.run(["/bin/mkdir", "-p", *folders], user=lab.user)
    cdn_origin.switches(lab).write_text("[]")
    varnish = tool(_PROGRAM)
    _write(lab, 0, (), varnish=varnish is not None)
    for name, program in _programs(lab, edge.nginx(lab), varnish).items():
        client.start(lab, name, program)
    try:
        _wait(lab, 0)
    except LabError as error:
        logs = "; ".join(f"{name}: {nodes.log_end(lab, name)}" for name in SERVERS)
        raise LabError(f"{error}: {logs}") from None


def _programs(lab: Lab, nginx: str, varnish: str | None) -> dict[str, Program]:
    module = [sys.executable, "-m", "pytest_deploygate.lab.cdn_origin", str(lab.folder)]
    found = {ORIGIN: Program(module, death_signal=signal.SIGTERM)}
    for name in NODES:
        argv = _varnish(lab, varnish, name) if varnish else _nginx(lab, nginx, f"{name}.conf")
        found[name] = Program(argv, lab.user, death_signal=signal.SIGTERM)
    found[NAME] = Program(_nginx(lab, nginx, "nginx.conf"), lab.user, death_signal=signal.SIGTERM)
    return found


def _nginx(lab: Lab, program: str, configuration: str) -> list[str]:
    return [program, "-p", str(where(lab)), "-c", str(where(lab) / configuration), "-e", "stderr"]


def _varnish(lab: Lab, program: str, name: str) -> list[str]:
    """Return the command of one Varnish, small, and with Accept-Encoding left to its VCL."""
    parameters = ("http_gzip_support=off", "thread_pools=1", "thread_pool_min=10", "default_grace=0")
    return [
        *(program, "-F", "-n", str(where(lab) / name), "-a", f"{HOST}:{lab.ports[name]}"),
        *("-f", str(where(lab) / f"{name}.vcl"), "-T", "none", "-s", "malloc,16m"),
        *(word for parameter in parameters for word in ("-p", parameter)),
    ]


def change(lab: Lab, *wrong: str) -> None:
    """Make exactly these things wrong, restart caches and front, and wait until an asset comes through. Raises LabError."""
    cdn_origin.switches(lab).write_text(json.dumps(wrong))
    generation = _generation(lab) + 1
    _write(lab, generation, wrong, varnish=_is_varnish(lab))
    with ThreadPoolExecutor(len(NODES) + 1) as pool:
        list(pool.map(lambda name: _restart(lab, name), (*NODES, NAME)))
    try:
        _wait(lab, generation)
    except LabError as error:
        raise LabError(f"{error}: {nodes.log_end(lab, NAME)} {nodes.log_end(lab, NODES[0])}") from None


def _restart(lab: Lab, name: str) -> None:
    client.stop(lab, name, signal.SIGTERM)
    if name in NODES and not _is_varnish(lab):
        processes.run(["/bin/rm", "-rf", str(where(lab) / name / "kept")], user=lab.user)
    client.start(lab, name)


def warm(lab: Lab) -> None:
    """Have both caches keep the script for browsers, and for clients that take one coding."""
    for name in NODES:
        for coding in ("gzip, deflate, br, zstd", "gzip", "br", "zstd", "identity"):
            request = urllib.request.Request(
                f"http://{HOST}:{lab.ports[name]}{cdn_origin.SCRIPT}",
                headers={"Accept-Encoding": coding, "Host": f"{cdn_origin.HOSTNAME}:{lab.ports[NAME]}"},
            )
            with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
                answer.read()


def _is_varnish(lab: Lab) -> bool:
    """Return whether the caches of this lab are Varnish."""
    return (where(lab) / f"{NODES[0]}.vcl").exists()


def _write(lab: Lab, generation: int, wrong: Sequence[str], *, varnish: bool) -> None:
    front = cdn_config.front(where(lab), edge.folder(lab), lab.ports, generation, wrong)
    nodes.put(lab, where(lab) / "nginx.conf", front)
    for name in NODES:
        short = name.removeprefix("cdn-")
        if varnish:
            nodes.put(lab, where(lab) / f"{name}.vcl", cdn_config.varnish(short, lab.ports, wrong))
        else:
            text = cdn_config.nginx(short, where(lab) / name, lab.ports, wrong)
            nodes.put(lab, where(lab) / f"{name}.conf", text)


def _wait(lab: Lab, generation: int) -> None:
    sql.wait_until("an asset through the CDN", lambda: _whole(lab, generation), 20.0)


def _whole(lab: Lab, generation: int) -> bool:
    return _generation(lab) == generation and all(_answers(lab, name) for name in NODES)


def _generation(lab: Lab) -> int:
    """Return the number of the configuration that nginx uses; -1 while it does not answer."""
    with (
        contextlib.suppress(OSError, ValueError),
        urllib.request.urlopen(f"http://{HOST}:{lab.ports[_PLAIN]}/generation", timeout=2) as answer,
    ):
        return int(answer.read())
    return -1


def _answers(lab: Lab, name: str) -> bool:
    try:
        with urllib.request.urlopen(
            f"http://{HOST}:{lab.ports[name]}{cdn_origin.STATUS}", timeout=2
        ) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def values(lab: Lab) -> dict[str, str]:
    """Return what inventories refer to beside the ports."""
    sessions = list(cdn_origin.USERS)
    for number, session in enumerate(sessions):
        file = _session(lab, number)
        file.write_text(f"session={session}")
        file.chmod(0o600)
    return {
        "cdn.session.a": str(_session(lab, 0)),
        "cdn.session.b": str(_session(lab, 1)),
        "cdn.record": str(lab.folder / "cdn-tried.json"),
        "cdn.varnish" if _is_varnish(lab) else "cdn.nginx": "true",
    }


def _session(lab: Lab, number: int) -> Path:
    return lab.folder / "jobs" / f"cdn-session-{number}"


SERVERS = {
    NAME: "nginx with TLS in front of the caches",
    NODES[0]: "a cache (Varnish, else nginx)",
    NODES[1]: "a second cache",
    ORIGIN: "the origin of the CDN",
}

SERVICE = Service(
    name=NAME,
    servers=SERVERS,
    programs=(),
    missing="a CDN is not covered",
    start=start,
    where=where,
    values=values,
    after=(edge.NAME,),
    more_ports=(_PLAIN,),
    processes=("nginx", _PROGRAM, "cache-main"),
    modules=("pytest_deploygate.lab.cdn_origin",),
    alone=True,
    late=True,
)
