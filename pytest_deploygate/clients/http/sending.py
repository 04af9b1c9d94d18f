"""Sending a request as an inventory describes it. Secrets leave here, into the request's headers, and nowhere else.

A place that was silent before in this run is not waited for again (`clients.reach`).
"""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.utils import get_environ_proxies

from pytest_deploygate.clients import reach
from pytest_deploygate.clients.budget import AGENT
from pytest_deploygate.clients.http import whole
from pytest_deploygate.fields.http import HttpAccess, HttpLogin, HttpRequest
from pytest_deploygate.redaction import shortened

#: If another page of a server was silent and none has answered yet, a page gets this long to show that it is different.
_LAST_CHANCE_S = 2.0


def headers(request: HttpAccess, login: HttpLogin | None = None) -> dict[str, str]:
    """Return the headers of a request, login included; `login` is used if the request has none."""
    found = dict(request.headers)
    names = {name.lower() for name in found}
    if isinstance(request, HttpRequest) and request.sent is not None and "content-type" not in names:
        found["Content-Type"] = "application/json"
    return found | login_headers(request.login or login)


def login_headers(login: HttpLogin | None) -> dict[str, str]:
    """Return the headers that log in; none without a login."""
    if login is None:
        return {}
    if login.token is not None:
        return {"Authorization": f"Bearer {login.token.reveal()}"}
    if login.user is not None and login.password is not None:
        pair = f"{login.user}:{login.password.reveal()}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    return {login.header: login.value.reveal()} if login.header and login.value else {}


def get(
    access: HttpAccess, url: str, timeout_s: float, *, afresh: bool = False, **more: Any
) -> requests.Response:
    """Fetch a URL with the access settings of the inventory. Raises requests.RequestException, OSError.

    `afresh` also asks what was silent before: for what waits until it changes.
    """
    return _send("GET", url, access, headers(access), timeout_s, more, afresh=afresh)


def send(
    request: HttpRequest, url: str, timeout_s: float, *, afresh: bool = False, **more: Any
) -> requests.Response:
    """Send a request. Raises requests.RequestException, or OSError when `ca_file` cannot be read."""
    body = request.sent.encode() if request.sent is not None else None
    more = {"data": body} | more
    return _send(request.method, url, request, headers(request), timeout_s, more, afresh=afresh)


def post_json(
    access: HttpAccess, url: str, document: object, timeout_s: float, **more: Any
) -> requests.Response:
    """Post a JSON document with the access settings of the inventory. Raises requests.RequestException, OSError."""
    sent = headers(access) | {"Content-Type": "application/json"}
    more = {"data": json.dumps(document).encode()} | more
    return _send("POST", url, access, sent, timeout_s, more, afresh=True)


def _send(
    method: str,
    url: str,
    access: HttpAccess,
    sent: dict[str, str],
    timeout_s: float,
    more: dict[str, Any],
    *,
    afresh: bool,
) -> requests.Response:
    extra = more.pop("headers", {})

    def within(seconds: float) -> requests.Response:
        return whole.request(
            method,
            url,
            seconds,
            headers={"User-Agent": AGENT} | extra | sent,
            verify=str(access.ca_file) if access.ca_file else True,
            auth=_as_given if access.login else None,
            **more,
        )

    return within(timeout_s) if afresh else once(f"{method} {url}", url, timeout_s, within)


def once(
    what: str, url: str, timeout_s: float, within: Callable[[float], requests.Response]
) -> requests.Response:
    """Send a request with `within(timeout_s)`, unless it was silent before in this run, or its server's address was.

    Raises reach.Silent (an OSError) then, else what `within` raises. A slow page does not speak for the others of its
    server: while none has answered, each of them gets a shorter time, and afterwards its own.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    origin = f"{parts.scheme}://{reach.at(host, port)}"
    with reach.attempt(what):
        if not get_environ_proxies(url):
            _knock(host, port, timeout_s, tls=parts.scheme == "https")
        if before := reach.known(origin):
            short_s = min(timeout_s, _LAST_CHANCE_S)
            try:
                answer = within(short_s)
            except requests.Timeout:
                said = f"no answer within {short_s:g} s, and earlier {before.said}{before.when}"
                reach.silent(what, said)
                raise reach.Silent(said) from None
        else:
            try:
                answer = within(timeout_s)
            except requests.Timeout:
                if not reach.was_heard(origin):
                    reach.silent(origin, f"no answer within {timeout_s:g} s to {what}")
                raise TimeoutError(f"no answer within {timeout_s:g} s") from None
        reach.heard(origin)
        return answer


def _knock(host: str, port: int, timeout_s: float, *, tls: bool) -> None:
    """Raise Silent if every address of a server is known to be silent; one that was never heard is asked first.

    Only TLS is asked: there a handshake tells a silent address from a slow page.
    """
    found = reach.addresses(host, port)
    silence = None
    for address in found:
        place = reach.at(address, port)
        if silence := reach.known(place):
            continue
        if not tls or reach.was_heard(place):
            return
        try:
            with reach.attempt(place), socket.create_connection((address, port), timeout_s) as plain:
                _handshake(plain, host)
        except TimeoutError:
            silence = reach.known(place)
        except OSError:  # refused, or reset: the request itself says so at once
            return
        else:
            return
    if silence:
        raise reach.Silent(str(silence))


def _handshake(plain: socket.socket, host: str) -> None:
    """Begin TLS as any client would. That it fails is an answer too; trust is a matter of the request itself."""
    try:
        _any_tls().wrap_socket(plain, server_hostname=host).close()
    except ssl.SSLError:
        return


@cache
def _any_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


#: What a redirect that leads nowhere raises; the inventory's own addresses are looked at when it is read.
ASTRAY = (
    requests.TooManyRedirects,
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
)


def why(error: Exception) -> str:
    """Return why a request got no answer, for people: what our own side lacks, the name of the error, never a secret."""
    if isinstance(error, reach.Silent):
        return str(error)
    if isinstance(error, requests.TooManyRedirects):
        return "it redirects in a circle"
    if isinstance(error, ASTRAY):
        said = str(error).replace("No connection adapters were found for", "no browser opens")
        return f"it redirects to an address that cannot be opened ({shortened(said, 160)})"
    if ours := reach.why_ours(error):
        return ours
    if isinstance(error, requests.exceptions.SSLError):
        return f"its certificate is not trusted: {shortened(str(error), 200)}"
    if isinstance(error, requests.Timeout | TimeoutError):
        return (
            str(error)
            if isinstance(error, TimeoutError | whole.Overdue) and str(error)
            else "no answer in time"
        )
    if isinstance(error, requests.exceptions.ProxyError):
        return "our proxy does not let us through"
    if reach.refused(error):
        return "no connection (connection refused: nothing listens there)"
    if said := _odd(error):
        return said
    if isinstance(error, requests.RequestException):
        return f"no connection ({type(error).__name__})"
    return str(error)


def _odd(error: Exception) -> str:
    """Say what is wrong with an answer that came, or that the connection broke; empty if it is neither."""
    inner = _innermost(error)
    if isinstance(inner, http.client.RemoteDisconnected):
        return "the connection was closed without an answer"
    if isinstance(inner, ConnectionResetError | BrokenPipeError):
        return "the connection was reset"
    if isinstance(inner, http.client.IncompleteRead):
        return "its answer broke off"
    if isinstance(inner, http.client.HTTPException):
        return f"its answer is no HTTP that can be read ({type(inner).__name__}: {shortened(' '.join(str(inner).split()), 80)})"
    if isinstance(error, requests.exceptions.ChunkedEncodingError | requests.exceptions.ContentDecodingError):
        return f"its answer cannot be read ({shortened(' '.join(str(error).split()), 80)})"
    return ""


def _innermost(error: BaseException) -> BaseException:
    """Return what requests and urllib3 wrap: the last exception among the arguments."""
    inner = next((arg for arg in reversed(error.args) if isinstance(arg, BaseException)), None)
    return error if inner is None else _innermost(inner)


def _as_given(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Leave a request unchanged: without this, requests replaces our login with one from ~/.netrc."""
    return request
