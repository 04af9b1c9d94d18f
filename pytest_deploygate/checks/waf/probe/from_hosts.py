"""Ways around the WAF, tried from hosts of the platform: each asks with its own curl or Python, over its own network."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from pytest_deploygate.checks.hosts.section import Host
from pytest_deploygate.checks.waf.facts import Door, Opening
from pytest_deploygate.checks.waf.probe.doors import Asked, addresses
from pytest_deploygate.checks.waf.probe.exchange import Place, host_header
from pytest_deploygate.checks.waf.section import Waf
from pytest_deploygate.clients.budget import AGENT, HEADER, Spending
from pytest_deploygate.clients.host.asking import ask
from pytest_deploygate.judging.silent_hosts import Failure

_AT_ONCE = 16
_CURL = "curl"
#: Exit codes of curl, which the Python here gives, too: no name, refused, no answer in time, closed without an answer.
_NO_NAME, _REFUSED, _SILENT = 6, 7, 28
_CLOSED = (35, 52, 56)
#: Statuses of a server that wants nothing to do with those who did not come through the WAF.
_REFUSALS = (400, 401, 403, 421, 495, 496)
_PYTHON = """
import http.client, socket, ssl, sys
from urllib.parse import urlsplit
u, host, agent, item, limit = urlsplit(sys.argv[1]), *sys.argv[2:5], float(sys.argv[5])
tls = ssl._create_unverified_context()
kind = http.client.HTTPSConnection if u.scheme == "https" else http.client.HTTPConnection
c = kind(u.hostname, u.port, timeout=limit, **({"context": tls} if u.scheme == "https" else {}))
try:
    c.request("GET", u.path + ("?" + u.query if u.query else ""), headers={"Host": host, "User-Agent": agent, "Deploygate-Probe": item})
    print(0, c.getresponse().status)
except socket.gaierror: print(6, 0)
except ConnectionRefusedError: print(7, 0)
except (socket.timeout, TimeoutError): print(28, 0)
except Exception: print(52, 0)
"""


def doors(
    waf: Waf, place: Place, spending: Spending, asked: Asked, hosts: Mapping[str, Host]
) -> tuple[Door, ...]:
    """Try every address of every origin from the hosts that are named for it."""
    found = [hosts[name] for name in waf.vantages if name in hosts]
    gone = [
        Door(origin, "", name, Opening.UNKNOWN, "no server of `hosts` has this name")
        for origin, names in waf.ways
        for name in names
        if name not in hosts
    ]
    if not found:
        return tuple(gone)
    with ThreadPoolExecutor(min(len(found), _AT_ONCE), "waf-hosts") as pool:
        each = pool.map(lambda host: _from(host, waf, place, spending, asked), found)
        return (*gone, *(door for doors in each for door in doors))


def _from(host: Host, waf: Waf, place: Place, spending: Spending, asked: Asked) -> list[Door]:
    """Ask the WAF itself, for control, and then each origin: plainly, and with an attack."""
    wanted = [each for origin, names in waf.ways if host.name in names for each in _addresses(origin)]
    scheme = "https" if place.tls else "http"
    urls = {"control": f"{scheme}://{_at(place.address, place.port)}{asked.plain.target}"}
    for number, (_, base) in enumerate(wanted):
        urls[f"plain_{number}"] = f"{base}{asked.plain.target}"
        if asked.attack is not None:
            urls[f"attack_{number}"] = f"{base}{asked.attack.target}"
    commands = {name: _command(url, place) for name, url in urls.items()}
    with spending.request() as attempt:
        told = ask(
            host.connection,
            host.run_as,
            commands,
            place.timeout_s * (len(commands) + 1),
            host.run_as_password,
        )
        attempt.answered()
    if isinstance(told, Failure):
        return [Door(origin, "", host.name, Opening.UNKNOWN, told.said) for origin, _ in wanted]
    answers = {name: _read(text) for name, text in told.parts.items()}
    control = answers.get("control", (None, 0))[0] == 0
    return [
        Door(
            origin,
            base.partition("://")[2],
            host.name,
            *_opening(answers, number, waf, asked, control=control),
        )
        for number, (origin, base) in enumerate(wanted)
    ]


def _addresses(origin: str) -> Iterator[tuple[str, str]]:
    """Yield the origin with the beginning of the URL of each of its addresses, as they are known here."""
    parts = urlsplit(origin)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    for address in addresses(parts.hostname or "", port)[0] or (parts.hostname or "",):
        yield origin, f"{parts.scheme}://{_at(address, port)}"


def _at(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _command(url: str, place: Place) -> str:
    host, limit, item = host_header(place), f"{place.timeout_s:g}", "sec.waf"
    curl: Sequence[str] = (
        _CURL, "-gsk", "-o", "/dev/null", "--noproxy", "*", "-m", limit, "-A", AGENT, "-H", f"Host: {host}",
        "-H", f"{HEADER}: {item}", "-w", "%{http_code}", "--path-as-is", url,
    )  # fmt: skip
    python: Sequence[str] = ("python3", "-c", _PYTHON, url, host, AGENT, item, limit)
    return (
        f"if command -v {_CURL} >/dev/null 2>&1; then s=$({shlex.join(curl)}); echo $? $s; "
        f"elif command -v python3 >/dev/null 2>&1; then {shlex.join(python)}; else echo none; fi"
    )


def _read(text: str) -> tuple[int | None, int]:
    """Return exit code and status; no code if the host has no program to ask with."""
    match text.split():
        case [code, status] if code.isdigit() and status.isdigit():
            return int(code), int(status)
        case [code] if code.isdigit():
            return int(code), 0
    return None, 0


def _opening(
    answers: Mapping[str, tuple[int | None, int]], number: int, waf: Waf, asked: Asked, *, control: bool
) -> tuple[Opening, str]:
    code, status = answers.get(f"plain_{number}", (None, 0))
    if code is None:
        return Opening.UNKNOWN, "the host has neither curl nor Python to ask with"
    if code == _REFUSED:
        return Opening.CLOSED, "refused"
    if code == _SILENT:
        if control:
            return Opening.CLOSED, "no connection in time"
        return Opening.UNKNOWN, "no answer, and the WAF itself does not answer there either"
    if code == _NO_NAME:
        return Opening.UNKNOWN, "its name does not resolve there"
    if code in _CLOSED:
        return Opening.REFUSES, "closes the connection without an answer"
    if code != 0:
        return Opening.UNKNOWN, f"curl failed there with code {code}"
    if status != asked.status:
        refuses = status in _REFUSALS or 300 <= status < 400
        return (Opening.REFUSES if refuses else Opening.UNKNOWN), f"answers {status}"
    attacked = answers.get(f"attack_{number}", (None, 0))[1]
    if attacked in waf.blocked.status:
        return Opening.GUARDED, f"an attack is blocked there, too ({attacked})"
    return Opening.SERVED, f"answers {status} as through the WAF, and an attack with {attacked or 'nothing'}"
