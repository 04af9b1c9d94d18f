"""Tails of the binomial distribution and Clopper-Pearson bounds, exact and fast for millions of trials.

A tail is a regularised incomplete beta function, computed by its continued fraction (Lentz's method; NIST Digital
Library of Mathematical Functions, 8.17.22). Counts may be fractions: an effective sample size is rarely whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable

_TINY = 1e-300
_PRECISION = 1e-14
_MOST_TERMS = 20_000
_HALVINGS = 100


def at_most(k: float, n: float, q: float) -> float:
    """Return P(X <= k) for X ~ Bin(n, q). Raises ValueError for a count or share out of range."""
    _check(k, n, q)
    if k >= n:
        return 1.0
    return beta(1.0 - q, n - k, k + 1.0)


def at_least(k: float, n: float, q: float) -> float:
    """Return P(X >= k) for X ~ Bin(n, q). Raises ValueError for a count or share out of range."""
    _check(k, n, q)
    if k <= 0:
        return 1.0
    return beta(q, k, n - k + 1.0)


def bounds(k: float, n: float, alpha: float) -> tuple[float, float]:
    """Return lower and upper bound of the share behind k of n, each at confidence 1 - alpha (Clopper and Pearson 1934).

    Both together hold with 1 - 2 alpha. Without any trial the result is (0, 1).
    """
    if n <= 0:
        return 0.0, 1.0
    low = 0.0 if k <= 0 else _root(lambda q: at_least(k, n, q) - alpha)
    high = 1.0 if k >= n else _root(lambda q: alpha - at_most(k, n, q))
    return low, high


def beta(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b)."""
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    front = math.exp(log_choose_weight(a, b) + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1.0) / (a + b + 2.0):
        return min(1.0, front * _fraction(x, a, b) / a)
    return max(0.0, 1.0 - front * _fraction(1.0 - x, b, a) / b)


def log_choose_weight(a: float, b: float) -> float:
    """Return -log B(a, b), B being the complete beta function."""
    return math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)


def _check(k: float, n: float, q: float) -> None:
    if not (0 <= k <= n and 0.0 <= q <= 1.0):
        raise ValueError(f"{k} of {n} with probability {q} is not a binomial count")


def _root(rising: Callable[[float], float]) -> float:
    """Return where a function that rises from below zero to above it on [0, 1] crosses it."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if rising(middle) < 0:
            low = middle
        else:
            high = middle
        if high - low < 1e-12 * max(high, 1e-6):
            break
    return (low + high) / 2


def _fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1.0 / _not_zero(1.0 - (a + b) * x / (a + 1.0))
    value = d
    for m in range(1, _MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        for term in (even, odd):
            d = 1.0 / _not_zero(1.0 + term * d)
            c = _not_zero(1.0 + term / c)
            value *= c * d
        if abs(c * d - 1.0) < _PRECISION:
            return value
    raise ArithmeticError(f"the incomplete beta function did not converge at x={x}, a={a}, b={b}")


def _not_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
