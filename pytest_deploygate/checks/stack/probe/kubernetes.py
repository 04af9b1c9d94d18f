"""Workloads of Kubernetes, as `kubectl get -o json` prints them: rolled out, their pods ready, and the images that these run.

By documentation and recordings of documented form: apps/v1, batch/v1, v1 and policy/v1 of Kubernetes' API.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from pytest_deploygate.checks.stack.facts import Seen, State
from pytest_deploygate.checks.stack.section import Kubernetes
from pytest_deploygate.clients.host import commands
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact, shortened

_KINDS = "deployments,statefulsets,daemonsets,jobs,pods"
#: Why a container waits that will not start by waiting.
_HOPELESS = (
    "CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull", "InvalidImageName", "CreateContainerConfigError",
    "CreateContainerError", "RunContainerError",
)  # fmt: skip
#: Phases of pods that never run again.
_OVER = ("Succeeded", "Failed")
_BUDGET = "PodDisruptionBudget"
_MOST_EVENTS = 3
#: What is asked for once, for notes.
BUDGETS, WARNINGS = "poddisruptionbudgets.policy", "events --field-selector type=Warning"
Object = Mapping[str, Any]


@dataclass(frozen=True)
class Cluster:
    """The objects of a namespace; `why` says why they were not told."""

    objects: tuple[Object, ...] = ()
    why: str = ""


def ask(kubernetes: Kubernetes, namespace: str, kinds: str = _KINDS) -> Cluster:
    """Ask for all workloads and pods of a namespace."""
    given = f"{kubernetes.command} get {kinds} -n {shlex.quote(namespace)} -o json"
    try:
        told = json.loads(commands.printed(given, kubernetes.timeout.total_seconds()))
        items = told["items"]
        if not isinstance(items, list) or not all(isinstance(each, dict) for each in items):
            raise TypeError  # noqa: TRY301
    except CannotTell as error:
        return Cluster(why=str(error))
    except (ValueError, KeyError, TypeError):
        return Cluster(why=f"`{given}` prints no list of objects in JSON")
    return Cluster(tuple(items))


def seen(workload: str, cluster: Cluster, now: datetime) -> Seen:
    """Return what one read saw of a workload."""
    if cluster.why:
        return Seen(State.UNKNOWN, cluster.why)
    found = _find(workload, cluster)
    if found is None:
        return Seen(State.DOWN, "there is no such workload")
    kind, pods = workload.partition("/")[0], _pods(workload, found, cluster)
    if kind != "job" and not pods and kind != "pod":
        state, said = _rolled_out(kind, found)
        return Seen(State.DOWN if state is State.UP else state, f"{said}; it has no pods")
    state, said = _rolled_out(kind, found)
    for pod in pods:
        if hopeless := _hopeless(pod):
            state, said = State.DOWN, f"{said}; {_name(pod)}: {hopeless}"
            break
    return Seen(
        state,
        said,
        # An autoscaler changes the pods of a workload, and that is no restart; how young they are is told below.
        str(_meta(found).get("uid", "")),
        sum(int(each.get("restartCount", 0)) for pod in pods for each in _containers(pod)),
        min((since for pod in pods if (since := _since(pod, now)) is not None), default=None),
    )


def images_of(workload: str, cluster: Cluster) -> tuple[tuple[str, ...], ...] | None:
    """Return the digests of each pod's containers; None where a pod has not told them, or there is no pod."""
    found = _find(workload, cluster)
    pods = _pods(workload, found, cluster) if found else []
    told = []
    for pod in pods:
        own = [str(each.get("imageID", "")).rpartition("@")[2] for each in _containers(pod)]
        if not own or not all(own):
            return None
        told.append(tuple(each.rpartition("//")[2] for each in own))
    return tuple(told) or None


def notes(workload: str, cluster: Cluster, budgets: Cluster, events: Cluster) -> Iterator[str]:
    """Yield what weakens a workload and is no outage: no probe of readiness, no budget of disruptions, warnings."""
    found = _find(workload, cluster)
    if found is None:
        return
    yield from _warnings(workload, found, cluster, events)
    if workload.startswith(("job/", "pod/")):
        return
    template = found.get("spec", {}).get("template", {})
    bare = [
        str(each.get("name"))
        for each in template.get("spec", {}).get("containers", [])
        if not each.get("readinessProbe")
    ]
    if bare:
        yield f"{', '.join(bare)} of {workload} has no readiness probe: ready means only that it was started"
    labels = template.get("metadata", {}).get("labels", {})
    if budgets.why:
        yield f"whether {workload} has a PodDisruptionBudget is not told: {budgets.why}"
    elif not (
        mine := [each for each in budgets.objects if each.get("kind") == _BUDGET and _selects(each, labels)]
    ):
        yield f"{workload} has no PodDisruptionBudget: a drain of nodes may stop all of its pods"
    else:
        for each in mine:
            if each.get("status", {}).get("disruptionsAllowed") == 0:
                yield f"the PodDisruptionBudget {_name(each)} of {workload} allows no disruption now"


def _warnings(workload: str, found: Object, cluster: Cluster, events: Cluster) -> Iterator[str]:
    """Yield the last warnings about a workload and its pods. A cluster keeps events for an hour, unless told otherwise."""
    if events.why:
        yield f"events of {workload} are not told: {events.why}"
    about = {_meta(each).get("uid") for each in (found, *_pods(workload, found, cluster))} - {None}
    mine = [
        each
        for each in events.objects
        if each.get("type") == "Warning" and (each.get("involvedObject") or {}).get("uid") in about
    ]
    for each in mine[-_MOST_EVENTS:]:
        times = int(each.get("count") or (each.get("series") or {}).get("count") or 1)
        name = (each.get("involvedObject") or {}).get("name", "")
        words = shortened(redact(" ".join(str(each.get("message", "")).split())), 120)
        yield f"warning {each.get('reason')} about {name}{f', {times} times' if times > 1 else ''}: {words}"


def _find(workload: str, cluster: Cluster) -> Object | None:
    kind, _, name = workload.partition("/")
    return next(
        (
            each
            for each in cluster.objects
            if str(each.get("kind", "")).lower() == kind and _name(each) == name
        ),
        None,
    )


def _pods(workload: str, found: Object, cluster: Cluster) -> list[Object]:
    """Return the pods of a workload by its selector, without those that are being deleted.

    Nor those that are over: an evicted pod stays in the list for days, without containers, and another one took its place.
    """
    if workload.startswith("pod/"):
        return [found]
    mine = [
        each
        for each in cluster.objects
        if each.get("kind") == "Pod" and _selects(found, _meta(each).get("labels", {}))
    ]
    over = () if workload.startswith("job/") else _OVER
    return [
        each
        for each in mine
        if not _meta(each).get("deletionTimestamp") and each.get("status", {}).get("phase") not in over
    ]


def _selects(found: Object, labels: Mapping[str, str]) -> bool:
    """Tell whether a selector takes these labels. One that we do not understand, or none, takes nothing."""
    selector = found.get("spec", {}).get("selector") or {}
    wanted, rules = selector.get("matchLabels", {}), selector.get("matchExpressions", [])
    if not wanted and not rules:
        return False
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _rule(each, labels) for each in rules
    )


def _rule(rule: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = rule.get("key", ""), rule.get("values", [])
    match rule.get("operator"):
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    return False


def _rolled_out(kind: str, found: Object) -> tuple[State, str]:
    """Tell whether a workload is as it should be. The controller's numbers count once it has seen the newest version."""
    status, spec = found.get("status", {}), found.get("spec", {})
    if kind == "pod":
        ready = _condition(status, "Ready")
        phase = str(status.get("phase", "unknown"))
        kind_of = (
            State.UP if ready and phase == "Running" else State.STARTING if phase == "Pending" else State.DOWN
        )
        return kind_of, f"{phase}, {'' if ready else 'not '}ready"
    if kind == "job":
        return _job(status, spec)
    if int(status.get("observedGeneration", 0)) < int(_meta(found).get("generation", 0)):
        return State.STARTING, "its controller has not seen the newest version yet"
    if kind == "daemonset":
        wanted = int(status.get("desiredNumberScheduled", 0))
        names = ("updatedNumberScheduled", "numberReady", "numberAvailable")
    else:
        wanted = int(spec.get("replicas", 1))
        names = ("updatedReplicas", "readyReplicas", "availableReplicas")
    numbers = [int(status.get(name, 0)) for name in names]
    said = f"of {wanted}: {numbers[0]} updated, {numbers[1]} ready, {numbers[2]} available"
    if spec.get("paused"):
        return State.DOWN, f"{said}; its rollout is paused"
    if wanted == 0:
        return State.DOWN, f"{said}; none is wanted"
    if kind == "statefulset" and "updateRevision" in status:
        if status.get("currentRevision") != status["updateRevision"] and numbers[0] < wanted:
            return State.STARTING, f"{said}; it rolls out"
        numbers[2] = numbers[2] if "availableReplicas" in status else numbers[1]
    if min(numbers) >= wanted:
        old = int(status.get("replicas", wanted)) - wanted
        return (
            (State.STARTING, f"{said}; {old} old ones are left")
            if kind == "deployment" and old > 0
            else (
                State.UP,
                said,
            )
        )
    if _progresses(status):
        return State.STARTING, f"{said}; it rolls out"
    return State.DOWN, said


def _job(status: Mapping[str, Any], spec: Mapping[str, Any]) -> tuple[State, str]:
    done, wanted, failed = (
        int(status.get("succeeded", 0)), int(spec.get("completions") or 1), int(status.get("failed", 0)),
    )  # fmt: skip
    said = f"{done} of {wanted} completed" + (f", {failed} failed" if failed else "")
    if _condition(status, "Failed"):
        return State.DOWN, said
    if _condition(status, "Complete"):
        return State.UP, said
    return (State.DOWN, f"{said}; it is suspended") if spec.get("suspend") else (State.STARTING, said)


def _progresses(status: Mapping[str, Any]) -> bool:
    """Tell whether a deployment still rolls out by its own word: it gives up after its deadline."""
    return any(
        each.get("type") == "Progressing"
        and each.get("status") == "True"
        and each.get("reason") not in ("NewReplicaSetAvailable", "ProgressDeadlineExceeded")
        for each in status.get("conditions", [])
    )


def _condition(status: Mapping[str, Any], kind: str) -> bool:
    return any(
        each.get("type") == kind and each.get("status") == "True" for each in status.get("conditions", [])
    )


def _hopeless(pod: Object) -> str:
    # A container that comes first may be what never gets on.
    for each in (*pod.get("status", {}).get("initContainerStatuses", []), *_containers(pod)):
        waiting = (each.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in _HOPELESS:
            ended = ((each.get("lastState") or {}).get("terminated") or {}).get("reason", "")
            return f"{each.get('name')} is in {waiting['reason']}" + (f" after {ended}" if ended else "")
    return ""


def _containers(pod: Object) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = pod.get("status", {}).get("containerStatuses", [])
    return found


def _since(pod: Object, now: datetime) -> float | None:
    """Return how long the newest container of a pod has been running."""
    started = [
        datetime.fromisoformat(at)
        for each in _containers(pod)
        if (at := ((each.get("state") or {}).get("running") or {}).get("startedAt"))
    ]
    return (now - max(started)).total_seconds() if started else None


def _meta(found: Object) -> Mapping[str, Any]:
    meta: Mapping[str, Any] = found.get("metadata", {})
    return meta


def _name(found: Object) -> str:
    return str(_meta(found).get("name", ""))
