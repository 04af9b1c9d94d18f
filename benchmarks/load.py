"""Response times under load, this engine compared with wrk, hey and Locust: `python benchmarks/load.py`. Takes about 2 minutes.

nginx answers from memory; each tool has one core. Figures from a busy machine are upper bounds: run it on an idle
one. Missing tools are skipped with a message. `--quick` makes one run instead of five.
"""

from __future__ import annotations

import os
import platform
import random
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter, process_time

import decision_errors
import load_others as others
from load_server import Server, serving

from pytest_deploygate.checks.load.facts import LoadRun
from pytest_deploygate.checks.load.probe.measure import send
from pytest_deploygate.checks.load.section import Load
from pytest_deploygate.checks.load.tally import Tally
from pytest_deploygate.judging import quantiles

_RATE, _CONNECTIONS = 1000, 32
_SAMPLES = 1_000_000


def own(port: int, rate: int, seconds: int, **more: object) -> LoadRun:
    """Run our engine."""
    plan = {
        "allow": "x",
        "target": {"scheme": "http", "host": "127.0.0.1", "port": port},
        "endpoints": [{"path": "/"}],
        "peak_per_second": rate,
        "duration": f"{seconds}s",
    }
    return send(Load.model_validate(plan | more), "x", calibrate=False)


def constant_rate(server: Server, runs: int) -> None:
    """Print each tool's p99 at a constant 1,000/s on a server that takes well under a millisecond."""
    print(f"p99 at a constant {_RATE}/s, nginx (target: ours at most 1.5 ms)")
    found = [own(server.port, _RATE, 5) for _ in range(runs)]
    ours = statistics.median(_ms(run.whole.p99_s) for run in found)
    half = statistics.median(_ms(run.whole.p50_s) for run in found)
    lags = statistics.median(run.client.lag_p99_s * 1000 for run in found)
    share = statistics.median(run.client.cpu_share for run in found)
    waited = max(run.client.cpu_wait_share or 0.0 for run in found)
    busy = f"; waited for a CPU {waited:.1%} of the time" + (
        ": the machine is busy" if waited > 0.005 else ""
    )
    _line(
        "deploygate", f"{ours:.2f} ms, p50 {half:.2f} ms, own lag {lags:.2f} ms; {share:.0%} of a core{busy}"
    )
    _ratio("hey -q", others.hey(server.port, 5, 10, _RATE), lambda said: said.p99_ms, ours, "ms")
    _ratio("Locust", others.locust(server.port, 5, 50, _RATE), lambda said: said.p99_ms, ours, "ms")
    _line("wrk", "has no rate")


def greatest_rate(server: Server) -> None:
    """Print requests per second on one core, flat out."""
    print(
        f"\nrequests per second on one core, flat out, {_CONNECTIONS} connections (target: ours at least 2 times Locust's)"
    )
    # More than it can send, with enough time: all wait their turn, none is given up.
    run = own(server.port, 50_000, 1, max_in_flight=_CONNECTIONS, timeout="30s")
    ours = (run.whole.requests - run.whole.failed) / run.lasted_s
    _line("deploygate", f"{ours:,.0f}/s")
    _ratio("Locust", others.locust(server.port, 6, _CONNECTIONS), lambda said: said.rate, ours, "/s")
    _ratio("hey", others.hey(server.port, 4, _CONNECTIONS), lambda said: said.rate, ours, "/s")
    _ratio("wrk", others.wrk(server.port, 4, _CONNECTIONS), lambda said: said.rate, ours, "/s")


def stall(server: Server) -> None:
    """Print what each tool reports of a server that stalls for one second of ten."""
    print(
        f"\np99 at {_RATE}/s over 10 s with one stall of 1 s; the truth is 900 ms (target: ours within 1 %)"
    )
    tools: dict[str, Callable[[], others.Said | None]] = {
        "deploygate": lambda: _said(own(server.port, _RATE, 10, max_in_flight=2000)),
        "hey -q": lambda: others.hey(server.port, 10, 50, _RATE),
        "Locust": lambda: others.locust(server.port, 10, 50, _RATE),
        "wrk": lambda: others.wrk(server.port, 10, _CONNECTIONS),
    }
    for name, tool in tools.items():
        with server.stalling(4, 1) as lasted_s:
            said = tool()
        # At an even rate a hundredth of all requests, those due in its first tenth of a second, wait longer than this.
        true_ms = (lasted_s[0] - 0.1) * 1000
        told = (
            ""
            if said is None
            else f"{said.p99_ms:.0f} ms of {true_ms:.0f} ms, {said.p99_ms / true_ms - 1:+.1%}"
        )
        _line(name, told or _missing(name))


def _said(run: LoadRun) -> others.Said:
    return others.Said(_ms(run.whole.p99_s), run.client.rate_achieved)


def _values(kind: str) -> Iterator[float]:
    """Yield a million latencies: even ones in a thousand steps, or spread over five powers of ten."""
    rng = random.Random(1)
    for n in range(_SAMPLES):
        yield (n * 7919 % 1000) / 3000 if kind == "even" else 10 ** rng.uniform(-4.3, 0.7)


def judged(kind: str, endpoints: int) -> None:
    """Fill a tally, judge it like the end of a run, and print seconds and MB. Meant for a separate process."""
    before_mb = _peak_mb()
    tally = Tally([f"e{n}" for n in range(endpoints)], (0.2, 0.5))
    for n, value in enumerate(_values(kind)):
        tally.add(n % endpoints, n / 10_000, value)
    began, cpu = perf_counter(), process_time()
    whole, each = tally.result()
    for found in (whole, *each):
        for quantile, limit in ((0.5, 0.2), (0.99, 0.5)):
            quantiles.decide(found.blocks(limit), quantile, 0.05)
    print(
        f"{perf_counter() - began:.3f} {process_time() - cpu:.3f} {_peak_mb() - before_mb:.0f} {_peak_mb():.0f}"
    )


def million(runs: int) -> None:
    """Print the time and memory needed to judge a million samples."""
    print("\n1,000,000 samples summarised and judged, p50 and p99 (target: under 1 s, under 100 MB)")
    for kind, endpoints in (("even", 1), ("spread", 1), ("spread", 5)):
        command = [sys.executable, __file__, "--judged", kind, str(endpoints)]
        said = [
            subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout.split()
            for _ in range(runs)
        ]
        seconds, cpu, more, whole = (statistics.median(float(run[i]) for run in said) for i in range(4))
        name = f"{kind}, {endpoints} endpoint{'s' * (endpoints > 1)}"
        _line(
            name,
            f"{seconds:.2f} s ({cpu:.2f} s of CPU), {more:.0f} MB with the samples (process in all {whole:.0f} MB)",
            22,
        )


def _peak_mb() -> float:
    """Return the peak resident size of this process so far."""
    text = Path("/proc/self/status").read_text()
    return float(next(line for line in text.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def _ms(seconds: float | None) -> float:
    return float("inf") if seconds is None else seconds * 1000


def _line(name: str, text: str, width: int = 12) -> None:
    print(f"  {name:{width}} {text}", flush=True)


def _missing(name: str) -> str:
    tool = name.split(maxsplit=1)[0]
    return f"skipped, not installed: {others.HOW[tool]}"


def _ratio(
    name: str, said: others.Said | None, value: Callable[[others.Said], float], ours: float, unit: str
) -> None:
    if said is None:
        _line(name, _missing(name))
    else:
        found = value(said)
        digits = ",.0f" if unit == "/s" else ".2f"
        _line(name, f"{found:{digits}} {unit}, ours is {ours / found:.2f} times that".replace(" /s", "/s"))


def main(runs: int) -> None:
    """Print everything."""
    load = os.getloadavg()[0]
    print(
        f"{os.cpu_count()} cores, Python {platform.python_version()}, load average {load:.1f} before the start\n"
    )
    with serving() as server:
        constant_rate(server, runs)
        greatest_rate(server)
        stall(server)
    million(runs)
    print()
    decision_errors.main()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--judged"]:
        judged(sys.argv[2], int(sys.argv[3]))
    else:
        main(1 if "--quick" in sys.argv else 5)
