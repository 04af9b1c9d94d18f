"""Shares against a bound: an error ratio under its budget, a share over its floor, one inside a band.

Exact (Clopper and Pearson 1934). A limit between the bounds is inconclusive, never a pass.
"""

from __future__ import annotations

import math

from pytest_deploygate.judging import binomial
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Verdict

ALPHA = 0.05


@dataclass(frozen=True)
class Share:
    """A verdict on a share: k of n observed, and the bounds of the true share."""

    verdict: Verdict
    k: float
    n: float
    low: float
    high: float


def under(k: float, n: float, limit: float, alpha: float = ALPHA) -> Share:
    """Decide whether the share behind k of n is under a limit: PASS by its upper bound, FAIL by its lower one.

    Example: at least 2,995 requests without an error are needed to show an error ratio under 0.1 %.
    """
    low, high = binomial.bounds(k, n, alpha)
    return Share(_side(high < limit, low > limit), k, n, low, high)


def over(k: float, n: float, limit: float, alpha: float = ALPHA) -> Share:
    """Decide whether the share behind k of n is over a floor."""
    low, high = binomial.bounds(k, n, alpha)
    return Share(_side(low > limit, high < limit), k, n, low, high)


def within(k: float, n: float, least: float, most: float, alpha: float = ALPHA) -> Share:
    """Decide whether the share behind k of n is in [least, most], two-sided: both bounds together hold with 1 - alpha."""
    low, high = binomial.bounds(k, n, alpha / 2)
    return Share(_side(least <= low and high <= most, high < least or low > most), k, n, low, high)


def rate_bounds(k: float, alpha: float = ALPHA) -> tuple[float, float]:
    """Return lower and upper bound of the expected count behind k counted events, each at confidence 1 - alpha.

    The exact bounds of a Poisson count (Garwood 1936), as the limit of Clopper-Pearson for very many trials.
    Example: nothing counted still allows for an expectation of 3.0.
    """
    trials = max(1e7, 1e4 * k)
    low, high = binomial.bounds(k, trials, alpha)
    return low * trials, high * trials


def fisher(k_now: int, n_now: int, k_before: int, n_before: int) -> float:
    """Return the one-sided p-value that now's share is greater than before's (Fisher's exact test, conditional).

    The probability, if both shares are equal, that at least k_now of the k_now + k_before are in now.
    """
    if not (0 <= k_now <= n_now and 0 <= k_before <= n_before):
        raise ValueError(f"{k_now} of {n_now} and {k_before} of {n_before} are not counts")
    k, n = k_now + k_before, n_now + n_before
    least, most = max(0, k - n_before), min(k, n_now)
    if k_now <= least:
        return 1.0
    # Summed away from the middle, where terms only decrease: nothing is lost to underflow.
    if k_now > k * n_now / n:
        return min(1.0, _tail(k_now, most, 1, k, n_now, n_before))
    return max(0.0, 1.0 - _tail(k_now - 1, least, -1, k, n_now, n_before))


def _tail(start: int, end: int, step: int, k: int, n_now: int, n_before: int) -> float:
    """Sum the hypergeometric probabilities of start, start + step, … end."""
    logs = _log_choose(n_now, start) + _log_choose(n_before, k - start) - _log_choose(n_now + n_before, k)
    total, term = 0.0, math.exp(logs)
    for x in range(start, end, step):
        total += term
        if step > 0:
            term *= (n_now - x) * (k - x) / ((x + 1) * (n_before - k + x + 1))
        else:
            term *= x * (n_before - k + x) / ((n_now - x + 1) * (k - x + 1))
        if term < total * 1e-16:
            return total
    return total + term


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _side(good: bool, bad: bool) -> Verdict:
    return Verdict.PASS if good else Verdict.FAIL if bad else Verdict.INCONCLUSIVE
