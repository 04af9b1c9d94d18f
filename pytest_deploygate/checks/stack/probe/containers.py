"""Containers, as Docker and Podman describe them: by `container inspect` on a host, or by their API.

Podman speaks Docker's API and has the same JSON, but for the prefix of ids and its own `ImageDigest`. An image's id is the
digest of its configuration, a RepoDigest that of its manifest; both name the same image.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import requests

from pytest_deploygate.checks.stack.facts import Seen, State
from pytest_deploygate.checks.stack.section import ContainerApi
from pytest_deploygate.clients.http import sending
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.redaction import redact

_ABSENT = re.compile(r"no such (container|object)|no container with (name|ID)", re.IGNORECASE)
_SAID = "said "
#: Of a health check. Podman without systemd leaves it at `starting` until somebody runs `podman healthcheck run`.
_HEALTH = {"healthy": State.UP, "starting": State.STARTING, "unhealthy": State.DOWN}


@dataclass(frozen=True)
class Inspected:
    """What was told of containers by name. `why` says why one is missing, `absent` are names that do not exist."""

    containers: Mapping[str, Mapping[str, Any]]
    images: Mapping[str, Sequence[str]]
    why: str = ""
    absent: frozenset[str] = frozenset()


def command(program: str, names: Iterable[str], *, images: bool) -> str:
    """Return the command that describes containers, and their images if asked for."""
    words = shlex.join(names)
    found = (
        f"{program} container inspect {words} || {{ echo; echo {_SAID}"
        f'"$({program} container inspect {words} 2>&1 >/dev/null | tr "\\n" " " | head -c 600)"; }}'
    )
    if images:
        found += (
            f"; I=$({program} container inspect --format '{{{{.Image}}}}' {words}); "
            f'[ -z "$I" ] || {{ echo; echo images; {program} image inspect $I; }}'
        )
    return found


def read(text: str | None, names: Iterable[str]) -> Inspected:
    """Read what the command printed."""
    told, _, images = (text or "").partition("\nimages\n")
    array, _, said = told.partition(f"\n{_SAID}")
    array = array if array.lstrip().startswith("[") else ""
    said = said or (told.partition(_SAID)[2] if told.startswith(_SAID) else "")
    try:
        found = {str(each["Name"]).lstrip("/"): each for each in json.loads(array or "[]")}
        known = _digests(json.loads(images or "[]"))
    except (ValueError, KeyError, TypeError, AttributeError):
        return Inspected({}, {}, "its answer is no JSON of `container inspect`")
    missing = [name for name in names if name not in found]
    words = redact(" ".join(said.split()))
    absent = frozenset(missing) if _ABSENT.search(words) else frozenset[str]()
    return Inspected(found, known, words or "it printed nothing", absent)


def asked(api: ContainerApi, names: Iterable[str], timeout_s: float, *, images: bool) -> Inspected:
    """Ask an API."""
    found: dict[str, Mapping[str, Any]] = {}
    pictures: list[Mapping[str, Any]] = []
    absent: set[str] = set()
    why = ""
    for name in names:
        try:
            answer = sending.get(
                api, f"{api.url.rstrip('/')}/containers/{name}/json", timeout_s, allow_redirects=False
            )
            told = answer.json() if answer.status_code in (200, 404) else None
            if answer.status_code == 404 and isinstance(told, dict) and "message" in told:
                absent.add(name)
            elif answer.status_code == 200 and isinstance(told, dict) and "State" in told:
                found[name] = told
                if images:
                    address = f"{api.url.rstrip('/')}/images/{told.get('Image', '')}/json"
                    pictures.append(sending.get(api, address, timeout_s, allow_redirects=False).json())
            else:
                why = f"{api.url} answers HTTP {answer.status_code} and not as Docker's API does"
        except ValueError:
            why = f"{api.url} does not answer in JSON, as Docker's API does"
        except (requests.RequestException, OSError) as error:
            why = f"{api.url}: {sending.why(error)}"
    return Inspected(found, _digests(pictures), why, frozenset(absent))


def _digests(images: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the digests of images by id."""
    found: dict[str, list[str]] = {}
    for image in images:
        if isinstance(image, dict) and image.get("Id"):
            repos = [str(each).rpartition("@")[2] for each in image.get("RepoDigests") or []]
            found[bare(str(image["Id"]))] = [*repos, *filter(None, [str(image.get("Digest") or "")])]
    return found


def bare(identifier: str) -> str:
    """Return an id without the name of its hash."""
    return identifier.removeprefix("sha256:")


def images_of(name: str, told: Inspected) -> tuple[str, ...] | None:
    """Return the digests that a container's image is known by; None if it is not told."""
    container = told.containers.get(name)
    image = str((container or {}).get("Image") or "")
    if container is None or not image:
        return None
    own = [f"sha256:{bare(image)}", str(container.get("ImageDigest") or "")]
    return tuple(dict.fromkeys(filter(None, [*own, *told.images.get(bare(image), ())])))


def seen(name: str, told: Inspected, now: datetime) -> Seen:
    """Return what one read saw of a container. `now` is our clock: that of a host is hardly another one."""
    container = told.containers.get(name)
    if container is None:
        if name in told.absent:
            return Seen(State.DOWN, "there is no such container")
        return Seen(State.UNKNOWN, f"it cannot be inspected: {told.why}")
    state = container.get("State")
    if not isinstance(state, dict):
        return Seen(State.UNKNOWN, "its state is not told")
    status, health = str(state.get("Status", "")), str((state.get("Health") or {}).get("Status") or "")
    restarts = container.get("RestartCount")
    said = status + (f", {health}" if health not in ("", "none") else "")
    if state.get("OOMKilled"):
        said += ", killed for want of memory"
    if status == "restarting" or state.get("Restarting"):
        kind = State.STARTING
    elif status != "running" or state.get("Paused"):
        kind = State.DOWN if status else State.UNKNOWN
        said += f", exit code {state.get('ExitCode')}" if status in ("exited", "stopped") else ""
    else:
        kind = _HEALTH.get(health, State.UP)
    started = str(state.get("StartedAt") or "")
    return Seen(
        kind,
        said or "unknown",
        f"{container.get('Id', '')}@{started}",
        restarts if isinstance(restarts, int) else None,
        _since(started, now) if kind is State.UP else None,
    )


def _since(started: str, now: datetime) -> float | None:
    """Read a time of RFC 3339, which Docker writes with nine digits of a second."""
    try:
        at = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", started))
    except ValueError:
        return None
    return (now - (at if at.tzinfo else at.replace(tzinfo=UTC))).total_seconds()
