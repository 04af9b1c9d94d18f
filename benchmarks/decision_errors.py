"""How often p99 passes when its true share over the limit is exactly the limit's: `python benchmarks/decision_errors.py`.

Independent requests must give at most 5 % false PASS. Clustered ones (whole seconds that stall) are printed too, as the
gate judges them and as they would be judged if every request counted as independent.
"""

from __future__ import annotations

import random

from pytest_deploygate.judging import quantiles
from pytest_deploygate.model import Verdict

RUNS, SECONDS, RATE, SHARE = 1_000, 50, 100, 0.01


def independent(rng: random.Random) -> list[tuple[int, int]]:
    """Return seconds in which each request is slow with the limit's own probability."""
    return [(RATE, sum(rng.random() < SHARE for _ in range(RATE))) for _ in range(SECONDS)]


def clustered(rng: random.Random, size: int) -> list[tuple[int, int]]:
    """Return seconds in which slow requests occur `size` at a time, with the same average."""
    return [(RATE, size if rng.random() < SHARE * RATE / size else 0) for _ in range(SECONDS)]


def false_passes(runs: list[list[tuple[int, int]]]) -> float:
    """Return the share of runs that pass."""
    return sum(quantiles.decide(run, 0.99, 0.05).verdict is Verdict.PASS for run in runs) / len(runs)


def as_one(run: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return a run as one block, in which clusters are invisible."""
    return [(sum(n for n, _ in run), sum(k for _, k in run))]


def none_seen(runs: list[list[tuple[int, int]]]) -> float:
    """Return the share of runs in which nothing was over the limit: no rule can judge those better."""
    return sum(not any(k for _, k in run) for run in runs) / len(runs)


def main() -> None:
    """Print one line per case."""
    rng = random.Random(1)
    print(
        f"false PASS of p99 with exactly 1 % over the limit, {SECONDS} s at {RATE}/s, {RUNS:,} runs each (target 5 %)"
    )
    found = false_passes([independent(rng) for _ in range(RUNS)])
    print(f"  independent requests              {found:6.1%}")
    for size in (5, 20, 50, 100):
        runs = [clustered(rng, size) for _ in range(RUNS)]
        effect, without = false_passes(runs), false_passes([as_one(run) for run in runs])
        print(
            f"  {size:3} slow ones in the same second  {effect:6.1%}; without the design effect {without:.1%}; "
            f"no slow one occurred in {none_seen(runs):.1%} of the runs"
        )


if __name__ == "__main__":
    main()
