"""Whether a quantile is under a limit, decided on counts: how many of n were at or over it.

With q = 1 - p, "the p quantile is under L" is "a share of less than q is at or over L". No percentile is interpolated.
Sources: Clopper and Pearson (1934) for the bounds; Kish (1965) for the design effect; Ville's inequality with a beta
mixture (Robbins 1970) for repeated looks; Holm (1979) for many tests at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pytest_deploygate.judging import binomial
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Verdict

#: A running load is stopped only on evidence this strong: 1 in 200 runs under the limit would ever reach it.
STOP_EVIDENCE = 200.0
#: Fewer blocks than this are inconclusive about clustering.
FEWEST_BLOCKS = 5
#: The prior of a share over the limit: uniform.
_PRIOR = (1.0, 1.0)

#: (requests, requests at or over the limit) of one second.
Block = tuple[int, int]


@dataclass(frozen=True)
class Decided:
    """A verdict on counts. `p_pass` and `p_fail` are the tails that were compared with alpha.

    `low` and `high` bound the true share at or over the limit; `design_effect` is how many requests count as one.
    """

    verdict: Verdict
    n: int
    over: int
    design_effect: float
    p_pass: float
    p_fail: float
    low: float
    high: float


def decide(
    blocks: Sequence[Block], quantile: float, alpha: float, alpha_fail: float | None = None
) -> Decided:
    """Decide whether the quantile is under the limit.

    PASS if so few are over it that a true share of 1 - quantile would yield as few with probability alpha or less, in
    effective independent requests. FAIL if so many are that it would yield as many with probability `alpha_fail`
    (default alpha) or less, in requests as counted: FAIL is about what this run saw. Otherwise inconclusive.
    """
    n, over = sum(b[0] for b in blocks), sum(b[1] for b in blocks)
    q = 1.0 - quantile
    effect = design_effect(blocks)
    weight_n, weight_over = n / effect, over / effect
    p_pass = binomial.at_most(weight_over, weight_n, q) if n else 1.0
    p_fail = binomial.at_least(over, n, q) if n else 1.0
    low, _ = binomial.bounds(over, n, alpha)
    _, high = binomial.bounds(weight_over, weight_n, alpha)
    if n and p_fail <= (alpha if alpha_fail is None else alpha_fail):
        verdict = Verdict.FAIL
    elif n and p_pass <= alpha:
        verdict = Verdict.PASS
    else:
        verdict = Verdict.INCONCLUSIVE
    return Decided(verdict, n, over, effect, p_pass, p_fail, low, high)


def design_effect(blocks: Sequence[Block]) -> float:
    """Return how much more the share over the limit varies between blocks than among independent requests; at least 1.

    The ratio estimator's variance over clusters (Kish), against the binomial one. Blocks without requests are left
    out. If nothing, or everything, is over the limit there is nothing to estimate from: 1.
    """
    full = [block for block in blocks if block[0]]
    n, over = sum(b[0] for b in full), sum(b[1] for b in full)
    if len(full) < 2 or over in (0, n):
        return 1.0
    share = over / n
    between = sum((k - share * size) ** 2 for size, k in full) * len(full) / (len(full) - 1)
    return max(1.0, between / (n * share * (1.0 - share)))


def evidence_over(over: float, n: float, quantile: float) -> float:
    """Return how many times better "more than 1 - quantile are over" explains the counts than the limit does.

    A test martingale: under the limit its expectation never exceeds 1, however often it is evaluated, so the probability
    that it ever reaches M is 1/M or less. 0 if the observed share is under 1 - quantile.
    """
    q = 1.0 - quantile
    if n <= 0 or over <= n * q:
        return 0.0
    a, b = _PRIOR
    log = (
        binomial.log_choose_weight(a, b)
        - binomial.log_choose_weight(a + over, b + n - over)
        - over * math.log(q)
        - (n - over) * math.log1p(-q)
    )
    return math.exp(min(log, 700.0))


def fails_already(blocks: Sequence[Block], planned: int, quantile: float, alpha: float) -> bool:
    """Return whether a running load can be stopped as FAIL. It can never be stopped as PASS: a stall may still occur.

    Either it would be FAIL even if all remaining requests were fast; or the evidence, in effective independent
    requests, is so strong that repeated looks cannot explain it.
    """
    over = sum(b[1] for b in blocks)
    if over and binomial.at_least(over, max(planned, sum(b[0] for b in blocks)), 1.0 - quantile) <= alpha:
        return True
    full = [block for block in blocks if block[0]]
    if len(full) < 2 * FEWEST_BLOCKS:
        return False
    effect = design_effect(full)
    return evidence_over(over / effect, sum(b[0] for b in full) / effect, quantile) >= STOP_EVIDENCE


def holm(p_values: Mapping[str, float], alpha: float) -> frozenset[str]:
    """Return the names whose tests reject at a family-wise error of alpha (Holm 1979, valid under any dependence)."""
    rejected = []
    ordered = sorted(p_values.items(), key=lambda pair: pair[1])
    for left, (name, p) in zip(range(len(ordered), 0, -1), ordered, strict=True):
        if p > alpha / left:
            break
        rejected.append(name)
    return frozenset(rejected)


def needed(quantile: float, alpha: float) -> int:
    """Return how many requests, none of them over the limit, a PASS needs: 299 for p99 at 5 %."""
    return math.ceil(math.log(alpha) / math.log(quantile))


def order_bounds(n: float, quantile: float, alpha: float) -> tuple[float, float]:
    """Return the shares of the sorted sample that bound the true quantile, each with confidence 1 - alpha.

    The nearest ones below and above that n requests allow; (0, 1) if n is too small to bound it.
    """
    return _rank(n, quantile, alpha) / n if n else 0.0, min(
        1.0, _rank_above(n, quantile, alpha) / n
    ) if n else 1.0


def _rank(n: float, quantile: float, alpha: float) -> int:
    """Return the largest r with P(Bin(n, quantile) < r) <= alpha."""
    low, high = 0, int(n)
    while low < high:
        middle = (low + high + 1) // 2
        if binomial.at_most(middle - 1, n, quantile) <= alpha:
            low = middle
        else:
            high = middle - 1
    return low


def _rank_above(n: float, quantile: float, alpha: float) -> int:
    """Return the smallest r with P(Bin(n, quantile) >= r) <= alpha; n + 1 if there is none."""
    low, high = 0, int(n) + 1
    while low < high:
        middle = (low + high) // 2
        if middle <= n and binomial.at_least(middle, n, quantile) <= alpha:
            high = middle
        else:
            low = middle + 1
    return low
