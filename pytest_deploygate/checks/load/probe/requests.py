"""The requests of one endpoint as libcurl handles, and whether an answer is good."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import field

import pycurl

from pytest_deploygate.checks.load.facts import NOT_RESOLVED, NOT_SENT
from pytest_deploygate.checks.load.probe.connections import Connections
from pytest_deploygate.checks.load.section import Load, LoadEndpoint, LoadTarget
from pytest_deploygate.clients import reach
from pytest_deploygate.clients.budget import AGENT
from pytest_deploygate.clients.http import sending, text
from pytest_deploygate.fields.http import HttpLogin
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.redaction import redact

_FAILED = {
    pycurl.E_OPERATION_TIMEDOUT: "no answer in time",
    pycurl.E_COULDNT_CONNECT: "connection refused",
    pycurl.E_COULDNT_RESOLVE_HOST: NOT_RESOLVED,
    pycurl.E_COULDNT_RESOLVE_PROXY: NOT_RESOLVED,
    pycurl.E_PEER_FAILED_VERIFICATION: "certificate not trusted",
    pycurl.E_SSL_CONNECT_ERROR: "TLS handshake failed",
    pycurl.E_GOT_NOTHING: "connection closed without an answer",
    pycurl.E_RECV_ERROR: "connection broken while reading",
    pycurl.E_SEND_ERROR: "connection broken while sending",
    pycurl.E_PARTIAL_FILE: "answer cut off",
    pycurl.E_WRITE_ERROR: "body larger than max_body",
    pycurl.E_ABORTED_BY_CALLBACK: "kept connection closed or reset without an answer",
}
#: What libcurl says of a stream that the server refused, by RST_STREAM or by a GOAWAY for an earlier one; up to 8.5, and since.
_REFUSED = re.compile(rb"REFUSED_STREAM|HTTP/2 stream \d+ refused by server")
#: What libcurl says when it has sent a refused request again five times.
_GIVEN_UP = re.compile(r"Connection died, tried \d+ times before giving up")


@dataclass(eq=False)
class Exchange:
    """A handle that sends the same request repeatedly. `read` has the body if it is checked, `sends` is the size of ours."""

    curl: pycurl.Curl
    endpoint: LoadEndpoint
    number: int
    most: int
    keep: bool
    due_s: float = 0.0
    begun_s: float = 0.0
    size: int = 0
    sent: bool = False
    again: bool = False
    kept: Connections = field(default_factory=Connections)
    read: list[bytes] = field(default_factory=list)
    sends: int = 0

    def take(self, chunk: bytes) -> int:
        """Take a chunk of the body; libcurl aborts if less than all of it is taken."""
        self.size += len(chunk)
        if self.size > self.most:
            return 0
        if self.keep:
            self.read.append(chunk)
        return len(chunk)

    def begin(self, due_s: float, begun_s: float) -> None:
        """Prepare for the next request, which is sent now."""
        self.due_s, self.begun_s, self.size, self.sent = due_s, begun_s, 0, False
        self.read.clear()
        if self.again:
            self.again = False
            self.curl.setopt(pycurl.FRESH_CONNECT, 0)

    def may_begin_again(self, code: int) -> bool:
        """Tell whether the request was not sent, because the server had closed the kept connection before; once, on a new one.

        libcurl does so by itself only where it notices at once.
        """
        if code != pycurl.E_SEND_ERROR or self.sent or self.again or self.curl.getinfo(pycurl.NUM_CONNECTS):
            return False
        self.again = True
        self.curl.setopt(pycurl.FRESH_CONNECT, 1)
        self.size = 0
        self.read.clear()
        return True

    def may_send(self, *ends: object) -> int:
        """Allow the request to be sent once: libcurl sends it again by itself when a kept connection breaks.

        Its users' requests are lost then, and a POST that is sent twice may be done twice. A connection that the server
        had closed before does not count: libcurl finds out only by sending, and the server never sees that.
        """
        if self.sent:
            return int(pycurl.PREREQFUNC_ABORT)
        self.sent = not self.kept.is_closed(ends)
        return int(pycurl.PREREQFUNC_OK)

    def hear(self, kind: int, said: bytes) -> None:
        """Allow the request once more if an HTTP/2 server refused its stream, and so did nothing (RFC 9113, 8.7).

        A server that closes a connection tells by GOAWAY which stream is the last that it looked at; later ones are refused.
        """
        if kind == pycurl.INFOTYPE_TEXT and _REFUSED.match(said):
            self.sent = False

    def wrong(self) -> str:
        """Return what is wrong with the answer; empty if it is good."""
        status = self.curl.getinfo(pycurl.RESPONSE_CODE)
        if status not in self.endpoint.status:
            return f"status {status}"
        if not self.keep:
            return ""
        content_type = (self.curl.getinfo_raw(pycurl.CONTENT_TYPE) or b"").decode("latin-1")
        return redact(text.lacking(self.endpoint, b"".join(self.read), content_type))


def failure(curl: pycurl.Curl, code: int, message: str) -> str:
    """Describe libcurl's error briefly, with the same words for the same cause, so that they can be counted."""
    if code == pycurl.E_COULDNT_CONNECT:
        number = curl.getinfo(pycurl.OS_ERRNO)
        if reach.why_ours(OSError(number, "")):
            return NOT_SENT
    if _GIVEN_UP.match(message):
        return "refused by the server (HTTP/2) each time"
    return _FAILED.get(code) or redact(message)[:80] or f"libcurl error {code}"


def exchange(
    load: Load,
    target: LoadTarget,
    endpoint: LoadEndpoint,
    number: int,
    kept: Connections,
    marks: Mapping[str, str],
) -> Exchange:
    """Make a handle for one endpoint; all share the connections `kept`.

    `marks` are headers by which operators tell our requests. Secrets leave here, into the request, and nowhere else.
    """
    curl = pycurl.Curl()
    made = Exchange(curl, endpoint, number, load.max_body, endpoint.looks_at_body, kept=kept)
    made.sends = len(endpoint.sent.encode()) if endpoint.sent is not None else 0
    curl.setopt(pycurl.URL, target.origin + endpoint.path)
    curl.setopt(pycurl.PATH_AS_IS, 1)
    curl.setopt(pycurl.NOSIGNAL, 1)
    curl.setopt(pycurl.NOPROXY, "*")
    curl.setopt(pycurl.FOLLOWLOCATION, 0)
    curl.setopt(pycurl.TCP_NODELAY, 1)
    curl.setopt(pycurl.TIMEOUT_MS, max(1, round((endpoint.timeout or load.timeout).total_seconds() * 1000)))
    curl.setopt(pycurl.WRITEFUNCTION, made.take)
    curl.setopt(pycurl.SOCKOPTFUNCTION, kept.opened)
    curl.setopt(pycurl.PREREQFUNCTION, made.may_send)
    if target.http == "2":
        curl.setopt(pycurl.VERBOSE, 1)
        curl.setopt(pycurl.DEBUGFUNCTION, made.hear)
    own = [f"{name}: {value}" for name, value in marks.items() if name != "User-Agent"]
    curl.setopt(pycurl.HTTPHEADER, [*_headers(endpoint, load.auth), *own])
    curl.setopt(pycurl.USERAGENT, AGENT)
    _method(curl, endpoint)
    _transport(curl, target, endpoint)
    if load.connections == "cold":
        curl.setopt(pycurl.FRESH_CONNECT, 1)
        curl.setopt(pycurl.FORBID_REUSE, 1)
        curl.setopt(pycurl.DNS_CACHE_TIMEOUT, 0)
    return made


def _method(curl: pycurl.Curl, endpoint: LoadEndpoint) -> None:
    if endpoint.sent is not None:
        body = endpoint.sent.encode()
        curl.setopt(pycurl.POST, 1)
        curl.setopt(pycurl.POSTFIELDSIZE, len(body))
        curl.setopt(pycurl.COPYPOSTFIELDS, body)
    if endpoint.method == "HEAD":
        curl.setopt(pycurl.NOBODY, 1)
    elif endpoint.sent is not None or endpoint.method != "GET":
        curl.setopt(pycurl.CUSTOMREQUEST, endpoint.method)


def _transport(curl: pycurl.Curl, target: LoadTarget, endpoint: LoadEndpoint) -> None:
    if target.http == "1.1":
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
    elif target.scheme == "https":
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
    else:
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE)
    curl.setopt(pycurl.SSL_VERIFYPEER, int(target.verify))
    curl.setopt(pycurl.SSL_VERIFYHOST, 2 if target.verify else 0)
    if ca_file := endpoint.ca_file or target.ca_file:
        curl.setopt(pycurl.CAINFO, str(ca_file))
    if target.connect_to is not None:
        port = target.port or (443 if target.scheme == "https" else 80)
        address = f"[{target.connect_to}]" if ":" in target.connect_to else target.connect_to
        host = urllib.parse.urlsplit(target.origin).hostname
        curl.setopt(pycurl.CONNECT_TO, [f"{host}:{port}:{address}:{port}"])


def _headers(endpoint: LoadEndpoint, login: HttpLogin | None) -> list[str]:
    found = [
        f"{name}: {value}" if value else f"{name};"
        for name, value in sending.headers(endpoint, login).items()
    ]
    return [*found, "Expect:"] if endpoint.sent is not None else found
