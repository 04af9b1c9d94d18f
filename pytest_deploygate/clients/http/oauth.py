"""Fetch a token from a token endpoint (OAuth 2.0). The token leaves as a secret."""

from __future__ import annotations

import base64
import json
from typing import Any, TypeVar

import requests

from pytest_deploygate.clients import reach
from pytest_deploygate.clients.budget import AGENT
from pytest_deploygate.clients.http import sending, whole
from pytest_deploygate.fields.http import HttpAccess
from pytest_deploygate.fields.oauth import OAuth, TokenAccess
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell, NotReached
from pytest_deploygate.redaction import Secret, redact, shortened

_MOST_BYTES = 200_000
_Access = TypeVar("_Access", bound=TokenAccess)


class Refused(CannotTell):
    """Raised if the token endpoint refuses our credentials: its answer says so by its status."""


@dataclass(frozen=True)
class Token:
    """A token, and for how many seconds it is valid; None if the endpoint does not say."""

    value: Secret
    expires_in_s: float | None


def logged_in(access: _Access, timeout_s: float) -> _Access:
    """Return the same access with a fetched token in place of `oauth`. Raises as `token` does."""
    if access.oauth is None:
        return access
    got = token(access.oauth, timeout_s, access)
    return access.model_copy(update={"token": got.value, "oauth": None})


def token(oauth: OAuth, timeout_s: float, access: HttpAccess | None = None) -> Token:
    """Fetch a token; `ca_file` is that of `access` where `oauth` has none.

    Raises Refused for 400, 401 and 403; NotReached if our own side got no answer; CannotTell for all else that is no token.
    """
    ca_file = oauth.ca_file or (access.ca_file if access else None)
    where = f"the token endpoint {oauth.url}"
    try:
        answer = whole.request(
            "POST",
            oauth.url,
            timeout_s,
            data=_form(oauth),
            headers={"User-Agent": AGENT, "Accept": "application/json"} | _basic(oauth),
            verify=str(ca_file) if ca_file else True,
            auth=_as_given,
            allow_redirects=False,
            stream=True,
        )
        body, _ = whole.read(answer, _MOST_BYTES)
    except (requests.RequestException, OSError) as error:
        kind = NotReached if reach.why_ours(error) else CannotTell
        raise kind(f"{where} gave no token: {redact(sending.why(error))}; check that it is up") from None
    if answer.status_code in (400, 401, 403):
        raise Refused(
            f"{where} refuses {oauth.who} ({answer.status_code}{_error(body)}): check the password or secret, and whether it was "
            "revoked"
        )
    if answer.status_code != 200:
        raise CannotTell(f"{where} answers {answer.status_code}, expected 200: look at its log")
    return _token(body, where)


def _form(oauth: OAuth) -> dict[str, str]:
    form = {"scope": oauth.scope} if oauth.scope else {}
    if oauth.user is not None and oauth.password is not None:
        form |= {"grant_type": "password", "username": oauth.user, "password": oauth.password.reveal()}
        return form | ({"client_id": oauth.client} if oauth.client and not oauth.secret else {})
    return form | {"grant_type": "client_credentials"}


def _basic(oauth: OAuth) -> dict[str, str]:
    if not oauth.client or not oauth.secret:
        return {}
    pair = f"{oauth.client}:{oauth.secret.reveal()}".encode()
    return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}


def _token(body: bytes, where: str) -> Token:
    try:
        said: Any = json.loads(body)
        value, lasts = said["access_token"], said.get("expires_in")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CannotTell(f"{where} answers 200 without `access_token`: check its address") from None
    if not isinstance(value, str) or not value:
        raise CannotTell(f"{where} answers 200 with an empty `access_token`: look at its log")
    return Token(Secret(value), float(lasts) if isinstance(lasts, int | float) else None)


def _error(body: bytes) -> str:
    try:
        said = json.loads(body)
        return f", {shortened(str(said['error']), 60)}"
    except (ValueError, KeyError, TypeError):
        return ""


def _as_given(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Leave the request unchanged: else requests adds a login from ~/.netrc."""
    return request
