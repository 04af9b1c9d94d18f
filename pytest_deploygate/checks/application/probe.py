"""Observes the services of the application; never sees a limit or an expected version."""

from __future__ import annotations

from pytest_deploygate.checks.application.facts import Replicas
from pytest_deploygate.checks.application.section import Application
from pytest_deploygate.checks.hosts.section import Hosts
from pytest_deploygate.checks.stack import probe
from pytest_deploygate.checks.stack.facts import Health
from pytest_deploygate.checks.stack.section import Stack
from pytest_deploygate.model import NotCovered

__all__ = ["readiness", "replicas"]
#: How often an entrance is asked for each replica behind it.
_ASKED = 3


def replicas(application: Application, hosts: Hosts | None) -> Replicas:
    """Ask every replica and entrance what runs there, and watch the processes, containers and workloads for restarts.

    Raises NotCovered if no service says which version or image must run.
    """
    if not any(service.has_version for service in application.services):
        raise NotCovered(
            "no service of `application` says what must run: add `version` with `endpoint`, `package` or `version_command`, "
            "or `image` to its replicas"
        )
    stack = application.stack()
    most = max(service.number for service in application.services)
    deployed = probe.deployed(stack.model_copy(update={"reads": max(stack.reads, _ASKED * most)}), hosts)
    watched = _without_pages(stack)
    return Replicas(deployed, probe.health(watched, hosts) if watched else None)


def _without_pages(stack: Stack) -> Stack | None:
    """Return what runs, without its pages: these say whether it is ready, not whether it was restarted."""
    bare = [each.model_copy(update={"health": None}) for each in stack.components]
    running = [each for each in bare if each.runs]
    return stack.model_copy(update={"components": running}) if running else None


def readiness(application: Application, hosts: Hosts | None) -> Health:
    """Read several times whether everything runs and is ready. Raises NotCovered if nothing says so."""
    return probe.health(application.stack(), hosts)
