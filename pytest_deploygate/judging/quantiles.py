"""Whether a quantile lies under a limit, decided on counts: how many of n were at or over it.

With q = 1 - p, "the p quantile is under L" is "a share of less than q is at or over L". No percentile is interpolated.
Sources: Clopper and Pearson (1934) for the bounds; Kish (1965) for the design effect; Ville's inequality with a beta
mixture (Robbins 1970) for looking again and again; Holm (1979) for many tests at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_deploygate.judging import binomial
from pytest_deploygate.model import Verdict

#: Looks at a running load count only when the evidence is this strong: 1 in 200 under the limit would ever reach it.
STOP_EVIDENCE = 200.0
#: Fewer blocks than this say nothing about clustering.
FEWEST_BLOCKS = 5
#: What a share over the limit looks like before anything is seen: uniform.
_PRIOR = (1.0, 1.0)

#: (requests, requests at or over the limit) of one second.
Block = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Decided:
    """A verdict on counts. `p_pass` and `p_fail` are the tails that were compared with alpha.

    `low` and `high` bound the true share at or over the limit; `design_effect` is how many requests weigh as one.
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

    PASS when so few are over it that a true share of 1 - quantile would give as few with probability alpha or less, in
    requests that weigh as independent ones. FAIL when so many are that it would give as many with `alpha_fail`
    (default alpha) or less, in requests as counted: FAIL speaks of what this run saw. Else inconclusive.
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
    out. Where nothing, or everything, is over the limit there is nothing to estimate from: 1.
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

    A test martingale: under the limit its expectation never exceeds 1 however often it is looked at, so that it ever
    reaches M has probability 1/M or less. 0 where the observed share is under 1 - quantile.
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
    """Tell whether a run that is under way can be ended as FAIL. It can never be ended as PASS: a stall may yet come.

    Either all that is still to come could be quick and it would be FAIL all the same; or the evidence is so strong,
    counted in requests that weigh as independent, that looking every second cannot have brought it about.
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
    """Return how many requests with none over the limit a PASS needs: 299 for p99 at 5 %."""
    return math.ceil(math.log(alpha) / math.log(quantile))


def order_bounds(n: float, quantile: float, alpha: float) -> tuple[float, float]:
    """Return shares of the sorted sample between which the true quantile lies, each end with confidence 1 - alpha.

    The nearest ones below and above that n requests allow; (0, 1) where n is too small to bound it.
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
    """Return the smallest r with P(Bin(n, quantile) >= r) <= alpha; n + 1 where there is none."""
    low, high = 0, int(n) + 1
    while low < high:
        middle = (low + high) // 2
        if middle <= n and binomial.at_least(middle, n, quantile) <= alpha:
            high = middle
        else:
            low = middle + 1
    return low
