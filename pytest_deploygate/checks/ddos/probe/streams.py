"""Sends many requests at once over one HTTP/2 connection, as libcurl does: a limit must count them, not the connection."""

from __future__ import annotations

import time
from io import BytesIO

import pycurl

from pytest_deploygate.checks.ddos.probe.exchange import Outcome, Target, is_good
from pytest_deploygate.clients.budget import Spending

#: More of an answer is not read.
_MOST = 1 << 20
#: A stop ends everything within a second, so nothing waits longer than this.
_STEP_S = 0.1
_WORDS = {
    pycurl.E_COULDNT_CONNECT: "refused",
    pycurl.E_OPERATION_TIMEDOUT: "silent",
    pycurl.E_GOT_NOTHING: "closed",
    pycurl.E_RECV_ERROR: "closed",
    pycurl.E_SEND_ERROR: "closed",
    pycurl.E_HTTP2: "closed",
    92: "closed",  # a stream that was reset, which has no name in pycurl
}


class _Stream:
    """One request and what comes back."""

    def __init__(self, target: Target) -> None:
        self.body, self.wait = BytesIO(), ""
        self.outcome: Outcome | None = None
        self.curl = _handle(target, self)

    def take(self, part: bytes) -> int | None:
        """Keep a part of the body; too much of it ends the stream."""
        if self.body.tell() + len(part) > _MOST:
            return -1
        self.body.write(part)
        return None

    def hear(self, line: bytes) -> None:
        """Note the header that says when to come back."""
        name, _, value = line.decode("latin-1").partition(":")
        if name.lower() == "retry-after":
            self.wait = value.strip()


def can() -> bool:
    """Tell whether this libcurl speaks HTTP/2."""
    return bool(pycurl.version_info()[4] & pycurl.VERSION_HTTP2)


def send(target: Target, number: int, spending: Spending) -> list[Outcome]:
    """Send a request so many times over one connection, as many at once as the server takes. Raises Ended.

    Answers that come over another version of HTTP count as closed: that is not what is tried here.
    """
    size = len(target.path) + len(target.body) + sum(len(n) + len(v) + 4 for n, v in target.headers.items())
    streams = [_Stream(target) for _ in range(number)]
    together = pycurl.CurlMulti()
    together.setopt(pycurl.M_PIPELINING, pycurl.PIPE_MULTIPLEX)
    together.setopt(pycurl.M_MAX_HOST_CONNECTIONS, 1)
    spending.take(requests=number, connections=1, sent_bytes=size * number, opens=1)
    began = time.monotonic()
    try:
        for stream in streams:
            together.add_handle(stream.curl)
        _until_answered(together, {stream.curl: stream for stream in streams}, target, began, spending)
    finally:
        for stream in streams:
            together.remove_handle(stream.curl)
            stream.curl.close()
        together.close()
        spending.give(closes=1, received_bytes=sum(stream.body.tell() for stream in streams))
    now = time.monotonic()
    return [stream.outcome or (began, now, 0, False, "silent", "") for stream in streams]


def _until_answered(
    together: pycurl.CurlMulti,
    waiting: dict[pycurl.Curl, _Stream],
    target: Target,
    began: float,
    spending: Spending,
) -> None:
    while waiting:
        spending.check()
        while together.perform()[0] == pycurl.E_CALL_MULTI_PERFORM:
            pass
        left = 1
        while left:
            left, good, bad = together.info_read()
            for curl in good:
                stream = waiting.pop(curl)
                stream.outcome = _answer(stream, target, began)
            for curl, code, said in bad:
                stream = waiting.pop(curl)
                why = _WORDS.get(code, " ".join(said.split())[:120])
                stream.outcome = (began, time.monotonic(), 0, False, why, "")
        if waiting:
            together.select(_STEP_S)


def _answer(stream: _Stream, target: Target, began: float) -> Outcome:
    now = time.monotonic()
    if stream.curl.getinfo(pycurl.INFO_HTTP_VERSION) != pycurl.CURL_HTTP_VERSION_2_0:
        return began, now, 0, False, "closed", ""
    status = int(stream.curl.getinfo(pycurl.RESPONSE_CODE))
    return began, now, status, is_good(target, status, stream.body.getvalue()), "", stream.wait


def _handle(target: Target, stream: _Stream) -> pycurl.Curl:
    curl = pycurl.Curl()
    curl.setopt(pycurl.URL, f"{target.scheme}://{target.host}{target.path}")
    address = f"[{target.address}]" if ":" in target.address else target.address
    curl.setopt(pycurl.CONNECT_TO, [f"::{address}:{target.port}"])
    if target.source:
        curl.setopt(pycurl.INTERFACE, f"host!{target.source}")
    curl.setopt(pycurl.PATH_AS_IS, 1)
    curl.setopt(pycurl.NOSIGNAL, 1)
    curl.setopt(pycurl.NOPROXY, "*")
    curl.setopt(pycurl.PIPEWAIT, 1)
    curl.setopt(pycurl.TIMEOUT_MS, max(1, round(target.timeout_s * 1000)))
    curl.setopt(pycurl.WRITEFUNCTION, stream.take)
    curl.setopt(pycurl.HEADERFUNCTION, stream.hear)
    tls = target.scheme == "https"
    curl.setopt(
        pycurl.HTTP_VERSION,
        pycurl.CURL_HTTP_VERSION_2TLS if tls else pycurl.CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE,
    )
    if target.roots:
        curl.setopt(pycurl.CAINFO_BLOB, target.roots.encode())
    headers = [f"{name}: {value}" if value else f"{name};" for name, value in target.headers.items()]
    curl.setopt(pycurl.HTTPHEADER, [*headers, "Expect:"])
    if target.body:
        curl.setopt(pycurl.COPYPOSTFIELDS, target.body)
    if target.method == "HEAD":
        curl.setopt(pycurl.NOBODY, 1)
    elif target.body or target.method != "GET":
        curl.setopt(pycurl.CUSTOMREQUEST, target.method)
    return curl
