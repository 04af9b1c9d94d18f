"""Whether something answers over the network: an HTTP request with a good answer, or a TCP port. Every attempt is kept."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import requests

from pytest_deploygate.clients import reach
from pytest_deploygate.clients.http import sending, text, whole
from pytest_deploygate.fields.health import HealthCheck
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.redaction import redact

_ATTEMPTS = 2
_PAUSE_S = 0.3
_MOST_BYTES = 1_000_000
_AT_ONCE = 8


@dataclass(frozen=True)
class Attempt:
    """One attempt. `reached` is whether anything answered at all, `good` whether the answer was as expected."""

    reached: bool
    good: bool
    took_s: float
    said: str


@dataclass(frozen=True)
class Seen:
    """An endpoint with all attempts."""

    name: str
    where: str
    attempts: tuple[Attempt, ...]

    @property
    def good(self) -> bool:
        """True if the last attempt got the expected answer."""
        return bool(self.attempts) and self.attempts[-1].good

    @property
    def reached(self) -> bool:
        """True if any attempt got an answer."""
        return any(attempt.reached for attempt in self.attempts)

    @property
    def said(self) -> str:
        """The result of the last attempt, in words."""
        return self.attempts[-1].said if self.attempts else "was not checked"


def look(endpoints: Sequence[HealthCheck]) -> tuple[Seen, ...]:
    """Check all endpoints concurrently; one that is not good is checked again."""
    if not endpoints:
        return ()
    with ThreadPoolExecutor(min(len(endpoints), _AT_ONCE)) as pool:
        return tuple(pool.map(_seen, endpoints))


def _seen(endpoint: HealthCheck) -> Seen:
    attempts: list[Attempt] = []
    for number in range(_ATTEMPTS):
        if number:
            time.sleep(_PAUSE_S)
        began = time.monotonic()
        reached, good, said = _get(endpoint) if endpoint.url else _connect(endpoint)
        attempts.append(Attempt(reached, good, round(time.monotonic() - began, 4), redact(said)))
        if good:
            break
    return Seen(endpoint.name, endpoint.url or endpoint.tcp or "", tuple(attempts))


def _get(endpoint: HealthCheck) -> tuple[bool, bool, str]:
    limit_s = endpoint.timeout.total_seconds()
    try:
        with sending.send(
            endpoint, endpoint.url or "", limit_s, afresh=True, stream=True, allow_redirects=False
        ) as answer:
            try:
                body, whole_body = whole.read(answer, _MOST_BYTES)
            except whole.Overdue:
                return True, False, f"answered {answer.status_code}, but not completely within {limit_s:g} s"
    except requests.Timeout:
        return False, False, f"did not answer within {limit_s:g} s"
    except requests.RequestException as error:
        return False, False, f"cannot be reached: {sending.why(error)}"
    except OSError as error:
        return False, False, f"was not requested: {error}"
    if answer.status_code not in endpoint.status:
        return True, False, f"answered {answer.status_code}, expected {endpoint.expected}"
    if lacking := text.lacking(endpoint, body, answer.headers.get("Content-Type", "")):
        cut = "" if whole_body else f" (in its first {_MOST_BYTES} bytes)"
        return True, False, f"answered {answer.status_code}, {lacking}{cut}"
    unseen = ", its body was not looked at" if endpoint.trusts_the_status and body else ""
    return True, True, f"answered {answer.status_code}{unseen}"


def _connect(endpoint: HealthCheck) -> tuple[bool, bool, str]:
    host, _, port = (endpoint.tcp or "").rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), endpoint.timeout.total_seconds()):
            return True, True, "accepts connections"
    except ValueError:
        return False, False, f"{endpoint.tcp!r} is not host:port"
    except ConnectionRefusedError:  # the host answered, the service did not
        return True, False, "refuses connections"
    except OSError as error:
        why = reach.why_ours(error) or error.strerror or type(error).__name__
        return False, False, f"cannot be reached: {why}"
