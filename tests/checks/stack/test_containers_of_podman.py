"""Containers of real Podman, by its program and by Docker's API, and by recordings of what Docker's daemon prints."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pytest_deploygate.checks.hosts.section import Hosts
from pytest_deploygate.checks.stack import judge, probe
from pytest_deploygate.checks.stack.facts import State
from pytest_deploygate.checks.stack.probe import containers
from pytest_deploygate.checks.stack.probe.containers import Inspected
from pytest_deploygate.checks.stack.section import Stack
from pytest_deploygate.clients import reach
from pytest_deploygate.lab.programs import tool
from pytest_deploygate.lab.services import containers as lab_containers
from pytest_deploygate.model import Verdict

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
SHARED = ["--network=host", "--pid=host", "--ipc=host", "--uts=host"]
LIMITS = ["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"]


@pytest.fixture(scope="module")
def podman() -> Iterator[list[str]]:
    """Podman with everything of its own in a folder, an image, a container that runs and one that restarts."""
    if os.getuid() or not all(map(tool, ("podman", "busybox", "runc"))) or not lab_containers._works():
        pytest.skip("podman runs no container here: it needs root, podman, runc and busybox")
    folder = Path(tempfile.mkdtemp(prefix="dgp-"))  # Podman takes no long path
    base = lab_containers.podman(folder)
    lab_containers._pack(folder / "a.tar", tool("busybox") or "", "1")
    subprocess.run([*base, "import", "--quiet", str(folder / "a.tar"), "localhost/app:1"], check=True)
    run = [*base, "run", "--detach", *SHARED, *LIMITS]
    try:
        subprocess.run([*run, "--name=app", "localhost/app:1", "/bin/sleep", "120"], check=True)
        loop = [
            "--name=loop",
            "--restart=on-failure:60",
            "localhost/app:1",
            "/bin/sh",
            "-c",
            "sleep 0.3; exit 7",
        ]
        subprocess.run([*run, *loop], check=True)
        yield base
    finally:
        subprocess.run([*base, "rm", "--force", "--time=0", "app", "loop"], check=False, capture_output=True)
        for _ in range(50):  # a container that ends just now is still being cleaned up by another process
            shutil.rmtree(folder, ignore_errors=True)
            if not folder.exists():
                break
            time.sleep(0.1)


@pytest.fixture(scope="module")
def api(podman: list[str]) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen([*podman, "system", "service", "--time=0", f"tcp:127.0.0.1:{port}"]) as process:
        until = time.monotonic() + 15
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
        process.kill()


@pytest.fixture(autouse=True)
def _forget() -> None:
    reach.begin()


def digest(podman: list[str]) -> str:
    words = [*podman, "image", "inspect", "--format={{.Digest}}", "localhost/app:1"]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def stack(name: str, image: str | None = None, **how: object) -> Stack:
    component = {"name": "app", "container": name, **how} | ({"image": image} if image else {})
    return Stack.model_validate({"components": [component], "every": "400ms", "reads": 3, "steady": "0s"})


def on_host(name: str, podman: list[str], image: str | None = None) -> Stack:
    return stack(name, image, hosts="web1", program=" ".join(podman))


HOSTS = Hosts.model_validate({"servers": [{"name": "web1", "connection": "local://"}]})


def test_by_its_program(podman):
    wanted = on_host("app", podman, digest(podman))
    assert judge.judge_deployed(probe.deployed(wanted, HOSTS), wanted).verdict is Verdict.PASS
    found = judge.judge_health(probe.health(wanted, HOSTS), wanted)
    assert found.verdict is Verdict.PASS, found.reason
    other = on_host("app", podman, f"sha256:{'0' * 64}")
    assert judge.judge_deployed(probe.deployed(other, HOSTS), other).verdict is Verdict.FAIL


def test_by_dockers_api(podman, api):
    wanted = stack("app", digest(podman), api={"url": api})
    told = probe.deployed(wanted, None)
    assert judge.judge_deployed(told, wanted).verdict is Verdict.PASS, told
    assert judge.judge_health(probe.health(wanted, None), wanted).verdict is Verdict.PASS


def test_a_restart_loop_is_not_up(podman, api):
    for wanted in (on_host("loop", podman), stack("loop", api={"url": api})):
        found = judge.judge_health(probe.health(wanted, HOSTS), wanted)
        assert found.verdict is Verdict.FAIL, found.reason


def test_no_such_container(podman, api):
    for wanted in (on_host("none", podman), stack("none", api={"url": api})):
        found = judge.judge_health(probe.health(wanted, HOSTS), wanted)
        assert found.verdict is Verdict.FAIL
        assert "there is no such container" in found.reason


def test_a_program_that_is_not_there_and_an_api_that_is_none():
    for wanted in (on_host("app", ["dg-no-docker"]), stack("app", api={"url": "http://127.0.0.1:1"})):
        found = judge.judge_health(probe.health(wanted, HOSTS), wanted)
        assert found.verdict is Verdict.INCONCLUSIVE, found.reason


def docker(**state: object) -> Inspected:
    """What Docker's daemon answers, by its documentation."""
    told = {
        "Id": "c0ffee",
        "Name": "/app",
        "Image": f"sha256:{'a' * 64}",
        "RestartCount": state.pop("RestartCount", 0),
        "State": {"Status": "running", "StartedAt": "2026-11-29T11:59:00.123456789Z", **state},
    }
    return containers.read(json.dumps([told]), ["app"])


@pytest.mark.parametrize(
    ("state", "kind", "says"),
    [
        ({}, State.UP, "running"),
        ({"Health": {"Status": "healthy"}}, State.UP, "running, healthy"),
        ({"Health": {"Status": "starting"}}, State.STARTING, "starting"),
        ({"Health": {"Status": "unhealthy"}}, State.DOWN, "unhealthy"),
        ({"Status": "restarting", "Restarting": True}, State.STARTING, "restarting"),
        ({"Status": "exited", "ExitCode": 137, "OOMKilled": True}, State.DOWN, "killed for want of memory"),
        ({"Status": "paused", "Paused": True}, State.DOWN, "paused"),
        ({"Status": "created"}, State.DOWN, "created"),
        ({"Status": ""}, State.UNKNOWN, "unknown"),
    ],
)
def test_states_of_dockers_daemon_by_documentation(state, kind, says):
    seen = containers.seen("app", docker(**state), NOW)
    assert seen.state is kind
    assert says in seen.said
    if kind is State.UP:
        assert seen.since_s == pytest.approx(59.88, abs=0.01)


def test_the_digests_of_an_image_by_documentation():
    image = {"Id": f"sha256:{'a' * 64}", "RepoDigests": [f"registry.example.com/app@sha256:{'d' * 64}"]}
    told = {"Id": "c0ffee", "Name": "/app", "Image": f"sha256:{'a' * 64}", "State": {}}
    text = f"{json.dumps([told])}\n\nimages\n{json.dumps([image])}"
    assert containers.images_of("app", containers.read(text, ["app"])) == (
        f"sha256:{'a' * 64}",
        f"sha256:{'d' * 64}",
    )


def test_what_is_no_answer():
    for text in ("", "said permission denied", "[1]", "<html>"):
        seen = containers.seen("app", containers.read(text, ["app"]), NOW)
        assert seen.state is State.UNKNOWN
