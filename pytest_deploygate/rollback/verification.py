"""How a step is known to have taken: a command, an endpoint, or items of the checklist. Nothing else counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pytest_deploygate.checks.way_back.section.rollback import Verification
from pytest_deploygate.clients.host import commands
from pytest_deploygate.clients.http import health as endpoints

#: Runs items of the checklist and returns what is not good among them, in words; empty: all passed.
RunItems = Callable[[Sequence[str]], str]
_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class Verified:
    """Whether something is as it should be now, and what was seen. `tries` is how often it was asked."""

    good: bool
    said: str
    tries: int = 1


def once(verification: Verification, run_items: RunItems) -> Verified:
    """Ask once."""
    if verification.run is not None:
        ran = commands.run(
            verification.run, host=verification.host, within_s=verification.within.total_seconds()
        )
        return Verified(not ran.problem, f"`{ran.command}` {ran.problem or 'ended with 0'}")
    if verification.health is not None:
        (seen,) = endpoints.look([verification.health])
        return Verified(seen.good, f"{seen.name} {seen.said}")
    bad = run_items(verification.items or [])
    return Verified(not bad, bad or f"{', '.join(verification.items or [])}: pass")


def patiently(ask: Callable[[], Verified], within_s: float) -> Verified:
    """Ask until the answer is good, for at most so many seconds."""
    deadline = time.monotonic() + within_s
    tries = 0
    while True:
        tries += 1
        found = ask()
        if found.good or time.monotonic() + _PAUSE_S > deadline:
            return Verified(found.good, found.said, tries)
        time.sleep(_PAUSE_S)
