"""A Swarm service or a Compose project's services back on the old image. Written from Docker's reference, not yet run for real.

Both name the image, so doing them twice does no harm (`docker service rollback` would toggle).
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from pytest_deploygate.checks.way_back.section.rollback_actions import Docker
from pytest_deploygate.clients.host import commands
from pytest_deploygate.clients.host.commands import Ran
from pytest_deploygate.rollback.verification import Verified

_READ_S = 30.0


def plan(wanted: Docker, host: str) -> Verified:
    """Inspect the service as it is now, or what the Compose file resolves to with the old image."""
    if wanted.service:
        now = _run(_inspect(wanted.service), host)
        return Verified(
            not now.problem, now.problem or f"{wanted.service}: {now.said} becomes {wanted.image}"
        )
    images = _run(_compose(wanted, "config", "--images", *wanted.services), host)
    if images.problem:
        return Verified(False, f"`{images.command}` {images.problem}")
    good = wanted.image in images.said.split()
    return Verified(
        good, f"{', '.join(wanted.services)}: {images.said}" + ("" if good else f", not {wanted.image}")
    )


def deploy(wanted: Docker, host: str, within_s: float, mark: int | None) -> str:
    """Start the services with the old image and wait for them. Return what went wrong."""
    if wanted.service:
        words = ["docker", "service", "update", "--detach=false", f"--image={wanted.image}", wanted.service]
        command = shlex.join(words)
    else:
        command = _compose(wanted, "up", "--detach", "--wait", "--no-deps", *wanted.services)
    ran = commands.run(command, host=host, within_s=within_s, mark=mark)
    return f"`{ran.command}` {ran.problem}" if ran.problem else ""


def verify(wanted: Docker, host: str) -> Verified:
    """Check which image runs, and whether all tasks or containers run it."""
    return _swarm(wanted, wanted.service, host) if wanted.service else _project(wanted, host)


def _swarm(wanted: Docker, service: str, host: str) -> Verified:
    spec = _run(_inspect(service), host)
    if spec.problem:
        return Verified(False, f"`{spec.command}` {spec.problem}")
    # The registry's digest follows the name: image:tag@sha256:…
    if spec.said.partition("@")[0] != wanted.image:
        return Verified(False, f"{service} has the image {spec.said or 'none'}, not {wanted.image}")
    form = "{{.Image}} {{.CurrentState}}"
    tasks = _run(
        shlex.join(
            ["docker", "service", "ps", "--filter=desired-state=running", f"--format={form};", service]
        ),
        host,
    )
    lines = [line.split(maxsplit=1) for line in tasks.said.split(";") if line.strip()]
    bad = [
        " ".join(line)
        for line in lines
        if line[0].partition("@")[0] != wanted.image or not line[-1].startswith("Running")
    ]
    if tasks.problem or bad or not lines:
        return Verified(False, f"{service}: {tasks.problem or '; '.join(bad) or 'no running task'}")
    return Verified(True, f"{service}: {len(lines)} tasks run {wanted.image}")


def _project(wanted: Docker, host: str) -> Verified:
    listed = _run(_compose(wanted, "ps", "--format=json", *wanted.services), host)
    if listed.problem:
        return Verified(False, f"`{listed.command}` {listed.problem}")
    found: dict[str, list[Mapping[str, Any]]] = {}
    for one in _containers(listed.said):
        found.setdefault(str(one.get("Service")), []).append(one)
    bad = [f"{name} is not running" for name in wanted.services if name not in found]
    for name, containers in found.items():
        for one in containers:
            state = str(one.get("Health") or one.get("State"))
            if one.get("Image") != wanted.image or state not in ("healthy", "running"):
                bad.append(f"{name} is {one.get('Image')}, {state}")
    return Verified(not bad, "; ".join(bad) or f"{', '.join(wanted.services)} run {wanted.image}")


def _containers(said: str) -> list[Mapping[str, Any]]:
    """Read `docker compose ps --format json`: an array, or since 2.21 one object per line."""
    decoder, found, rest = json.JSONDecoder(), [], said.strip()
    try:
        while rest:
            one, end = decoder.raw_decode(rest)
            found += one if isinstance(one, list) else [one]
            rest = rest[end:].strip()
    except ValueError:
        return []
    return [one for one in found if isinstance(one, dict)]


def _inspect(service: str) -> str:
    form = "{{.Spec.TaskTemplate.ContainerSpec.Image}}"
    return shlex.join(["docker", "service", "inspect", f"--format={form}", service])


def _compose(wanted: Docker, *words: str) -> str:
    setting = f"{wanted.variable}={shlex.quote(wanted.image)}"
    return f"{setting} {shlex.join(['docker', 'compose', f'--file={wanted.compose}', *words])}"


def _run(command: str, host: str) -> Ran:
    return commands.run(command, host=host, within_s=_READ_S)
