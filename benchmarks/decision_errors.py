"""How often p99 is called good when its true share over the limit is exactly the limit's: `python benchmarks/decision_errors.py`.

Independent requests must give at most 5 % false PASS. Clustered ones (whole seconds that stall) are printed beside.
"""

from __future__ import annotations

import random

from pytest_deploygate.judge import quantiles
from pytest_deploygate.model import Verdict

RUNS, SECONDS, RATE, SHARE = 1_000, 50, 100, 0.01


def independent(rng: random.Random) -> list[tuple[int, int]]:
    """Return seconds in which each request is slow with the limit's own probability."""
    return [(RATE, sum(rng.random() < SHARE for _ in range(RATE))) for _ in range(SECONDS)]


def clustered(rng: random.Random, size: int) -> list[tuple[int, int]]:
    """Return seconds in which slow requests come `size` at a time, as many of them on average."""
    return [(RATE, size if rng.random() < SHARE * RATE / size else 0) for _ in range(SECONDS)]


def false_passes(blocks: list[list[tuple[int, int]]]) -> float:
    """Return the share of runs that are called PASS."""
    return sum(quantiles.decide(b, 0.99, 0.05).verdict is Verdict.PASS for b in blocks) / len(blocks)


def main() -> None:
    """Print one line a case."""
    rng = random.Random(1)
    print(
        f"independent: {false_passes([independent(rng) for _ in range(RUNS)]):.1%} false PASS (at most 5 %)"
    )
    for size in (5, 20, 50, 100):
        rate = false_passes([clustered(rng, size) for _ in range(RUNS)])
        print(f"clusters of {size} in one second: {rate:.1%} false PASS")


if __name__ == "__main__":
    main()
