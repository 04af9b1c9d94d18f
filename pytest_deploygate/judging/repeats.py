"""A failure that the network may have caused counts when it was seen twice."""

from __future__ import annotations

from dataclasses import replace

from pytest_deploygate.model import Judgement, Verdict


def repeated(first: Judgement, second: Judgement) -> Judgement:
    """Return the second judgement, confirmed where both failed; inconclusive where the failure came and went.

    What fails once of two times is not well: one of several servers behind an address may be the bad one.
    """
    if first.verdict is not Verdict.FAIL:
        return first
    if second.verdict is Verdict.FAIL:
        return replace(second, confirmed=True)
    if second.verdict is not Verdict.PASS:
        return unrepeated(first, second.reason)
    reason = f"failed once and not when asked again, so run it again; it was: {first.reason}"
    return replace(first, verdict=Verdict.INCONCLUSIVE, reason=reason, confirmed=False)


def unrepeated(first: Judgement, why: str) -> Judgement:
    """Return a failure as inconclusive, because the second look told nothing; both are said."""
    reason = f"failed once: {first.reason}; and asked again it could not be told: {why}; run it again"
    return replace(first, verdict=Verdict.INCONCLUSIVE, reason=reason, confirmed=False)
