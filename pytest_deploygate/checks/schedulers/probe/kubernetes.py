"""A CronJob or workload of Kubernetes, as `kubectl get -o json` prints it. By documentation: batch/v1 and apps/v1."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from pytest_deploygate.checks.schedulers.facts import Seen, State
from pytest_deploygate.checks.schedulers.section import Place
from pytest_deploygate.clients.host import commands
from pytest_deploygate.model import CannotTell

_WITHIN_S = 30.0


def seen(place: Place) -> Seen:
    """Ask for the object. Raises CannotTell."""
    one = place.kubernetes
    if one is None:
        raise AssertionError("the place names an object")
    kind = one.name.partition("/")[0]
    given = f"{one.command} get {shlex.quote(one.name)} -n {shlex.quote(one.namespace)} -o json"
    try:
        told = json.loads(commands.printed(given, _WITHIN_S))
    except CannotTell as error:
        if "(NotFound)" in str(error) and "namespaces" not in str(error):
            return Seen(State.ABSENT, f"there is no {one.name} in {one.namespace}")
        raise
    except ValueError:
        raise CannotTell(f"`{given}` prints no JSON") from None
    return of_object(kind, told)


def of_object(kind: str, told: Mapping[str, Any]) -> Seen:
    """Return what an object shows: whether a CronJob is suspended, or how many pods a workload has. Pure."""
    spec, status = told.get("spec"), told.get("status")
    if not isinstance(spec, dict) or not isinstance(status, dict):
        return Seen(State.UNKNOWN, "the object has no spec and status")
    if kind == "cronjob":
        if active := len(status.get("active") or ()):
            return Seen(State.RUNS, f"{active} of its jobs run now")
        if spec.get("suspend"):
            return Seen(State.STILL, "it is suspended")
        last = status.get("lastScheduleTime", "never")
        return Seen(State.RUNS, f"not suspended ({spec.get('schedule')}), scheduled last: {last}")
    pods, wanted = int(status.get("replicas") or 0), int(spec.get("replicas", 1))
    if pods or wanted:
        ready = int(status.get("readyReplicas") or 0)
        return Seen(
            State.RUNS if pods else State.UNKNOWN, f"{pods} pods, {ready} of them ready, {wanted} wanted"
        )
    return Seen(State.STILL, "it has no pods, and none are wanted")
