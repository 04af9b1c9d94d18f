"""What the lab runs beside PostgreSQL: each module of this package defines one service, and a new one is found by itself.

Everything that concerns a service is in its module: programs, ports, secrets, values for inventories, scheduled jobs,
and what `lab down` has to end. A service whose program is missing is left out, and its `missing` says what that costs.
Further folders with such modules can be appended to this package's `__path__`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from pathlib import Path

from pytest_deploygate.lab.programs import tool
from pytest_deploygate.lab.state import Lab, LabError
from pytest_deploygate.lazy import dataclass


def nothing(_lab: Lab) -> None:
    """Do nothing more."""


def no_values(_lab: Lab) -> dict[str, str]:
    """Return no values: inventories refer only to the ports of this service."""
    return {}


@dataclass(frozen=True)
class Job:
    """A scheduled job: the time fields of its line in the crontab, and the function that the line runs."""

    when: str
    run: Callable[[Lab], None]


def no_history(_lab: Lab) -> Iterable[str]:
    """Return nothing to remember."""
    return ()


def no_jobs(_lab: Lab) -> dict[str, Job]:
    """Return no scheduled jobs."""
    return {}


@dataclass(frozen=True)
class Service:
    """One or more servers of the lab that start and stop together.

    What it consists of: `servers` maps the name of each server, which is also the name of its port (`lab:NAME.port`), to
    a description; `more_servers` are those that run only at times, and `more_ports` are ports without a server of their
    own. `programs` are the executables that it needs, by the name in `Lab.programs`; `find` returns the path of one of
    them, or None. `missing` says what is not covered without them. `secrets` are files with a random password that the
    lab makes first (`lab:password.NAME`).

    How it starts: `start` is called once and tells the supervisor how to run each server. Services start side by side,
    each after those in `after`. One that is `alone` does not need the cluster and starts beside it; those in its `after`
    must be `alone` too. One that is `late` is not needed by the drills: it starts while they run, or, when it is also
    `alone`, during the first backup. `once_up` is called when the whole lab is up and the drills are over. `reset` is
    called when the lab goes back to the state that it came up in.

    What others see of it: `where` is the place that `lab status` shows, `values` are the `lab:NAME` values beside ports
    and secrets, `jobs` are its lines in the crontab. `history` are lines of samples (OpenMetrics) that Prometheus has from
    before its start: see `monitoring_history`. It belongs to the lab by default, or only to the `profiles` that
    it names (`lab up --with PROFILE`).

    What `lab down` ends when the supervisor cannot: processes with the name of one of `programs` or `processes`, and
    `python -m` with one of `modules`, if they name the lab's folder or work in it. `leaves` are files that may appear
    in the lab's folder after the folder was removed.
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
    reset: Callable[[Lab], None] = nothing
    jobs: Callable[[Lab], Mapping[str, Job]] = no_jobs
    history: Callable[[Lab], Iterable[str]] = no_history
    more_servers: Mapping[str, str] = field(default_factory=dict)
    more_ports: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    find: Callable[[str], str | None] = tool
    alone: bool = False
    late: bool = False
    profiles: tuple[str, ...] = ()
    processes: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    leaves: tuple[str, ...] = ()

    @property
    def ports(self) -> tuple[str, ...]:
        """The names of all the ports that it needs."""
        return (*self.servers, *self.more_servers, *self.more_ports)

    def asked_for(self, profiles: Iterable[str]) -> bool:
        """Return whether it belongs to a lab that was started with these profiles."""
        return not self.profiles or not set(self.profiles).isdisjoint(profiles)

    def says(self, server: str) -> str | None:
        """Return the description of one of its servers; None where the server is not one of them."""
        return self.servers.get(server) or self.more_servers.get(server)


def all_services() -> list[Service]:
    """Return every service of this package, each after those that it needs. Raises LabError."""
    found: dict[str, Service] = {}
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, Service):
                found[value.name] = value
    ordered: dict[str, Service] = {}

    def place(service: Service) -> None:
        for name in service.after:
            if name not in found:
                raise LabError(
                    f"the service {service.name} starts after {name}, but there is no such service"
                )
            place(found[name])
        ordered.setdefault(service.name, service)

    for service in found.values():
        place(service)
    return list(ordered.values())


def running(lab: Lab) -> list[Service]:
    """Return the services that this lab has."""
    return [
        service
        for service in all_services()
        if service.asked_for(lab.profiles) and all(port in lab.ports for port in service.ports)
    ]


def known_profiles() -> list[str]:
    """Return the names of all profiles that a service belongs to."""
    return sorted({profile for service in all_services() for profile in service.profiles})


def jobs(lab: Lab) -> dict[str, Job]:
    """Return the scheduled jobs of the services that this lab has."""
    return {name: job for service in running(lab) for name, job in service.jobs(lab).items()}
