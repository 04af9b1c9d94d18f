"""Undoing a Deployment's rollout (`kubectl rollout undo`). Written from kubectl's reference, not yet run on a real cluster.

Undoing twice would bring the new version back. So the current image is read first, and nothing is undone if it is
already the old one.
"""

from __future__ import annotations

import shlex

from pytest_deploygate.checks.way_back.section.rollback_actions import Kubernetes
from pytest_deploygate.clients.host import commands
from pytest_deploygate.clients.host.commands import Ran
from pytest_deploygate.rollback.verification import Verified

#: What `kubectl rollout status` prints once it is complete; its exit code with --watch=false is 0 in any case.
_OVER = "successfully rolled out"
_READ_S = 30.0


def plan(wanted: Kubernetes, host: str) -> Verified:
    """Have the API server try the undo as a dry run."""
    image = _image(wanted, host)
    if image.problem:
        return Verified(False, f"`{image.command}` {image.problem}")
    if image.said == wanted.image:
        return Verified(True, f"{wanted.deployment} already has {wanted.image}: nothing to undo")
    tried = _run(_undo(wanted, dry=True), host)
    return Verified(
        not tried.problem, tried.problem or f"undo {image.said}, back to {wanted.image}: {tried.said}"
    )


def deploy(wanted: Kubernetes, host: str, within_s: float, mark: int | None) -> str:
    """Undo the rollout unless the old image is already set. Return what went wrong."""
    image = _image(wanted, host)
    if image.problem:
        return f"`{image.command}` {image.problem}"
    if image.said == wanted.image:
        return ""
    ran = commands.run(_undo(wanted), host=host, within_s=within_s, mark=mark)
    return f"`{ran.command}` {ran.problem}" if ran.problem else ""


def verify(wanted: Kubernetes, host: str) -> Verified:
    """Check the image, and whether its rollout is complete."""
    image = _image(wanted, host)
    if image.problem:
        return Verified(False, f"`{image.command}` {image.problem}")
    if image.said != wanted.image:
        return Verified(
            False, f"{wanted.deployment} has the image {image.said or 'none'}, not {wanted.image}"
        )
    status = _run(
        _kubectl(wanted, "rollout", "status", f"deployment/{wanted.deployment}", "--watch=false"), host
    )
    good = not status.problem and _OVER in status.said
    return Verified(good, f"{wanted.deployment} {wanted.image}: {status.problem or status.said}")


def _image(wanted: Kubernetes, host: str) -> Ran:
    which = f'?(@.name=="{wanted.container}")' if wanted.container else "0"
    path = f"jsonpath={{.spec.template.spec.containers[{which}].image}}"
    return _run(_kubectl(wanted, "get", f"deployment/{wanted.deployment}", f"--output={path}"), host)


def _undo(wanted: Kubernetes, *, dry: bool = False) -> str:
    more = [f"--to-revision={wanted.revision}"] if wanted.revision else []
    more += ["--dry-run=server"] if dry else []
    return _kubectl(wanted, "rollout", "undo", f"deployment/{wanted.deployment}", *more)


def _kubectl(wanted: Kubernetes, *words: str) -> str:
    context = [f"--context={wanted.context}"] if wanted.context else []
    return shlex.join(["kubectl", *context, f"--namespace={wanted.namespace}", *words])


def _run(command: str, host: str) -> Ran:
    return commands.run(command, host=host, within_s=_READ_S)
