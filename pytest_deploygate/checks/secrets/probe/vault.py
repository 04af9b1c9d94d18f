"""Ask a HashiCorp Vault or OpenBao server for its state, our token and leases, by the documented API.

Source: https://developer.hashicorp.com/vault/api-docs/system/seal-status, …/auth/token, …/system/leases.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import requests

from pytest_deploygate.checks.secrets.facts import Token, VaultState
from pytest_deploygate.checks.secrets.section import Vault
from pytest_deploygate.clients.http import sending
from pytest_deploygate.fields.http import HttpRequest
from pytest_deploygate.redaction import redact

_TIMEOUT = timedelta(seconds=10)
_MOST = 200


def vault_state(vault: Vault) -> VaultState:
    """Return the state of a server. What it does not tell is a value with the reason."""
    state, problem = _asked(vault, "GET", "sys/seal-status")
    sealed, initialized = state.get("sealed"), state.get("initialized")
    if not isinstance(sealed, bool):
        return VaultState(vault.name, problem=problem or "it does not answer as a vault")
    token, token_problem, leases, lease_problems = None, "", {}, []
    if vault.login is not None and not sealed:
        told, token_problem = _asked(vault, "GET", "auth/token/lookup-self")
        token = _token(_data(told)) if not token_problem else None
        for lease in vault.leases:
            found, why = _asked(vault, "PUT", "sys/leases/lookup", {"lease_id": lease})
            ttl = _data(found).get("ttl")
            leases[lease] = float(ttl) if isinstance(ttl, int | float) and not why else None
            if leases[lease] is None:
                lease_problems.append(
                    f"the lease {lease} cannot be looked up: {why or 'the answer has no ttl'}"
                )
    return VaultState(
        name=vault.name,
        sealed=sealed,
        initialized=initialized if isinstance(initialized, bool) else None,
        version=str(state.get("version", "")),
        token=token,
        token_problem=token_problem,
        leases=leases,
        lease_problems=tuple(lease_problems),
    )


def _asked(
    vault: Vault, method: str, path: str, body: Mapping[str, Any] | None = None
) -> tuple[Mapping[str, Any], str]:
    """Return the body of an answer, and why there is none that can be used."""
    access = HttpRequest.model_validate(
        {
            "method": method,
            "json": body,
            "headers": vault.headers | ({"X-Vault-Namespace": vault.namespace} if vault.namespace else {}),
            "auth": vault.login,
            "ca_file": vault.ca_file,
        }
    )
    try:
        answer = sending.send(
            access, f"{vault.url.rstrip('/')}/v1/{path}", (vault.timeout or _TIMEOUT).total_seconds()
        )
    except (requests.RequestException, OSError) as error:
        return {}, sending.why(error)
    try:
        said = answer.json()
    except ValueError:
        said = {}
    found = said if isinstance(said, dict) else {}
    if answer.status_code == requests.codes.ok:
        return found, ""
    errors = found.get("errors")
    reasons = " ".join("; ".join(map(str, errors)).split()) if isinstance(errors, list) else ""
    return {}, f"it answers {answer.status_code} to {path}" + (
        f" ({redact(reasons)[:_MOST]})" if reasons else ""
    )


def _data(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    data = answer.get("data")
    return data if isinstance(data, dict) else {}


def _token(data: Mapping[str, Any]) -> Token | None:
    """Read the answer to `lookup-self`; a token without an end has a ttl of 0 and no `expire_time`."""
    ttl, created, policies = data.get("ttl"), data.get("creation_time"), data.get("policies")
    if not isinstance(ttl, int | float):
        return None
    for_ever = ttl == 0 and not data.get("expire_time")
    return Token(
        None if for_ever else float(ttl),
        time.time() - created if isinstance(created, int | float) and created else None,
        tuple(map(str, policies)) if isinstance(policies, list) else (),
    )
