"""Replicas in containers of real Podman, and pods by a recording of documented form that a stand-in for kubectl prints."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_deploygate.checks.application import judge, probe
from pytest_deploygate.checks.application.section import Application
from pytest_deploygate.lab.programs import tool
from pytest_deploygate.lab.services import containers as lab_containers
from pytest_deploygate.model import Judgement, Verdict

SHARED = ["--network=host", "--pid=host", "--ipc=host", "--uts=host"]
LIMITS = ["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"]
DIGEST, OTHER = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
LABELS = {"app": "orders"}


@pytest.fixture(scope="module")
def podman() -> Iterator[list[str]]:
    """Podman with everything of its own in a folder: images of two versions, `good1`, `good2`, `old`, and `loop`, which ends."""
    if os.getuid() or not all(map(tool, ("podman", "busybox", "runc"))) or not lab_containers._works():
        pytest.skip("podman runs no container here: it needs root, podman, runc and busybox")
    folder = Path(tempfile.mkdtemp(prefix="dgp-"))  # Podman takes no long path
    base = lab_containers.podman(folder)
    sleeps, ends = ["/bin/sleep", "200"], ["/bin/sh", "-c", "sleep 0.3; exit 7"]
    replicas = {"good1": ("2", sleeps), "good2": ("2", sleeps), "old": ("1", sleeps), "loop": ("2", ends)}
    try:
        for version in ("1", "2"):
            lab_containers._pack(folder / "a.tar", tool("busybox") or "", version)
            imported = [*base, "import", "--quiet", str(folder / "a.tar"), f"localhost/app:{version}"]
            subprocess.run(imported, check=True)
        for name, (version, command) in replicas.items():
            run = [*base, "run", "--detach", f"--name={name}", "--restart=on-failure:60", *SHARED, *LIMITS]
            subprocess.run([*run, f"localhost/app:{version}", *command], check=True)
        yield base
    finally:
        subprocess.run([*base, "rm", "--force", "--time=0", *replicas], check=False, capture_output=True)
        for _ in range(50):  # a container that ends just now is still being cleaned up by another process
            shutil.rmtree(folder, ignore_errors=True)
            if not folder.exists():
                break
            time.sleep(0.1)


def image(podman: list[str]) -> str:
    words = [*podman, "image", "inspect", "--format={{.Digest}}", "localhost/app:2"]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def judged(podman: list[str], *names: str, **keys: Any) -> Judgement:
    replicas = [
        {
            "name": name,
            "hosts": "here",
            "container": name,
            "program": shlex.join(podman),
            "image": image(podman),
        }
        for name in names
    ]
    services = [{"name": "app", "replicas": replicas, **keys}]
    wanted = Application.model_validate(
        {"services": services, "reads": 2, "every": "700ms", "steady": "100ms"}
    )
    return judge.judge_replicas(probe.replicas(wanted, None), wanted)


def test_containers_of_the_image(podman):
    assert judged(podman, "good1", "good2").verdict is Verdict.PASS
    assert "2 replicas run what is named, expected 3" in judged(podman, "good1", "good2", expected=3).reason


def test_a_container_of_the_image_before(podman):
    found = judged(podman, "good1", "old")
    assert found.verdict is Verdict.FAIL
    assert "app: old: container old runs the image sha256:" in found.reason


def test_a_container_that_restarts_again_and_again(podman):
    found = judged(podman, "good1", "loop")
    assert found.verdict is Verdict.FAIL
    assert "loop (container loop): it " in found.reason


def test_a_container_that_is_not_there(podman):
    found = judged(podman, "good1", "gone")
    assert found.verdict is Verdict.FAIL
    assert "there is no such container" in found.reason


def pod(number: int, digest: str = DIGEST, restarts: int = 0, **state: Any) -> dict[str, Any]:
    container = {
        "name": "app",
        "restartCount": restarts,
        "imageID": f"docker-pullable://registry.example.com/orders@{digest}",
        "state": state or {"running": {"startedAt": "2026-01-29T11:00:00Z"}},
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


def deployment(replicas: int = 2) -> dict[str, Any]:
    numbers = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), replicas)
    template = {
        "metadata": {"labels": LABELS},
        "spec": {"containers": [{"name": "app", "readinessProbe": {}}]},
    }
    return {
        "kind": "Deployment",
        "metadata": {"name": "orders", "generation": 4, "uid": "one"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": LABELS}, "template": template},
        "status": {"observedGeneration": 4, **numbers},
    }


def of_cluster(folder: Path, *objects: object, code: int = 0) -> tuple[Judgement, Judgement]:
    (folder / "list").write_text(json.dumps({"kind": "List", "items": list(objects)}))
    program = folder / "kubectl"
    program.write_text(f'#!/bin/sh\n[ "$1" = get ] && [ "$6" = json ] && cat {folder}/list\nexit {code}\n')
    program.chmod(0o755)
    workload = {"name": "orders", "workload": "deployment/orders", "namespace": "shop", "image": DIGEST}
    wanted = Application.model_validate(
        {
            "services": [{"name": "orders", "replicas": [workload], "expected": 2}],
            "kubernetes": {"command": str(program)},
            "every": "10ms",
        }
    )
    return (
        judge.judge_replicas(probe.replicas(wanted, None), wanted),
        judge.judge_readiness(probe.readiness(wanted, None), wanted),
    )


def test_pods_of_a_deployment(tmp_path):
    replicas, ready = of_cluster(tmp_path, deployment(), pod(1), pod(2))
    assert (replicas.verdict, ready.verdict) == (Verdict.PASS, Verdict.PASS)


def test_a_deployment_that_was_scaled_down_is_ready_and_too_small(tmp_path):
    replicas, ready = of_cluster(tmp_path, deployment(1), pod(1))
    assert (replicas.verdict, ready.verdict) == (Verdict.FAIL, Verdict.PASS)
    assert "1 replica runs what is named, expected 2" in replicas.reason


def test_a_pod_of_the_image_before(tmp_path):
    replicas, _ = of_cluster(tmp_path, deployment(), pod(1), pod(2, OTHER))
    assert replicas.verdict is Verdict.FAIL
    assert "in 1 of 2 pods" in replicas.reason


def test_a_pod_in_a_crash_loop(tmp_path):
    loop = pod(2, restarts=9, waiting={"reason": "CrashLoopBackOff"})
    replicas, ready = of_cluster(tmp_path, deployment(), pod(1), loop)
    assert (replicas.verdict, ready.verdict) == (Verdict.FAIL, Verdict.FAIL)
    assert "CrashLoopBackOff" in replicas.reason


def test_a_cluster_that_does_not_tell(tmp_path):
    verdicts = {each.verdict for each in of_cluster(tmp_path, deployment(), pod(1), pod(2), code=1)}
    assert verdicts == {Verdict.INCONCLUSIVE}
