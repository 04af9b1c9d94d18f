"""A Service of Kubernetes: EndpointSlices (discovery.k8s.io/v1) for states, Pods for their readiness probes."""

from __future__ import annotations

from typing import Any

from pytest_deploygate.checks.load_balancer import facts
from pytest_deploygate.checks.load_balancer.facts import Kind, State
from pytest_deploygate.checks.load_balancer.probe.documents import entry, objects, parsed
from pytest_deploygate.checks.load_balancer.section import Kubernetes
from pytest_deploygate.clients.host import commands
from pytest_deploygate.model import CannotTell

PROGRAM = "Kubernetes"


def read(name: str, settings: Kubernetes) -> facts.Control:
    """Return the endpoints of a Service. Raises CannotTell."""
    slices = parsed(commands.printed(settings.slices), f"`{settings.slices}`")
    pods = parsed(commands.printed(settings.pods), f"`{settings.pods}`") if settings.pods else None
    return of(name, slices, pods)


def of(name: str, slices: dict[str, Any], pods: dict[str, Any] | None) -> facts.Control:
    """Return the endpoints that the documents describe. Raises CannotTell if there are none."""
    every = [each for part in objects(slices, "items") or [slices] for each in objects(part, "endpoints")]
    if not every:
        raise CannotTell("the Service has no endpoints: look at its selector and at the pods' readiness")
    checks = (
        {str(entry(pod, "metadata", "name")): _check(pod) for pod in objects(pods, "items")} if pods else {}
    )
    lacking = () if pods else ("readiness probes were not read: add `pods`",)
    members: dict[str, facts.Member] = {}
    for each in every:
        pod = str(entry(each, "targetRef", "name") or entry(each, "addresses", 0) or "")
        # A pod with addresses of two families is in two slices.
        members[pod] = facts.Member(pod, *_state(each), check=checks.get(pod))
    return facts.Control(name, PROGRAM, tuple(members.values()), lacking=lacking)


def _state(endpoint: dict[str, Any]) -> tuple[State, str]:
    conditions = entry(endpoint, "conditions") or {}
    if conditions.get("terminating"):
        return State.DRAIN, "terminating"
    # By its definition, a condition that is not given counts as true.
    return (State.IN, "ready") if conditions.get("ready", True) is not False else (State.DOWN, "not ready")


def _check(pod: dict[str, Any]) -> facts.Check:
    """Return the most telling readiness probe among a pod's containers."""
    found = []
    for container in objects(pod, "spec", "containers"):
        probe = entry(container, "readinessProbe")
        if not isinstance(probe, dict):
            continue
        if "httpGet" in probe:
            # The kubelet accepts 200 to 399.
            found.append(facts.Check(Kind.HTTP, str(entry(probe, "httpGet", "path") or "/")))
        elif "exec" in probe:
            words = [str(word) for word in entry(probe, "exec", "command") or []]
            always = (
                "its command is `true`"
                if words and words[-1].strip() in ("true", "/bin/true", ":", "exit 0")
                else ""
            )
            found.append(facts.Check(Kind.HTTP, says="exec", always=always))
        else:
            found.append(facts.Check(Kind.HTTP if "grpc" in probe else Kind.TCP))
    order = (Kind.HTTP, Kind.TLS, Kind.TCP)
    return min(
        found, key=lambda each: (bool(each.always), order.index(each.kind)), default=facts.Check(Kind.NONE)
    )
