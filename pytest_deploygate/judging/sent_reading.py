"""A reading that the gate sent, as a value, and what is said of one that was not taken. Pure."""

from __future__ import annotations

from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Sent:
    """A reading. `status` is what it was answered with, `taken` whether that is a status of `send.status`.

    `problem` says why there was no answer. `at_s` is when it was sent, in seconds since the test began.
    """

    id: str
    value: float
    at_s: float
    status: int | None = None
    taken: bool = False
    problem: str = ""


def not_taken(sent: Sent, where: str, found: Collector) -> bool:
    """Say what came of a reading that was not taken, and return whether it was not.

    A server's error is the platform's failure; a refusal, or no answer, is more likely ours.
    """
    if sent.taken:
        return False
    if sent.status is not None and sent.status >= 500:
        found.wrong(f"a reading of {sent.value:g} was answered {sent.status}", where=where)
    elif sent.status is not None:
        found.unknown(
            f"a reading of {sent.value:g} was answered {sent.status}, so nothing was caused: check device, body and login of `send`",
            where=where,
        )
    else:
        found.unknown(f"a reading of {sent.value:g} could not be sent: {sent.problem}", where=where)
    return True
