"""Kubernetes by recordings of documented form: no cluster can be had here. A stand-in prints what kubectl would."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pytest_deploygate.checks.stack import judge, probe
from pytest_deploygate.checks.stack.facts import State
from pytest_deploygate.checks.stack.probe import kubernetes
from pytest_deploygate.checks.stack.probe.kubernetes import Cluster
from pytest_deploygate.checks.stack.section import Kubernetes, Stack
from pytest_deploygate.model import Verdict

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
DIGEST, OTHER = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
LABELS = {"app": "orders"}
TEMPLATE = {
    "metadata": {"labels": LABELS},
    "spec": {"containers": [{"name": "app", "readinessProbe": {"httpGet": {}}}]},
}


def pod(number: int, digest: str = DIGEST, restarts: int = 0, **state: Any) -> dict[str, Any]:
    container = {
        "name": "app",
        "restartCount": restarts,
        "imageID": f"docker-pullable://registry.example.com/orders@{digest}",
        "state": state or {"running": {"startedAt": "2026-11-29T11:00:00Z"}},
    }
    return {
        "kind": "Pod",
        "metadata": {"name": f"orders-{number}", "uid": f"uid-{number}", "labels": LABELS},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [container],
        },
    }


def workload(kind: str = "Deployment", **status: Any) -> dict[str, Any]:
    numbers = {"replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}
    return {
        "kind": kind,
        "metadata": {"name": "orders", "generation": 4},
        "spec": {"replicas": 2, "selector": {"matchLabels": LABELS}, "template": copy.deepcopy(TEMPLATE)},
        "status": {"observedGeneration": 4, **numbers, **status},
    }


def seen(*objects: dict[str, Any], name: str = "deployment/orders"):
    return kubernetes.seen(name, Cluster(objects), NOW)


def test_rolled_out():
    now = seen(workload(), pod(1), pod(2, restarts=3))
    assert (now.state, now.restarts, now.since_s) == (State.UP, 3, 3600.0)
    younger = seen(workload(), pod(1), pod(2, running={"startedAt": "2026-11-29T11:59:55Z"}))
    assert (younger.identity, younger.since_s) == (now.identity, 5.0)


@pytest.mark.parametrize(
    ("status", "state", "says"),
    [
        ({"observedGeneration": 3}, State.STARTING, "has not seen the newest version"),
        ({"readyReplicas": 1, "availableReplicas": 1}, State.DOWN, "of 2: 2 updated, 1 ready, 1 available"),
        ({"updatedReplicas": 1}, State.DOWN, "1 updated"),
        ({"replicas": 3}, State.STARTING, "1 old ones are left"),
        (
            {
                "readyReplicas": 1,
                "conditions": [{"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"}],
            },
            State.STARTING,
            "it rolls out",
        ),
        (
            {
                "readyReplicas": 1,
                "conditions": [
                    {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
                ],
            },
            State.DOWN,
            "1 ready",
        ),
    ],
)
def test_not_rolled_out(status, state, says):
    now = seen(workload(**status), pod(1), pod(2))
    assert now.state is state
    assert says in now.said


def test_a_crash_loop_is_down_whatever_the_controller_says():
    loop = pod(2, restarts=9, waiting={"reason": "CrashLoopBackOff"})
    now = seen(workload(), pod(1), loop)
    assert now.state is State.DOWN
    assert "orders-2: app is in CrashLoopBackOff" in now.said


def test_a_container_that_comes_first_and_fails_again_and_again():
    waits = pod(2, waiting={"reason": "PodInitializing"})
    first = {"name": "migrate", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    waits["status"]["initContainerStatuses"] = [first]
    now = seen(workload(readyReplicas=1, availableReplicas=1), pod(1), waits)
    assert now.state is State.DOWN
    assert "orders-2: migrate is in CrashLoopBackOff" in now.said


def test_evicted_pods_that_are_still_listed_are_no_part_of_it():
    evicted = pod(3, OTHER)
    evicted["status"] = {"phase": "Failed", "reason": "Evicted"}
    cluster = Cluster((workload(), pod(1), pod(2), evicted))
    assert kubernetes.seen("deployment/orders", cluster, NOW).state is State.UP
    assert kubernetes.images_of("deployment/orders", cluster) == ((DIGEST,), (DIGEST,))


def test_nothing_wanted_none_there_and_paused():
    none = workload(replicas=0, updatedReplicas=0, readyReplicas=0, availableReplicas=0)
    none["spec"]["replicas"] = 0
    assert seen(none).state is State.DOWN
    assert seen(workload()).state is State.DOWN
    paused = workload()
    paused["spec"]["paused"] = True
    assert seen(paused, pod(1)).state is State.DOWN
    assert "no such workload" in seen(pod(1)).said


def test_other_kinds():
    daemons = workload(
        "DaemonSet", desiredNumberScheduled=2, updatedNumberScheduled=2, numberReady=1, numberAvailable=2
    )
    assert seen(daemons, pod(1), name="daemonset/orders").state is State.DOWN
    nowhere = workload("DaemonSet", desiredNumberScheduled=0)
    assert seen(nowhere, name="daemonset/orders").state is State.DOWN
    sets = workload("StatefulSet", currentRevision="a", updateRevision="b", updatedReplicas=1)
    assert seen(sets, pod(1), pod(2), name="statefulset/orders").state is State.STARTING
    whole = workload("StatefulSet", currentRevision="b", updateRevision="b")
    assert seen(whole, pod(1), pod(2), name="statefulset/orders").state is State.UP
    job = {"kind": "Job", "metadata": {"name": "load"}, "spec": {"completions": 1}, "status": {"failed": 2}}
    assert seen(job, name="job/load").state is State.STARTING
    failed = job | {"status": {"failed": 7, "conditions": [{"type": "Failed", "status": "True"}]}}
    assert seen(failed, name="job/load").state is State.DOWN
    done = job | {"status": {"succeeded": 1, "conditions": [{"type": "Complete", "status": "True"}]}}
    assert seen(done, name="job/load").state is State.UP
    assert seen(pod(1), name="pod/orders-1").state is State.UP


def test_images_of_all_pods():
    cluster = Cluster((workload(), pod(1), pod(2, OTHER)))
    assert kubernetes.images_of("deployment/orders", cluster) == ((DIGEST,), (OTHER,))
    untold = pod(2)
    untold["status"]["containerStatuses"][0]["imageID"] = ""
    assert kubernetes.images_of("deployment/orders", Cluster((workload(), pod(1), untold))) is None
    assert kubernetes.images_of("deployment/orders", Cluster((workload(),))) is None


def test_a_pod_that_is_being_deleted_does_not_count():
    old = pod(2, OTHER)
    old["metadata"]["deletionTimestamp"] = "2026-11-29T11:59:00Z"
    cluster = Cluster((workload(), pod(1), old))
    assert kubernetes.images_of("deployment/orders", cluster) == ((DIGEST,),)


def test_what_weakens_a_workload_is_a_note():
    bare = workload()
    del bare["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]
    notes = list(kubernetes.notes("deployment/orders", Cluster((bare, pod(1))), Cluster(), Cluster()))
    assert "no readiness probe" in notes[0]
    assert "no PodDisruptionBudget" in notes[1]
    budget = {
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "orders"},
        "spec": {"selector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["orders"]}]}},
        "status": {"disruptionsAllowed": 0},
    }
    event = {
        "kind": "Event",
        "type": "Warning",
        "reason": "BackOff",
        "count": 12,
        "message": "Back-off restarting failed container",
        "involvedObject": {"kind": "Pod", "name": "orders-1", "uid": "uid-1"},
    }
    other = event | {"involvedObject": {"name": "cart-1", "uid": "uid-9"}}
    cluster = Cluster((workload(), pod(1)))
    warning, note = kubernetes.notes(
        "deployment/orders", cluster, Cluster((budget,)), Cluster((other, event))
    )
    assert warning == "warning BackOff about orders-1, 12 times: Back-off restarting failed container"
    assert "allows no disruption now" in note


def kubectl(folder: Path, *objects: object, code: int = 0) -> str:
    """Write a stand-in that prints a list, or what it is given."""
    (folder / "list").write_text(json.dumps({"kind": "List", "items": list(objects)}))
    program = folder / "kubectl"
    program.write_text(f'#!/bin/sh\n[ "$1" = get ] && [ "$6" = json ] && cat {folder}/list\nexit {code}\n')
    program.chmod(0o755)
    return str(program)


def section(command: str) -> Stack:
    component = {"name": "orders", "workload": "deployment/orders", "namespace": "shop", "image": DIGEST}
    return Stack.model_validate(
        {"components": [component], "kubernetes": {"command": command}, "every": "10ms"}
    )


def test_both_items_with_a_stand_in(tmp_path):
    wanted = section(kubectl(tmp_path, workload(), pod(1), pod(2)))
    assert judge.judge_deployed(probe.deployed(wanted, None), wanted).verdict is Verdict.PASS
    found = judge.judge_health(probe.health(wanted, None), wanted)
    assert found.verdict is Verdict.PASS
    assert "PodDisruptionBudget" in " ".join(found.notes)
    wrong = section(kubectl(tmp_path, workload(), pod(1), pod(2, OTHER)))
    assert "in 1 of 2 pods" in judge.judge_deployed(probe.deployed(wrong, None), wrong).reason


@pytest.mark.parametrize("code", [1, 0])
def test_a_cluster_that_does_not_tell(tmp_path, code):
    command = kubectl(tmp_path, workload(), pod(1), pod(2), code=code)
    if code == 0:
        (tmp_path / "list").write_text("<html>login</html>")
    wanted = section(command)
    assert judge.judge_deployed(probe.deployed(wanted, None), wanted).verdict is Verdict.INCONCLUSIVE
    assert judge.judge_health(probe.health(wanted, None), wanted).verdict is Verdict.INCONCLUSIVE


def test_a_program_that_is_not_there():
    assert kubernetes.ask(Kubernetes(command="dg-no-kubectl"), "shop").why
