"""One endpoint's requests as libcurl handles, and whether an answer is a good one."""

from __future__ import annotations

import base64
import re
import urllib.parse
from dataclasses import dataclass, field

import pycurl

from pytest_deploygate.checks.load.section import Load, LoadAuth, LoadEndpoint, LoadTarget
from pytest_deploygate.redaction import redact

_AGENT = "pytest-deploygate load"
_FAILED = {
    pycurl.E_OPERATION_TIMEDOUT: "no answer in time",
    pycurl.E_COULDNT_CONNECT: "connection refused or unreachable",
    pycurl.E_COULDNT_RESOLVE_HOST: "name not resolved",
    pycurl.E_PEER_FAILED_VERIFICATION: "certificate not trusted",
    pycurl.E_SSL_CONNECT_ERROR: "TLS handshake failed",
    pycurl.E_GOT_NOTHING: "connection closed without an answer",
    pycurl.E_RECV_ERROR: "connection broken while reading",
    pycurl.E_SEND_ERROR: "connection broken while sending",
    pycurl.E_PARTIAL_FILE: "answer cut off",
    pycurl.E_WRITE_ERROR: "body larger than max_body",
}


@dataclass(slots=True, eq=False)
class Exchange:
    """A handle that sends the same request again and again. `read` is what came of the body where it is looked at."""

    curl: pycurl.Curl
    endpoint: LoadEndpoint
    number: int
    most: int
    keep: bool
    due_s: float = 0.0
    size: int = 0
    read: list[bytes] = field(default_factory=list)

    def take(self, chunk: bytes) -> int:
        """Take a part of the body; libcurl gives up when less than all of it is taken."""
        self.size += len(chunk)
        if self.size > self.most:
            return 0
        if self.keep:
            self.read.append(chunk)
        return len(chunk)

    def begin(self, due_s: float) -> None:
        """Make ready for the next request."""
        self.due_s, self.size = due_s, 0
        self.read.clear()

    def wrong(self) -> str:
        """Say what is wrong with the answer that came; empty where it is good."""
        status = self.curl.getinfo(pycurl.RESPONSE_CODE)
        if status not in self.endpoint.status:
            return f"status {status}"
        if not self.keep:
            return ""
        body = b"".join(self.read).decode(errors="replace")
        if self.endpoint.contains is not None and self.endpoint.contains not in body:
            return f"body without {redact(self.endpoint.contains)!r}"
        if self.endpoint.matches is not None and not re.search(self.endpoint.matches, body):
            return f"body does not match {redact(self.endpoint.matches)!r}"
        return ""


def failure(code: int, message: str) -> str:
    """Say in few words what libcurl's error means; the same words for the same cause, so that they can be counted."""
    return _FAILED.get(code) or redact(message)[:80] or f"libcurl error {code}"


def exchange(load: Load, target: LoadTarget, endpoint: LoadEndpoint, number: int) -> Exchange:
    """Make a handle for one endpoint. Secrets leave here, into the request, and nowhere else."""
    curl = pycurl.Curl()
    looked_at = endpoint.contains is not None or endpoint.matches is not None
    made = Exchange(curl, endpoint, number, load.max_body, looked_at)
    curl.setopt(pycurl.URL, target.origin + endpoint.path)
    curl.setopt(pycurl.PATH_AS_IS, 1)
    curl.setopt(pycurl.NOSIGNAL, 1)
    curl.setopt(pycurl.NOPROXY, "*")
    curl.setopt(pycurl.FOLLOWLOCATION, 0)
    curl.setopt(pycurl.TCP_NODELAY, 1)
    curl.setopt(pycurl.TIMEOUT_MS, max(1, round((endpoint.timeout or load.timeout).total_seconds() * 1000)))
    curl.setopt(pycurl.WRITEFUNCTION, made.take)
    curl.setopt(pycurl.HTTPHEADER, _headers(endpoint, endpoint.auth or load.auth))
    curl.setopt(pycurl.USERAGENT, _AGENT)
    _method(curl, endpoint)
    _transport(curl, target)
    if load.connections == "cold":
        curl.setopt(pycurl.FRESH_CONNECT, 1)
        curl.setopt(pycurl.FORBID_REUSE, 1)
        curl.setopt(pycurl.DNS_CACHE_TIMEOUT, 0)
    return made


def _method(curl: pycurl.Curl, endpoint: LoadEndpoint) -> None:
    if endpoint.body is not None:
        body = endpoint.body.encode()
        curl.setopt(pycurl.POST, 1)
        curl.setopt(pycurl.POSTFIELDSIZE, len(body))
        curl.setopt(pycurl.COPYPOSTFIELDS, body)
    if endpoint.method == "HEAD":
        curl.setopt(pycurl.NOBODY, 1)
    elif endpoint.body is not None or endpoint.method != "GET":
        curl.setopt(pycurl.CUSTOMREQUEST, endpoint.method)


def _transport(curl: pycurl.Curl, target: LoadTarget) -> None:
    if target.http == "1.1":
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
    elif target.scheme == "https":
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
    else:
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE)
    curl.setopt(pycurl.SSL_VERIFYPEER, int(target.verify))
    curl.setopt(pycurl.SSL_VERIFYHOST, 2 if target.verify else 0)
    if target.ca_file is not None:
        curl.setopt(pycurl.CAINFO, str(target.ca_file))
    if target.connect_to is not None:
        port = target.port or (443 if target.scheme == "https" else 80)
        address = f"[{target.connect_to}]" if ":" in target.connect_to else target.connect_to
        host = urllib.parse.urlsplit(target.origin).hostname
        curl.setopt(pycurl.CONNECT_TO, [f"{host}:{port}:{address}:{port}"])


def _headers(endpoint: LoadEndpoint, auth: LoadAuth | None) -> list[str]:
    found = [f"{name}: {value}" if value else f"{name};" for name, value in endpoint.headers.items()]
    if endpoint.body is not None and "content-type" not in {name.lower() for name in endpoint.headers}:
        found.append("Content-Type: application/json")
    if endpoint.body is not None:
        found.append("Expect:")
    return [*found, *_login(auth)]


def _login(auth: LoadAuth | None) -> list[str]:
    if auth is None:
        return []
    if auth.bearer is not None:
        return [f"Authorization: Bearer {auth.bearer.reveal()}"]
    if auth.user is not None and auth.password is not None:
        pair = f"{auth.user}:{auth.password.reveal()}".encode()
        return [f"Authorization: Basic {base64.b64encode(pair).decode()}"]
    return [f"{auth.header}: {auth.value.reveal()}"] if auth.header and auth.value else []
