"""Ask a partner from hosts of the platform, each with its own curl, network, names and trusted certificates.

Our credential is not sent there: a command on a host can be seen by others. Any answer over trusted TLS shows that the
platform reaches the partner.
"""

from __future__ import annotations

import shlex
from concurrent.futures import ThreadPoolExecutor

from pytest_deploygate.checks.hosts.section import Host, Hosts, chosen
from pytest_deploygate.checks.integrations.facts import FromHost
from pytest_deploygate.checks.integrations.section import Integration
from pytest_deploygate.clients.budget import AGENT
from pytest_deploygate.clients.host.asking import ask
from pytest_deploygate.judging.silent_hosts import Failure

_AT_ONCE = 8
_MORE_S = 15.0
#: Exit codes of curl in words.
_CODES = {
    "5": "its proxy's name does not resolve there",
    "6": "the partner's name does not resolve there",
    "7": "the connection is refused",
    "28": "no answer in time",
    "35": "TLS could not be begun",
    "52": "the connection was closed without an answer",
    "56": "the connection was reset",
    "60": "its certificate is not trusted there",
}


def asked(integration: Integration, hosts: Hosts | None) -> tuple[FromHost, ...]:
    """Ask from each host that is named, by its name or its role."""
    wanted = chosen(integration.hosts, hosts)
    if not wanted:
        return (FromHost(", ".join(integration.hosts), None, "no host of `hosts` has this name", ours=True),)
    with ThreadPoolExecutor(min(len(wanted), _AT_ONCE), "integration-hosts") as pool:
        return tuple(pool.map(lambda host: _from(host, integration), wanted))


def _from(host: Host, integration: Integration) -> FromHost:
    limit_s = integration.timeout.total_seconds()
    url = f"{integration.url.rstrip('/')}{integration.contract[0].path}"
    trusted = ["--cacert", str(integration.ca_file)] if integration.ca_file else []
    curl = [
        "curl",
        "-gsS",
        "-o",
        "/dev/null",
        "-m",
        f"{limit_s:g}",
        "-A",
        AGENT,
        *trusted,
        "-w",
        "%{http_code}",
        url,
    ]
    command = f"if command -v curl >/dev/null 2>&1; then s=$({shlex.join(curl)} 2>/dev/null); echo $? $s; else echo none; fi"
    told = ask(host.connection, host.run_as, {"partner": command}, limit_s + _MORE_S, host.run_as_password)
    if isinstance(told, Failure):
        return FromHost(host.name, None, told.said, ours=True)
    match told.parts.get("partner", "").split():
        case ["0", status] if status.isdigit():
            return FromHost(host.name, int(status))
        case ["77", *_]:
            said = f"there is no file {integration.ca_file} there: put `ca_file` there, or into the system's certificates"
            return FromHost(host.name, None, said, ours=True)
        case [code, *_] if code.isdigit():
            return FromHost(host.name, None, _CODES.get(code, f"curl fails there with code {code}"))
    return FromHost(host.name, None, "it has no curl to ask with: install curl", ours=True)
