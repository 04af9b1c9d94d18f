"""A failure that the network may have caused counts if it was seen twice."""

from __future__ import annotations

from dataclasses import replace

from pytest_deploygate.model import Judgement, Verdict


def repeated(first: Judgement, second: Judgement) -> Judgement:
    """Return the second judgement, confirmed if both failed; inconclusive if only the first one failed.

    One failure of two is not a pass: one of several servers behind an address may be bad.
    """
    if first.verdict is not Verdict.FAIL:
        return first
    if second.verdict is Verdict.FAIL:
        return replace(second, confirmed=True)
    if second.verdict is not Verdict.PASS:
        return unrepeated(first, second.reason)
    reason = f"failed once but not on the second try, so run it again; it was: {first.reason}"
    return replace(first, verdict=Verdict.INCONCLUSIVE, reason=reason, confirmed=False)


def unrepeated(first: Judgement, why: str) -> Judgement:
    """Return a failure as inconclusive, because the second measurement was inconclusive; the reason has both."""
    reason = f"failed once: {first.reason}; the second try was inconclusive: {why}; run it again"
    return replace(first, verdict=Verdict.INCONCLUSIVE, reason=reason, confirmed=False)
