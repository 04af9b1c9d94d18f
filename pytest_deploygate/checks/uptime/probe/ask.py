"""Request one target once to see whether it is up, each time on a new connection, as a new user would."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import Awaitable, Callable

import aiohttp
import psycopg

from pytest_deploygate.checks.uptime.section import WatchTarget
from pytest_deploygate.clients import reach
from pytest_deploygate.clients.http import sending, text
from pytest_deploygate.clients.tls.client_context import client_context
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import words_for
from pytest_deploygate.redaction import redact, shortened

#: As in the other probes; content security policies can be longer than aiohttp's 8 kB, and browsers take 256 kB.
_LONGEST_HEADER = 65_536
_MOST_BODY = 1 << 20
_MOST_WORDS = 160
_STEP_S = 0.05
#: A timeout is not the target's if this process was late for half of it: the target had less time than it may take.
_LATE_SHARE = 0.5


@dataclass(frozen=True)
class Answer:
    """The answer of a target. `up` is None if that is unknown, e.g. with our own network down; `why` says what was wrong."""

    up: bool | None
    took_ms: float
    why: str = ""


class _Lag:
    """How late this process is meanwhile: a task that only sleeps is woken too late by as much."""

    def __init__(self) -> None:
        self._total_s, self._asleep = 0.0, time.monotonic()
        self._task = asyncio.create_task(self._sleep())

    @property
    def late_s(self) -> float:
        """The delay so far, in seconds. What is overdue now counts: after a stall the timeout may come first."""
        return self._total_s + max(0.0, time.monotonic() - self._asleep - _STEP_S)

    def end(self) -> None:
        self._task.cancel()

    async def _sleep(self) -> None:
        while True:
            self._asleep = time.monotonic()
            await asyncio.sleep(_STEP_S)
            self._total_s += max(0.0, time.monotonic() - self._asleep - _STEP_S)


class _NotUp(Exception):  # noqa: N818 (it is an answer, not an error)
    """It answered, but not as expected."""


class _CannotAsk(Exception):  # noqa: N818 (nothing was learned about the target)
    """The request could not even be sent, for a reason on our side."""


async def ask(target: WatchTarget, timeout_s: float, control: str | None = None) -> Answer:
    """Request a target, and if it is not up the control too, each for at most `timeout_s` seconds. Never raises.

    The target's own timeout replaces `timeout_s`.
    """
    lag = _Lag()
    try:
        return await _answer(target, timeout_s, control, lag)
    finally:
        lag.end()


async def _answer(target: WatchTarget, timeout_s: float, control: str | None, lag: _Lag) -> Answer:
    began = time.monotonic()
    timeout_s = target.timeout.total_seconds() if target.timeout else timeout_s
    try:
        why = await _wrong(_question(target), timeout_s)
    except _CannotAsk as ours:
        # A router's answer that the host is not there may be true of it alone, if others can be reached from here.
        gone = reach.host_gone(ours) and control and not await _reached(control, timeout_s)
        return Answer(False if gone else None, 0.0, str(ours))
    took_ms = round((time.monotonic() - began) * 1000, 1)
    if not why:
        return Answer(True, took_ms)
    if took_ms >= timeout_s * 1000 and (late_s := lag.late_s) >= timeout_s * _LATE_SHARE:
        return Answer(None, took_ms, f"{why}, but this process was {words_for(late_s)} late itself")
    if control and (blind := await _reached(control, timeout_s)):
        return Answer(None, took_ms, f"the control {control} cannot be reached either ({blind})")
    return Answer(False, took_ms, why)


async def _reached(control: str, timeout_s: float) -> str:
    try:
        return await _wrong(lambda: _tcp(control), timeout_s)
    except _CannotAsk as ours:
        return str(ours)


def _question(target: WatchTarget) -> Callable[[], Awaitable[None]]:
    if target.url:
        return lambda: _http(target, target.url or "")
    if target.tcp:
        place = target.tcp
        return lambda: _tcp(place)
    return lambda: _postgres(target)


async def _wrong(question: Callable[[], Awaitable[None]], timeout_s: float) -> str:
    """Return why a request was not answered as expected; empty if it was."""
    try:
        async with asyncio.timeout(timeout_s):
            await question()
    except TimeoutError:
        return f"no answer within {timeout_s:g} s"
    except _NotUp as answer:
        return str(answer)
    except (OSError, aiohttp.ClientError, psycopg.Error, ValueError) as error:
        if ours := _ours(error):
            raise _CannotAsk(ours) from error
        return redact(_words(error))
    return ""


def _ours(error: Exception) -> str:
    """Return why the request did not leave our own side; psycopg says so in its text only."""
    said = str(error) if isinstance(error, psycopg.OperationalError) else ""
    return reach.why_ours(error) or reach.why_ours_in(said)


def _words(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        said = getattr(error.certificate_error, "verify_message", "") or error.certificate_error
        return shortened(f"the certificate of {error.host}:{error.port} is not trusted: {said}", _MOST_WORDS)
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        said = getattr(error.os_error, "reason", "") or error.os_error
        return shortened(f"the TLS handshake with {error.host}:{error.port} failed: {said}", _MOST_WORDS)
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"{error.host}:{error.port} cannot be reached: {_system_said(error.os_error)}"
    if isinstance(error, OSError):
        return _system_said(error)
    if isinstance(error, aiohttp.ClientResponseError):  # its status is not the server's
        return shortened(
            f"its answer is no HTTP that can be read: {' '.join(error.message.split())}", _MOST_WORDS
        )
    return shortened(" ".join(f"{error}".split()), _MOST_WORDS) or type(error).__name__


def _system_said(error: OSError) -> str:
    """Return the system's message without asyncio's additions."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):  # its number is OpenSSL's, not the system's
        return f"TLS fails: {error.reason or error}"
    known = os.strerror(error.errno) if error.errno and error.errno > 0 else ""
    return known if known and not known.startswith("Unknown") else shortened(str(error), _MOST_WORDS)


async def _http(target: WatchTarget, url: str) -> None:
    headers = {"User-Agent": "deploygate-watch", "Cache-Control": "no-cache"} | sending.headers(target)
    body = target.sent.encode() if target.sent is not None else None
    try:
        trust = client_context(target.ca_file)
    except OSError as error:
        raise _CannotAsk(f"{target.ca_file} cannot be read: {_system_said(error)}") from None
    async with (
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True, ssl=trust), max_field_size=_LONGEST_HEADER
        ) as session,
        session.request(target.method, url, headers=headers, data=body, allow_redirects=False) as answer,
    ):
        read = await _body(answer)
        if answer.status not in target.status:
            raise _NotUp(f"HTTP {answer.status}, expected {target.expected}")
        if lacking := text.lacking(target, read, answer.headers.get("Content-Type", "")):
            raise _NotUp(f"HTTP {answer.status}, {lacking}")


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    """Read an answer to its end, which is part of being up, but keep no more than a megabyte of it."""
    kept = bytearray()
    async for part in answer.content.iter_chunked(65536):
        kept += part[: _MOST_BODY - len(kept)]
    return bytes(kept)


async def _tcp(place: str) -> None:
    host, _, port = place.rpartition(":")
    _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    writer.close()


async def _postgres(target: WatchTarget) -> None:
    password = target.password.reveal() if target.password else None
    connection = await psycopg.AsyncConnection.connect(
        target.postgres or "", password=password, application_name="deploygate-watch", autocommit=True
    )
    async with connection:
        await connection.execute("SELECT 1")
