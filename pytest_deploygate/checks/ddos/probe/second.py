"""The second source: it asks a little, steadily, from another address of this machine or from a host."""

from __future__ import annotations

import contextlib
import json
import shlex
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pytest_deploygate.checks.ddos.facts import Attempt
from pytest_deploygate.checks.ddos.probe import exchange
from pytest_deploygate.checks.ddos.probe.burst import ask as ask_here
from pytest_deploygate.checks.ddos.probe.burst import attempted, pause
from pytest_deploygate.checks.ddos.probe.exchange import Outcome, Target
from pytest_deploygate.checks.hosts.section import Host
from pytest_deploygate.clients import own_lag
from pytest_deploygate.clients.budget import Ended, Spending
from pytest_deploygate.clients.host.asking import ask
from pytest_deploygate.judging.silent_hosts import Failure
from pytest_deploygate.judging.spending import Baseline
from pytest_deploygate.model import CannotTell

_LOGIN_S = 30.0
_PYTHON = (
    "for P in python3 /usr/libexec/platform-python; do "
    "$P -c 'import sys; sys.exit(sys.version_info < (3, 7))' && break; P=; done"
)


class Here:
    """Another address of this machine."""

    def __init__(
        self, target: Target, every_s: float, began: float, refused: Sequence[int], spending: Spending
    ) -> None:
        self._target, self._every_s, self._began = target, every_s, began
        self._refused, self._spending = refused, spending
        self._over = threading.Event()
        self._phase, self._phased = "control", False
        self._thread: threading.Thread | None = None
        self.attempts: list[Attempt] = []

    @property
    def address(self) -> str:
        """The address that requests are sent from."""
        return self._target.source

    def control(self) -> Attempt:
        """Send one request, before anything else."""
        line = exchange.Line(self._target)
        attempt = attempted(ask_here(line, self._spending), "control", self._began)
        line.close()
        self.attempts.append(attempt)
        if attempt.served:  # what it meets from now on says whether the service suffers
            self._spending.calm(Baseline(1, 0, attempt.answered_s - attempt.sent_s))
        return attempt

    def begin(self, phase: str, _for_s: float) -> None:
        """Ask steadily from now on."""
        self._phase = phase
        if self._thread is None:
            self._thread = threading.Thread(target=self._ask, name="second-source", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Stop asking."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(self._target.timeout_s * 2 + 1.0)

    def _ask(self) -> None:
        line = exchange.Line(self._target)
        with contextlib.closing(line), contextlib.suppress(Ended), own_lag.watching() as lag:
            # The control was one, too.
            while not self._over.wait(self._every_s if not self._phased else 0.0):
                self._phased = True
                began = time.monotonic()
                attempt = attempted(ask_here(line, self._spending), self._phase, self._began)
                self.attempts.append(attempt)
                # A refusal is judged; anything else that is wrong is the service's own.
                wrong = not attempt.served and attempt.status not in self._refused
                took_s = attempt.answered_s - attempt.sent_s
                self._spending.saw(min(took_s, lag.fair_s(began)), wrong=wrong)
                self._over.wait(max(0.0, began + exchange.about(self._every_s) - time.monotonic()))


class There:
    """A host of the inventory, which asks for a time that is known before."""

    def __init__(
        self,
        host: Host,
        target: Target,
        every_s: float,
        began: float,
        address: str,
        spending: Spending,
    ) -> None:
        self._host, self._target, self._every_s, self._began = host, target, every_s, began
        self._spending = spending
        self._pool = ThreadPoolExecutor(1, "second-source")
        self._running: Future[list[Attempt]] | None = None
        self._login_s = 0.0
        self.address = address
        self.attempts: list[Attempt] = []

    def control(self) -> Attempt:
        """Send one request, before anything else. Raises CannotTell if the host cannot be used."""
        before = time.monotonic()
        attempt = self._run("control", 0.0)[0]
        self._login_s = time.monotonic() - before
        self.attempts.append(attempt)
        return attempt

    def begin(self, phase: str, for_s: float) -> None:
        """Ask steadily for a time; returns when the host must have begun."""
        self.end()
        pause(time.monotonic() + self._every_s, self._spending)
        self._running = self._pool.submit(self._run, phase, for_s)
        pause(time.monotonic() + self._login_s, self._spending)

    def end(self) -> None:
        """Wait until it has asked."""
        if self._running is not None:
            self.attempts += self._running.result()
        self._running = None

    def _run(self, phase: str, for_s: float) -> list[Attempt]:
        given: dict[str, Any] = {
            "target": self._target._asdict(),
            "every_s": self._every_s,
            "for_s": for_s,
        }
        source = Path(exchange.__file__).read_text(encoding="utf-8")
        command = (
            f'{_PYTHON}\n[ "$P" ] && echo "with Python" && '
            f"$P -c {shlex.quote(source)} {shlex.quote(json.dumps(given))} 2>&1"
        )
        self._spending.take(requests=1 + round(for_s / self._every_s), connections=1, opens=0)
        sent_s = time.monotonic()
        within_s = for_s + self._target.timeout_s * 2 + _LOGIN_S
        host = self._host
        told = ask(host.connection, host.run_as, {"steady": command}, within_s, host.run_as_password)
        self._spending.check()  # then it was we who ended it
        if isinstance(told, Failure):
            raise CannotTell(f"the second source {host.name} cannot be used: {told.said}")
        lines = told.parts.get("steady", "").splitlines()
        if not lines:
            raise CannotTell(
                f"the second source {host.name} has no python3 (3.7 or later) to send requests with"
            )
        return [attempted(one, phase, self._began - sent_s) for one in self._read(lines[1:])]

    def _read(self, lines: list[str]) -> list[Outcome]:
        try:
            found: list[Outcome] = [tuple(json.loads(line)) for line in lines if line.startswith("[")]
        except ValueError:
            found = []
        if not found:
            said = " ".join(lines[-1:])[:160] or "it printed nothing"
            raise CannotTell(f"the second source {self._host.name} could not send requests: {said}")
        return found
