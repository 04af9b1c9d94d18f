"""Look for secrets in the ConfigMaps of a Kubernetes cluster, as `kubectl` of this machine reaches it."""

from __future__ import annotations

import base64
import binascii
import json
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_deploygate.checks.secrets.facts import ConfigMaps, Found, Kind, Place
from pytest_deploygate.checks.secrets.probe import seeking
from pytest_deploygate.checks.secrets.section import Kubernetes, Secrets
from pytest_deploygate.redaction import redact

_TIMEOUT_S = 30
_MOST = 300


def config_maps(kubernetes: Kubernetes, secrets: Secrets) -> ConfigMaps:
    """Return what stands in ConfigMaps. Why they could not be read is a value."""
    wanted, _ = seeking.wanted(secrets)
    if not wanted.secrets and not wanted.rules:
        return ConfigMaps(None, problem="the inventory has no secret that can be looked for")
    number = 0
    found: list[Found] = []
    namespaces: list[str | None] = [*kubernetes.namespaces] or [None]
    for namespace in namespaces:
        read = _read(kubernetes, namespace)
        if isinstance(read, str):
            return ConfigMaps(None, tuple(found), read)
        for one in read:
            number += 1
            found += _in_one(one, wanted)
    return ConfigMaps(number, tuple(found))


def _read(kubernetes: Kubernetes, namespace: str | None) -> list[Mapping[str, Any]] | str:
    """Return the ConfigMaps of a namespace, or of all; a text is why they could not be read."""
    command = ["kubectl", "get", "configmaps", "--output=json", f"--request-timeout={_TIMEOUT_S}s"]
    command += [f"--context={kubernetes.context}"] if kubernetes.context else []
    command += [f"--namespace={namespace}"] if namespace else ["--all-namespaces"]
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=_TIMEOUT_S + 10, check=False, stdin=subprocess.DEVNULL
        )
    except FileNotFoundError:
        return "kubectl is not installed on this machine"
    except subprocess.TimeoutExpired:
        return f"kubectl did not end within {_TIMEOUT_S + 10} s"
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split())
        return f"kubectl ended with {done.returncode}: {redact(said)[:_MOST]}"
    try:
        items = json.loads(done.stdout)["items"]
    except (ValueError, KeyError, TypeError):
        return "kubectl printed no list"
    return (
        [item for item in items if isinstance(item, dict)]
        if isinstance(items, list)
        else "kubectl printed no list"
    )


def _in_one(one: Mapping[str, Any], wanted: seeking.Wanted) -> Iterator[Found]:
    metadata = one.get("metadata") or {}
    for key, text in _texts(one):
        place = f"{metadata.get('namespace')}/{metadata.get('name')} key {key}"
        for match in seeking.search(wanted, text, key):
            shown = seeking.without(wanted, place)
            yield Found(match.what, match.ours, Place(Kind.CONFIG_MAP, shown, match.line), match.fingerprint)


def _texts(one: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield keys and contents, with a character for each byte."""
    for key, value in (one.get("data") or {}).items():
        yield str(key), str(value).encode(errors="replace").decode("latin-1")
    for key, value in (one.get("binaryData") or {}).items():
        try:
            yield str(key), base64.b64decode(str(value)).decode("latin-1")
        except (binascii.Error, ValueError):
            continue
