"""What the lab runs beside PostgreSQL: each module here is one service; a new one is found by itself.

A service that lacks its program is left out, and its line in `missing` tells so.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_deploygate.lab.programs import tool
from pytest_deploygate.lab.state import Lab


def nothing(_lab: Lab) -> None:
    """Do nothing more."""


def no_values(_lab: Lab) -> dict[str, str]:
    """Say that inventories refer to nothing of this service but its ports."""
    return {}


@dataclass(frozen=True, slots=True)
class Service:
    """One or more servers of the lab that come and go together. They start side by side, each after those in `after`.

    `servers` maps each server's name, which is also that of its port (`lab:NAME.port`), to what it is. `programs` are
    the executables that it needs, by the name in `Lab.programs`. `missing` says what is not covered without them. `start`
    is called once, when the cluster is up, and tells the supervisor how to start each server; `where` gives the place
    that `lab status` shows. `once_up` is called when the whole lab is up and the failover drill is over. `find` returns
    the path of one of `programs`, None where it is not there. One that is `alone` needs nothing of the cluster and starts
    beside it; those in its `after` must be so too. No drill needs one that is `late`: it starts while the drills run, or, when
    it is `alone` too, while the first backup does; both mostly wait.
    """

    name: str
    servers: Mapping[str, str]
    programs: tuple[str, ...]
    missing: str
    start: Callable[[Lab], None]
    where: Callable[[Lab], Path]
    values: Callable[[Lab], Mapping[str, str]] = no_values
    after: tuple[str, ...] = ()
    once_up: Callable[[Lab], None] = nothing
    more_ports: tuple[str, ...] = field(default=())
    find: Callable[[str], str | None] = tool
    alone: bool = False
    late: bool = False

    @property
    def ports(self) -> tuple[str, ...]:
        """The names of all the ports that it wants."""
        return (*self.servers, *self.more_ports)


def all_services() -> list[Service]:
    """Return every service of this package, each after those that it needs."""
    found: dict[str, Service] = {}
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, Service):
                found[value.name] = value
    ordered: dict[str, Service] = {}

    def place(service: Service) -> None:
        for name in service.after:
            place(found[name])
        ordered.setdefault(service.name, service)

    for service in found.values():
        place(service)
    return list(ordered.values())


def running(lab: Lab) -> list[Service]:
    """Return the services that this lab has."""
    return [service for service in all_services() if all(port in lab.ports for port in service.ports)]


def values(lab: Lab, beside: list[Service]) -> dict[str, str]:
    """Return what inventories can refer to as `lab:NAME`, with these services; `without.SERVICE` for each not installed."""
    found = lab.values()
    for service in beside:
        found |= service.values(lab)
    installed = [service.name for service in running(lab)]
    found |= {f"without.{s.name}": "true" for s in all_services() if s.name not in installed}
    return found
