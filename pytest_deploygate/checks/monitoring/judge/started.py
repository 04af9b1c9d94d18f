"""Whether a server has just started: what it does not have yet may still come."""

from __future__ import annotations

from pytest_deploygate.judging.collector import Collector

#: A server that runs no longer than this may not have discovered, scraped and evaluated everything yet.
_JUST_STARTED_S = 60.0


def just_started(running_s: float | None) -> bool:
    """Return whether a server runs for so short a time; one that does not tell it counts as one that runs for long."""
    return running_s is not None and running_s < _JUST_STARTED_S


def not_yet(found: Collector, running_s: float | None, *sentences: str, where: str = "") -> None:
    """Say what is not there yet: wrong, or unknown if the server has just started."""
    if not just_started(running_s):
        found.wrong(*sentences, where=where)
        return
    for sentence in sentences:
        found.unknown(
            f"it started {running_s:.0f} s ago and may not have everything yet: {sentence}; run this again in a minute",
            where=where,
        )
