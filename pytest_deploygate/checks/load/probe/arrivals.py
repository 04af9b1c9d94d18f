"""When each request of a run is due, and to which endpoint: fixed before it starts, and the same in every run."""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Sequence

from pytest_deploygate.checks.load.section import RateStage
from pytest_deploygate.lazy import dataclass

_SEED = 20_250_101


@dataclass(frozen=True)
class Plan:
    """Due times in seconds since the start, ascending, and the endpoint's index for each."""

    due_s: array[float]
    endpoint: array[int]
    lasts_s: float


def plan(stages: Sequence[RateStage], weights: Sequence[float], most: int) -> Plan:
    """Spread requests evenly over each stage (over a ramp, in proportion to its rate); at most `most` of them.

    Endpoints are drawn by weight with a fixed seed: not in step with anything on the server, yet repeatable.
    """
    due = array("d")
    began = carried = 0.0
    for stage in stages:
        lasts = stage.lasts.total_seconds()
        end = stage.rate if stage.to is None else stage.to
        count = (stage.rate + end) / 2 * lasts
        number = 1.0 - carried if carried else 0.0
        while number < count - 1e-9 and len(due) < most:
            due.append(began + _when(number, stage.rate, end, lasts))
            number += 1.0
        carried = (count - number) % 1.0
        began += lasts
    drawn = random.Random(_SEED).choices(range(len(weights)), weights, k=len(due))  # noqa: S311 (no secret)
    return Plan(due, array("H", drawn), began)


def part(whole: Plan, index: int, of: int) -> Plan:
    """Return part `index` (from 1 on) of a plan: every `of`-th request, so that all parts together are the plan."""
    return Plan(whole.due_s[index - 1 :: of], whole.endpoint[index - 1 :: of], whole.lasts_s)


def _when(number: float, rate: float, end: float, lasts_s: float) -> float:
    """Return when a rate that changes linearly from `rate` to `end` has produced `number` requests."""
    slope = (end - rate) / lasts_s if lasts_s else 0.0
    if abs(slope) < 1e-12:
        return number / rate
    if number <= 0:
        return 0.0
    return 2 * number / (rate + math.sqrt(max(0.0, rate * rate + 2 * slope * number)))
