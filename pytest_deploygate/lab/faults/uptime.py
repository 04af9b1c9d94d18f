"""Faults of uptime: what the record of the watch on the front says, and whether it can be trusted."""

from __future__ import annotations

import shlex
import signal
import sys
from pathlib import Path

from pytest_deploygate.checks.uptime.probe.record import Record, Sample, Writer, read
from pytest_deploygate.lab import client, processes
from pytest_deploygate.lab.faults import Fault
from pytest_deploygate.lab.services import front
from pytest_deploygate.lab.state import Lab

_NEEDS = (front.FRONT,)
_OUTAGE_S = 6.0
_GAP_S = 8.0


def _kept(lab: Lab) -> Path:
    return front.record(lab).with_suffix(".kept")


def _put_aside(lab: Lab) -> Record:
    """Move the record of the lab's first seconds aside once it is complete, and return its content."""
    front.wait_watched(lab)
    front.record(lab).replace(_kept(lab))
    return read(_kept(lab))


def _bring_back(lab: Lab) -> None:
    if _kept(lab).exists():
        _kept(lab).replace(front.record(lab))


def _watch_an_outage(lab: Lab) -> None:
    """Stop nginx, watch the outage for some seconds as a user would, and start nginx again."""
    inventory = front.lab_inventory(Path.cwd())
    _put_aside(lab)
    client.stop(lab, front.FRONT, signal.SIGTERM)
    try:
        words = [
            sys.executable,
            "-m",
            "pytest_deploygate",
            "watch",
            "--inventory",
            str(inventory),
            "--vantage",
            "lab",
        ]
        words += ["--t0", "now", "--for", f"{_OUTAGE_S:.0f}s", "--record", str(front.record(lab))]
        processes.run(
            ["/bin/sh", "-c", f"exec {shlex.join(words)}"], user=None, env={"DEPLOYGATE_LAB": str(lab.folder)}
        )
    finally:
        client.start(lab, front.FRONT)


def _start_front(lab: Lab) -> None:
    client.start(lab, front.FRONT)
    _bring_back(lab)
    front.wait_whole(lab)


def _rewrite(lab: Lab, change: str) -> None:
    """Rewrite the record with a few seconds in its middle that were not seen, or in which the front is down."""
    found = _put_aside(lab)
    header = {
        "inventory": found.inventory,
        "vantage": found.vantage,
        "t0": found.t0,
        "targets": found.targets,
    }
    run = found.runs[0]
    start = found.t0 + (run.until - found.t0) / 3
    with Writer(front.record(lab), header) as writer:
        begin = {"run": 1, "until": run.until, "every_s": run.every_s, "pid": run.pid}
        writer.append(begin | {"at": run.at})
        for sample in run.samples:
            inside = start <= sample.at < start + _GAP_S
            if inside and change == "unseen":
                continue
            if change == "unseen" and start + _GAP_S <= sample.at < start + _GAP_S + run.every_s:
                writer.append(begin | {"at": sample.at})
            writer.append(_entry(sample, up=not (inside and change == "down")))
        writer.append({"end": "complete", "at": run.until}, sync=True)


def _entry(sample: Sample, *, up: bool) -> dict[str, object]:
    entry: dict[str, object] = {"at": sample.at, "n": sample.target, "up": up, "ms": sample.took_ms}
    return entry if up else entry | {"why": "HTTP 502, expected 200"}


def _touch_up(lab: Lab) -> None:
    """Write an outage into the record, and then change each of its lines to `up`."""
    _rewrite(lab, "down")
    text = front.record(lab).read_text()
    front.record(lab).write_text(text.replace('"up":false', '"up":true'))


OUTAGE = Fault(
    "uptime-outage",
    "the watch saw the front down for 6 s of its window; it is up again now",
    {"crit.uptime": "fail"},
    _watch_an_outage,
    _start_front,
    says="the budget of 3 s is spent",
    needs=_NEEDS,
)
GAP = Fault(
    "uptime-watch-killed",
    "the watch was killed and started again 8 s later: nobody saw the front meanwhile",
    {"crit.uptime": "inconclusive"},
    lambda lab: _rewrite(lab, "unseen"),
    _bring_back,
    says="were not observed",
    needs=_NEEDS,
)
CHANGED = Fault(
    "uptime-record-changed",
    "the outage in the record of the watch was changed to `up`",
    {"crit.uptime": "inconclusive"},
    _touch_up,
    _bring_back,
    says="the record was changed",
    needs=_NEEDS,
)
