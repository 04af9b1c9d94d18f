"""How a step is verified: a command, an endpoint, or checklist items. Nothing else counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from pytest_deploygate.checks.way_back.section.rollback import Verification
from pytest_deploygate.clients.host import commands
from pytest_deploygate.clients.http import health as endpoints
from pytest_deploygate.lazy import dataclass

#: Runs checklist items and describes those that are not good; empty: all passed.
RunItems = Callable[[Sequence[str]], str]
_PAUSE_S = 1.0


@dataclass(frozen=True)
class Verified:
    """Whether something is in the wanted state now, and what was seen. `tries` counts the checks."""

    good: bool
    said: str
    tries: int = 1


def once(verification: Verification, run_items: RunItems) -> Verified:
    """Check once."""
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
    """Check until the result is good, for at most `within_s` seconds."""
    deadline = time.monotonic() + within_s
    tries = 0
    while True:
        tries += 1
        found = ask()
        if found.good or time.monotonic() + _PAUSE_S > deadline:
            return Verified(found.good, found.said, tries)
        time.sleep(_PAUSE_S)
