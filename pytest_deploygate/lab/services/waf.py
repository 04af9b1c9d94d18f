"""The WAF: ModSecurity on a port of its own, and an application behind it on a Unix socket.

It is nginx with its module for ModSecurity and OWASP CRS where the system has them. Elsewhere it is the library of the wheel
`libmodsecurity` in a front of our own, with rules of our own, as no wheel has OWASP CRS. Everything that a fault changes is a
switch in `Switches`; `change` writes the configuration and restarts the server.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import signal
import socket
import sys
import urllib.request
from dataclasses import asdict, replace
from pathlib import Path

from pytest_deploygate.lab import client, nodes, processes, programs, sql
from pytest_deploygate.lab.services import Service, network
from pytest_deploygate.lab.services.waf_config import CRS, MODULE, configuration, engine
from pytest_deploygate.lab.state import HOST, Lab, LabError
from pytest_deploygate.lab.supervisor import Program
from pytest_deploygate.lazy import dataclass

NAME = "waf"
ORIGIN = "waf-origin"
_PROGRAM = "modsecurity"
_FRONT = "pytest_deploygate.lab.modsecurity.front"
#: Our own rules. They are in the groups of OWASP CRS, by numbers that are 900 lower.
RULES = Path(__file__).parents[1] / "modsecurity" / "rules"
_LOWER = 900
#: A ban after so many blocked requests of one address; phase 5 is past the answer. OWASP CRS uses the collection IP itself.
BAN = (
    'SecAction "id:1001,phase:1,nolog,pass,initcol:resource=%{REMOTE_ADDR}"',
    'SecRule RESOURCE:blocked "@ge 60" "id:1002,phase:1,deny,status:403,nolog"',
    'SecRule TX:ANOMALY_SCORE "@ge 5" "id:1003,phase:5,nolog,pass,setvar:resource.blocked=+1"',
)
#: A rule that matches every request but that by which the lab sees the WAF's start.
_EVERYONE = ('SecRule REQUEST_URI "!@streq /generation" "id:1004,phase:1,deny,status:403,nolog"',)
#: Switched off for requests with a body alone: without it, this ModSecurity blocks nothing at all.
_NO_BODIES = (
    'SecRule REQUEST_METHOD "!@rx ^(?:GET|HEAD)$" "id:1005,phase:1,pass,nolog,ctl:requestBodyAccess=Off"',
)
_PAGE = "error_page 403 =200 /blocked.html;"
_BLOCKED = (
    "<!doctype html><title>Request rejected</title><p>Your request was rejected. Support ID: 4711</p>\n"
)


@dataclass(frozen=True)
class Switches:
    """What can be wrong with the WAF; the defaults are healthy."""

    generation: int = 0
    mode: str = "On"  # or DetectionOnly
    without: int = 0  # a group of OWASP CRS that is switched off
    json: bool = True
    bodies: bool = True
    page: bool = False  # blocks with status 200
    everyone: bool = False
    ban: bool = False
    origin: str = ""  # an address at which the application listens besides
    admits: str = ""  # the only source that it serves there


def where(lab: Lab) -> Path:
    """Return the folder of the configuration."""
    return lab.private / "waf"


def values(lab: Lab) -> dict[str, str]:
    """Return what inventories refer to: where the origin must be closed.

    Without IPv6 here, that is one address; where hosts have a network, this machine's address in it, too.
    """
    address, port = "[::1]" if _ipv6() else HOST, lab.ports[ORIGIN]
    found = {"waf.origin.ipv6": f"http://{address}:{port}"}
    return found | (
        {"waf.origin.network": f"http://{inside(lab)}:{port}"} if network.BRIDGE in lab.ports else {}
    )


def inside(lab: Lab) -> str:
    """Return this machine's address in the network of the hosts."""
    return network.addresses(lab, 254)[0]


def _ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def find(_name: str) -> str | None:
    """Return the system's nginx if ModSecurity and the rules are there, too; else this Python if it has the library."""
    nginx = programs.tool("nginx")
    if nginx and MODULE.is_file() and CRS.is_dir():
        return nginx
    return sys.executable if importlib.util.find_spec("libmodsecurity") else None


def is_nginx(lab: Lab) -> bool:
    """Return whether the WAF of this lab is nginx."""
    return Path(lab.programs[_PROGRAM]).name == "nginx"


def start(lab: Lab) -> None:
    """Write the configuration and start the server. Raises LabError."""
    folder = where(lab)
    processes.run(["/bin/mkdir", "-p", str(folder / "tmp")], user=lab.user)
    nodes.put(lab, folder / "blocked.html", _BLOCKED)
    _write(lab, Switches())
    argv = [lab.programs[_PROGRAM], "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
    python = [lab.programs[_PROGRAM], "-m", _FRONT, str(folder / "front.json")]
    program = Program(argv, lab.user) if is_nginx(lab) else Program(python, death_signal=signal.SIGTERM)
    client.start(lab, NAME, program)
    _wait(lab, 0)


def change(lab: Lab, **switches: object) -> None:
    """Set switches, restart the server, and wait until it uses them. Raises LabError."""
    now = Switches(**json.loads((where(lab) / "switches.json").read_text()))
    wanted = replace(now, generation=now.generation + 1, **switches)  # type: ignore[arg-type]
    _write(lab, wanted)
    client.stop(lab, NAME)
    client.start(lab, NAME)
    _wait(lab, wanted.generation)


def restore(lab: Lab) -> None:
    """Set all switches back to their healthy values."""
    healthy = asdict(Switches())
    del healthy["generation"]
    change(lab, **healthy)


def _wait(lab: Lab, wanted: int) -> None:
    try:
        sql.wait_until("start of the WAF", lambda: _generation(lab) == wanted, 15.0)
    except LabError as error:
        raise LabError(f"{error}: {nodes.log_end(lab, NAME)}") from None


def _generation(lab: Lab) -> int:
    """Return the number of the configuration that the server uses; -1 while it does not answer."""
    with (
        contextlib.suppress(OSError, ValueError),
        urllib.request.urlopen(f"http://{HOST}:{lab.ports[NAME]}/generation", timeout=2) as answer,
    ):
        return int(answer.read())
    return -1


def _write(lab: Lab, switches: Switches) -> None:
    folder = where(lab)
    before = (
        *(() if switches.bodies else _NO_BODIES),
        *(_EVERYONE if switches.everyone else ()),
        *(BAN if switches.ban else ()),
    )
    if is_nginx(lab):
        group, rules = switches.without, CRS
        nodes.put(lab, folder / "nginx.conf", _nginx(lab, folder, switches))
    else:
        group, rules = switches.without - _LOWER, RULES
        nodes.put(lab, folder / "front.json", json.dumps(_front(lab, folder, switches)))
    text = engine(
        folder, mode=switches.mode, json=switches.json, without=_group(group), before=before, rules=rules
    )
    nodes.put(lab, folder / "switches.json", json.dumps(asdict(switches)))
    nodes.put(lab, folder / "rules.conf", text)


def _group(number: int) -> str:
    """Return the range of rules that a group is; empty where there is none."""
    return f"{number}000-{number}999" if number > 0 else ""


def _nginx(lab: Lab, folder: Path, switches: Switches) -> str:
    return configuration(
        folder,
        {lab.ports[NAME]: folder / "rules.conf"},
        generation=switches.generation,
        page=_PAGE if switches.page else "",
        origin=f"{switches.origin}:{lab.ports[ORIGIN]}" if switches.origin else "",
        admits=switches.admits,
    )


def _front(lab: Lab, folder: Path, switches: Switches) -> dict[str, object]:
    """Return what `lab/modsecurity/front.py` is told; it is not imported here, as few labs have its library."""
    return {
        "address": HOST,
        "port": lab.ports[NAME],
        "rules": str(folder / "rules.conf"),
        "socket": str(folder / "application.sock"),
        "generation": switches.generation,
        "page": _BLOCKED if switches.page else "",
        "origin": [switches.origin.strip("[]"), lab.ports[ORIGIN]] if switches.origin else None,
        "admits": switches.admits,
    }


SERVICE = Service(
    name=NAME,
    servers={NAME: "ModSecurity, before a search and an API"},
    programs=(_PROGRAM,),
    missing="the WAF is not covered; `pip install 'pytest-deploygate[lab]'` brings it on Linux on x86-64 up to Python 3.13, else "
    "apt install nginx libnginx-mod-http-modsecurity modsecurity-crs",
    start=start,
    where=where,
    values=values,
    more_ports=(ORIGIN,),
    find=find,
    processes=("nginx",),
    modules=(_FRONT,),
    alone=True,
)
