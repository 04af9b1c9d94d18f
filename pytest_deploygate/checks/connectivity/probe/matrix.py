"""Try the whole matrix, from here and from hosts, all places side by side."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_deploygate.checks.connectivity.facts import Cell, FullSize, Kind, Matrix, Place, Step, Try
from pytest_deploygate.checks.connectivity.probe import attempts
from pytest_deploygate.checks.connectivity.section import Connectivity, Service
from pytest_deploygate.checks.hosts.section import Host, Hosts, chosen
from pytest_deploygate.clients import budget as budgets
from pytest_deploygate.clients import stopping
from pytest_deploygate.clients.budget import Budget
from pytest_deploygate.clients.host.asking import ask
from pytest_deploygate.clients.host.side_by_side import side_by_side
from pytest_deploygate.fields.hosts import HERE
from pytest_deploygate.judging.silent_hosts import Cause, Failure
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell

_ITEM = "phase1.connectivity"
_UNWATCHED = "each service gets a few single connections from each place"
#: What is left of a host's time for the login.
_MARGIN = 0.8
_PYTHON = (
    "for P in python3 /usr/libexec/platform-python; do "
    "$P -c 'import sys; sys.exit(sys.version_info < (3, 7))' && break; P=; done"
)


@dataclass(frozen=True)
class _Told:
    place: Place
    cells: tuple[Cell, ...] = ()
    unfinished: tuple[str, ...] = ()
    made: int = 0


def matrix(connectivity: Connectivity, hosts: Hosts | None, budget: Budget | None = None) -> Matrix:
    """Try each service from each place that must reach it. Raises CannotTell if the rows name no place at all."""
    wanted: dict[str, tuple[Host, dict[str, Service]]] = {}
    for row in connectivity.rows:
        for host in chosen(row.from_, hosts):
            services = {service.name: service for service in connectivity.wanted(row)}
            wanted.setdefault(host.name, (host, {}))[1].update(services)
    if not wanted:
        raise CannotTell(
            "the rows of `connectivity` name no place: add hosts to `hosts`, or write `from: here`"
        )
    number = sum(len(services) for _, services in wanted.values())
    with (budget or budgets.unrecorded(_ITEM)).probe("matrix", unwatched=_UNWATCHED) as spending:
        # Two attempts, and one with packets of full size.
        spending.take(requests=3 * number, connections=3 * number, opens=0)
        connectivity = connectivity.model_copy(update={"at_once": spending.at_once(connectivity.at_once)})
        headers = dict(spending.headers)
        told = side_by_side(
            lambda pair: _from(pair[0], list(pair[1].values()), connectivity, headers),
            list(wanted.values()),
            connectivity.hosts_at_once,
        )
        # Names with several addresses, and attempts that were made again.
        more = max(0, sum(each.made for each in told) - 3 * number)
        spending.take(requests=more, connections=more, opens=0)
        spending.give(closes=0, peak=min(number, connectivity.at_once))
    return Matrix(
        tuple(each.place for each in told),
        tuple(cell for each in told for cell in each.cells),
        tuple((each.place.name, service) for each in told for service in each.unfinished),
    )


def _from(
    host: Host, services: Sequence[Service], connectivity: Connectivity, headers: Mapping[str, str]
) -> _Told:
    within_s = connectivity.within.total_seconds()
    plan: dict[str, Any] = {
        "timeout_s": connectivity.timeout.total_seconds(),
        "within_s": within_s * _MARGIN,
        "at_once": connectivity.at_once,
        "headers": headers,
        "services": [_plain(service) for service in services],
    }
    names = [service.name for service in services]
    if host.name == HERE and host.connection == "local://":
        with stopping.interrupting():
            return read(HERE, names, attempts.make(plan))
    source = Path(attempts.__file__).read_text(encoding="utf-8")
    command = (
        f'{_PYTHON}\n[ "$P" ] && $P -c {shlex.quote(source)} {shlex.quote(json.dumps(plan))} || echo none'
    )
    told = ask(host.connection, host.run_as, {"tried": command}, within_s, host.run_as_password)
    if isinstance(told, Failure):
        return _Told(Place(host.name, told))
    said = told.parts.get("tried", "").strip()
    if not said or said == "none":
        why = Failure(Cause.ANSWER, "it has no python3 (3.7 or later) to make attempts with")
        return _Told(Place(host.name, why))
    return read(host.name, names, _lines(said))


def _plain(service: Service) -> dict[str, Any]:
    return {
        "name": service.name,
        "host": service.host,
        "port": service.port,
        "speaks": service.speaks,
        "path": service.path,
        "tls": service.tls,
        "server_name": service.server_name,
        "ca_file": service.ca_file,
        "verify": service.verify,
        "fills": service.fills,
    }


def _lines(text: str) -> list[dict[str, Any]]:
    """Read the lines that are JSON objects; what else a host prints is left out."""
    found = []
    for line in text.splitlines():
        if line.startswith("{"):
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
    return found


def read(source: str, services: Sequence[str], lines: Sequence[Mapping[str, Any]]) -> _Told:
    """Return what one place told; services of which not every address was tried are unfinished."""
    cells: list[Cell] = []
    expected: dict[str, int] = {}
    for line in lines:
        if "of" in line:
            expected[line["of"]] = max(1, len(line["addresses"]))
        elif "tries" in line:
            cells.append(_cell(source, line))
    unfinished = [
        name for name in services if sum(cell.service == name for cell in cells) < expected.get(name, 1)
    ]
    cells.sort(key=lambda cell: (services.index(cell.service), cell.address))
    made = sum(int(line.get("made", 0)) for line in lines)
    return _Told(Place(source), tuple(cells), tuple(unfinished), made)


def _cell(source: str, line: Mapping[str, Any]) -> Cell:
    full = line.get("full_size")
    return Cell(
        source,
        line["service"],
        line["address"],
        tuple(_try(each) for each in line["tries"]),
        FullSize(**full) if full else None,
        float(line.get("late_s", 0.0)),
    )


def _try(told: Mapping[str, Any]) -> Try:
    failed, kind = told.get("failed"), told.get("kind")
    rest = {name: value for name, value in told.items() if name not in ("failed", "kind")}
    return Try(failed=Step(failed) if failed else None, kind=Kind(kind) if kind else None, **rest)
