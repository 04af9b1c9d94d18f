"""The load engine's own figures: `python benchmarks/load_engine.py`. Medians of three runs, on this machine as it is now."""

from __future__ import annotations

import statistics
import tracemalloc
from time import perf_counter

from pytest_deploygate.inventory.load import Load
from pytest_deploygate.judge import quantiles
from pytest_deploygate.probes.load.measure import _own_server, measure
from pytest_deploygate.probes.load.tally import Tally


def own_p99_ms(port: int, rate: int) -> float:
    """Return the p99 that is measured at a constant rate on a server that does nothing."""
    target = {"scheme": "http", "host": "127.0.0.1", "port": port}
    plan = {
        "allow": "x",
        "target": target,
        "endpoints": [{"path": "/"}],
        "peak_per_second": rate,
        "duration": "3s",
    }
    run = measure(Load.model_validate(plan), "x", calibrate=False)
    return (run.whole.p99_s or 0) * 1000


def judged() -> tuple[float, float, float]:
    """Return seconds to summarise and to judge a million samples, and the peak of memory in MB (a run of its own)."""
    tally = Tally(["one"], (0.2, 0.5))
    for n in range(1_000_000):
        tally.add(0, n / 10_000, (n * 7919 % 1000) / 3000)
    began = perf_counter()
    tracemalloc.start()
    whole, _ = tally.result()
    summarised = perf_counter() - began
    began = perf_counter()
    for quantile, limit in ((0.5, 0.2), (0.99, 0.5)):
        quantiles.decide(whole.blocks(limit), quantile, 0.05)
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    return summarised, perf_counter() - began, peak


def main() -> None:
    """Print one line a figure."""
    with _own_server() as port:
        print(
            f"own p99 at 1,000/s: {statistics.median(own_p99_ms(port, 1000) for _ in range(3)):.2f} ms (target 1.5)"
        )
    summarised, judging, peak = judged()
    print(
        f"1,000,000 samples: summarised in {summarised:.2f} s, judged in {judging:.3f} s, {peak:.0f} MB beside them"
    )


if __name__ == "__main__":
    main()
