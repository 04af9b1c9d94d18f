"""Sending a request as an inventory describes it. Secrets leave here, into the request's headers, and nowhere else."""

from __future__ import annotations

import base64
from typing import Any

import requests

from pytest_deploygate.fields.http import HttpAccess, HttpLogin, HttpRequest

AGENT = "deploygate"


def headers(request: HttpAccess, login: HttpLogin | None = None) -> dict[str, str]:
    """Return the headers of a request, login included; `login` is used if the request has none."""
    found = dict(request.headers)
    names = {name.lower() for name in found}
    if isinstance(request, HttpRequest) and request.sent is not None and "content-type" not in names:
        found["Content-Type"] = "application/json"
    return found | _login(request.login or login)


def _login(login: HttpLogin | None) -> dict[str, str]:
    if login is None:
        return {}
    if login.token is not None:
        return {"Authorization": f"Bearer {login.token.reveal()}"}
    if login.user is not None and login.password is not None:
        pair = f"{login.user}:{login.password.reveal()}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    return {login.header: login.value.reveal()} if login.header and login.value else {}


def get(access: HttpAccess, url: str, timeout_s: float, **more: Any) -> requests.Response:
    """Fetch a URL with the access settings of the inventory. Raises requests.RequestException, OSError."""
    return _send("GET", url, access, headers(access), timeout_s, more)


def send(request: HttpRequest, url: str, timeout_s: float, **more: Any) -> requests.Response:
    """Send a request. Raises requests.RequestException, or OSError when `ca_file` cannot be read."""
    body = request.sent.encode() if request.sent is not None else None
    return _send(request.method, url, request, headers(request), timeout_s, {"data": body} | more)


def _send(
    method: str, url: str, access: HttpAccess, sent: dict[str, str], timeout_s: float, more: dict[str, Any]
) -> requests.Response:
    extra = more.pop("headers", {})
    return requests.request(
        method,
        url,
        headers={"User-Agent": AGENT} | extra | sent,
        timeout=timeout_s,
        verify=str(access.ca_file) if access.ca_file else True,
        auth=_as_given if access.login else None,
        **more,
    )


def _as_given(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Leave a request unchanged: without this, requests replaces our login with one from ~/.netrc."""
    return request
