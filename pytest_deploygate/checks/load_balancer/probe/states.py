"""Ask balancers what they know of their backends, and backends for their own health."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from urllib.parse import urlsplit, urlunsplit

from pytest_deploygate.checks.load_balancer import facts
from pytest_deploygate.checks.load_balancer.probe import envoy, haproxy, hook, kubernetes, nginx
from pytest_deploygate.checks.load_balancer.probe.asking import TIMEOUT_S
from pytest_deploygate.checks.load_balancer.section import Control, HttpRequestAt, Pool
from pytest_deploygate.clients.http import sending
from pytest_deploygate.model import CannotTell

_AT_ONCE = 8


def backends(pool: Pool) -> facts.Backends:
    """Return what every balancer and every backend says. What cannot be read is a value of the facts."""
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        asked = threads.map(
            lambda each: health(each.name, each.health), [each for each in pool.backends if each.health]
        )
        return facts.Backends(read_all(pool.control), tuple(asked))


def read_all(controls: Sequence[Control]) -> tuple[facts.Control, ...]:
    """Ask each balancer."""
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return tuple(threads.map(_read, controls))


def _read(control: Control) -> facts.Control:
    program, read = _reader(control)
    try:
        return read()
    except CannotTell as unknown:
        return facts.Control(control.name, program, problem=str(unknown))


def _reader(control: Control) -> tuple[str, Callable[[], facts.Control]]:
    """Return the program of a balancer, and what reads it."""
    name = control.name
    if control.haproxy is not None:
        return haproxy.PROGRAM, partial(haproxy.read, name, control.haproxy)
    if control.nginx is not None:
        return nginx.PROGRAM, partial(nginx.read, name, control.nginx)
    if control.envoy is not None:
        return envoy.PROGRAM, partial(envoy.read, name, control.envoy)
    if control.kubernetes is not None:
        return kubernetes.PROGRAM, partial(kubernetes.read, name, control.kubernetes)
    return hook.PROGRAM, partial(hook.read, name, control.hook or "")


def health(name: str, request: HttpRequestAt | None) -> facts.Health:
    """Ask a backend itself for its health, and for a page that does not exist."""
    if request is None:
        return facts.Health(name, None, "")
    good, said, body = _ask(request, request.url)
    like_missing = False
    if good:
        parts = urlsplit(request.url)
        nowhere = urlunsplit(parts._replace(path=f"/deploygate-{secrets.token_hex(6)}", query=""))
        other, _, its = _ask(request, nowhere)
        like_missing = bool(other) and its == body
    return facts.Health(name, good, said, like_missing)


def _ask(request: HttpRequestAt, url: str) -> tuple[bool | None, str, str]:
    """Return whether the answer is a good one (None: no answer), what came, and its body."""
    limit_s = request.timeout.total_seconds() if request.timeout else TIMEOUT_S
    try:
        answer = sending.send(request, url, limit_s, afresh=True, allow_redirects=False)
    except OSError as error:  # what requests raises is one
        return None, sending.why(error), ""
    said = f"HTTP {answer.status_code}"
    lacking = request.lacking(answer.text) if answer.status_code in request.status else ""
    return (
        answer.status_code in request.status and not lacking,
        f"{said}, {lacking}" if lacking else said,
        answer.text,
    )
