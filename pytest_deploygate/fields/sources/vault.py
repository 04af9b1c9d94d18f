"""`vault:PATH#FIELD`: a field of a secret in HashiCorp Vault or OpenBao, of KV version 1 or 2.

Server, token and the rest are found as by their command lines: VAULT_ADDR, VAULT_TOKEN or the file ~/.vault-token,
VAULT_NAMESPACE, VAULT_CACERT, VAULT_CLIENT_TIMEOUT, each also as BAO_…, which counts first. That a certificate is not checked
(VAULT_SKIP_VERIFY) is not offered. Source: https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_deploygate import __version__
from pytest_deploygate.fields.sources import Absent, Source
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import parse_duration
from pytest_deploygate.problems import nearest
from pytest_deploygate.redaction import Secret, redact

_TIMEOUT_S = 10.0
_MOST_BYTES = 1024**2
#: Several references to one secret ask once, and those to a server that is down wait once.
_RECENT_S = 30.0
_EXAMPLE = "vault:secret/platform/db#password"
_Asked = tuple[str, str, str, str]
_recent: dict[_Asked, tuple[float, _Answer | str]] = {}


@dataclass(frozen=True)
class _Server:
    """The server that a run asks. `ca_file` has the certificates to trust instead of the system's."""

    address: str
    token: str
    namespace: str
    ca_file: str
    timeout_s: float


@dataclass(frozen=True)
class _Answer:
    status: int
    data: Mapping[str, Any]

    @property
    def says(self) -> str:
        """What the server gives as the reason."""
        errors = self.data.get("errors")
        return redact("; ".join(map(str, errors)))[:200] if isinstance(errors, list) else ""


def _secret(name: str, _base: Path) -> str:
    path, mark, field = name.partition("#")
    path = path.strip("/")
    if not mark or not field or "/" not in path:
        raise ValueError(f"vault:{name} needs mount, path and field; write for example {_EXAMPLE}")
    server = _server(name)
    data = _read(server, path)
    if field not in data:
        known = sorted(map(str, data))
        raise Absent(
            f"the secret {path} in the vault at {server.address} has no field {field!r}{nearest(field, known)}; it has "
            f"{', '.join(known) or 'none'}"
        )
    value = data[field]
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise ValueError(f"the field {field!r} of {path} in the vault is not text")  # noqa: TRY004
    return str(value)


def _setting(name: str) -> str:
    return os.environ.get(f"BAO_{name}") or os.environ.get(f"VAULT_{name}") or ""


def _server(name: str) -> _Server:
    address = _setting("ADDR").rstrip("/")
    if not address:
        raise Absent(
            f"VAULT_ADDR is not set, so vault:{name} cannot be read; export it before the run, for example "
            "https://vault.example.com:8200"
        )
    if not address.startswith(("https://", "http://")):
        raise Absent(f"VAULT_ADDR is {redact(address)!r}; it must begin with https:// or http://")
    token = _setting("TOKEN")
    if not token:
        try:
            token = (Path.home() / ".vault-token").read_text().strip()
        except (OSError, RuntimeError, ValueError):
            raise Absent(
                "VAULT_TOKEN is not set and there is no ~/.vault-token; run `vault login`, or export a token before the run"
            ) from None
    Secret(token, "env:VAULT_TOKEN")
    return _Server(address, token, _setting("NAMESPACE"), _setting("CACERT"), _timeout_s())


def _timeout_s() -> float:
    """Return VAULT_CLIENT_TIMEOUT, in seconds or with a unit."""
    text = _setting("CLIENT_TIMEOUT")
    if not text:
        return _TIMEOUT_S
    try:
        return float(text) if text.isdigit() else parse_duration(text).total_seconds()
    except ValueError:
        raise Absent(f"VAULT_CLIENT_TIMEOUT is {text!r}; write for example 10s") from None


def _read(server: _Server, path: str) -> Mapping[str, Any]:
    """Return the fields of a secret. Raises Absent."""
    mount, version = _mount(server, path)
    rest = path[len(mount) :].strip("/")
    place = f"{mount.strip('/')}/data/{rest}" if version == 2 else path
    answer = _ask(server, place)
    if answer.status == 404:
        gone = _within(answer.data, "data", "metadata").get("deletion_time")
        why = f"was deleted at {gone}" if gone else "does not exist"
        raise Absent(f"the secret {path} in the vault at {server.address} {why}")
    _good(server, answer, place)
    found = _within(answer.data, "data", "data") if version == 2 else _within(answer.data, "data")
    if not found:
        raise Absent(f"the secret {path} in the vault at {server.address} has no fields")
    return found


def _mount(server: _Server, path: str) -> tuple[str, int]:
    """Return where the secrets engine of a path is mounted, and its version, as `vault kv get` asks for them."""
    answer = _ask(server, f"sys/internal/ui/mounts/{path}")
    if answer.status == 404:  # a server from before it had versions
        return path.partition("/")[0], 1
    _good(server, answer, path)
    data = _within(answer.data, "data")
    kind, mount = data.get("type"), data.get("path")
    if kind not in ("kv", "generic", "cubbyhole") or not isinstance(mount, str):
        raise Absent(
            f"{path} in the vault at {server.address} is of kind {kind}: only secrets of kind kv can be read"
        )
    return mount, 2 if str(_within(data, "options").get("version")) == "2" else 1


def _within(data: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    for key in keys:
        inner = data.get(key)
        data = inner if isinstance(inner, Mapping) else {}
    return data


def _good(server: _Server, answer: _Answer, place: str) -> None:
    """Raise Absent for an answer without a secret."""
    if answer.status == 200:
        return
    if answer.status == 503 and "sealed" in answer.says.lower():
        raise Absent(f"the vault at {server.address} is sealed; unseal it before the run")
    if answer.status == 403:
        raise Absent(
            f"the vault at {server.address} refuses to read {place} with our token (403): it has expired, belongs to another "
            "namespace, or its policies do not grant `read` there"
        )
    raise Absent(
        f"the vault at {server.address} answers {answer.status} for {place}: {answer.says or 'no reason given'}"
    )


def _ask(server: _Server, path: str) -> _Answer:
    """Return the answer to one request, or the one of a moment ago. Raises Absent if there is none."""
    key = (server.address, server.token, server.namespace, path)
    silence = (server.address, "", "", "")
    for known in (key, silence):
        at, before = _recent.get(known, (0.0, ""))
        if before and time.monotonic() - at < _RECENT_S:
            if isinstance(before, str):
                raise Absent(before)
            return before
    try:
        answer = _sent(server, path)
    except Absent as absent:
        _recent[silence] = (time.monotonic(), str(absent))
        raise
    _recent[key] = (time.monotonic(), answer)
    return answer


def _sent(server: _Server, path: str) -> _Answer:
    # Few inventories refer to a vault, and these modules take a while to import.
    import ssl  # noqa: PLC0415
    import urllib.error  # noqa: PLC0415
    import urllib.request  # noqa: PLC0415
    from http.client import HTTPException  # noqa: PLC0415
    from urllib.parse import quote  # noqa: PLC0415

    class NoDowngrade(urllib.request.HTTPRedirectHandler):
        """A standby node sends us to the active one; never from TLS to plain text, where others could read the token."""

        def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
            if req.full_url.startswith("https://") and not newurl.startswith("https://"):
                return None
            return super().redirect_request(req, fp, code, msg, headers, newurl)

    headers = {
        "X-Vault-Token": server.token,
        "X-Vault-Request": "true",
        "User-Agent": f"deploygate/{__version__}",
    }
    if server.namespace:
        headers["X-Vault-Namespace"] = server.namespace
    try:
        context = ssl.create_default_context(cafile=server.ca_file or None)
        request = urllib.request.Request(f"{server.address}/v1/{quote(path)}", headers=headers)  # noqa: S310 (checked above)
        opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), NoDowngrade)
        try:
            with opener.open(request, timeout=server.timeout_s) as response:
                return _Answer(response.status, _json(response.read(_MOST_BYTES)))
        except urllib.error.HTTPError as error:
            with error:
                return _Answer(error.code, _json(error.read(_MOST_BYTES)))
    except (OSError, HTTPException, ValueError) as error:
        raise Absent(f"the vault at {server.address} cannot be reached: {_why(error, server)}") from None


def _json(raw: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(raw or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _why(error: Exception, server: _Server) -> str:
    import ssl  # noqa: PLC0415 (imported by then)

    cause = getattr(error, "reason", error)
    if isinstance(cause, TimeoutError):
        return f"no answer within {server.timeout_s:g} s"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({cause.verify_message}); set VAULT_CACERT to the certificate of its authority"
    if isinstance(cause, FileNotFoundError):
        return f"VAULT_CACERT names {server.ca_file}, which does not exist"
    return redact(str(getattr(cause, "strerror", None) or cause))


SOURCE = Source("vault", _secret, example=_EXAMPLE, advice="vault:PATH#FIELD")
