"""Looking at a runbook before it is needed: its mistakes, what each step would do, and whether it fits into the time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from pytest_deploygate.inventory.rollback import Rollback, Step
from pytest_deploygate.model import words_for
from pytest_deploygate.rollback import actions
from pytest_deploygate.rollback.actions import Tools


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step as the plan shows it. `estimate_s` with where it comes from; `would` what it would do; `problems` in words."""

    name: str
    would: str
    verified_by: str
    estimate_s: float
    estimated_from: str
    call: str
    loses_writes: bool
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A runbook, looked at. `allowed_s` is the window that the estimates must fit into."""

    steps: tuple[PlannedStep, ...]
    allowed_s: float
    problems: tuple[str, ...]

    @property
    def estimate_s(self) -> float:
        """How long it takes in all."""
        return sum(step.estimate_s for step in self.steps)

    @property
    def sound(self) -> bool:
        """True when it can be relied on."""
        return not self.problems and not any(step.problems for step in self.steps)


def plan(section: Rollback, steps: Sequence[Step], tools: Tools) -> Plan:
    """Lint, look at every step without changing anything (side by side), and add up the estimates."""
    durations = rehearsed(section.rehearsals)
    with ThreadPoolExecutor(max(1, min(len(steps), 4))) as pool:
        looks = list(pool.map(lambda step: actions.plan(step, tools), steps))
    planned = []
    for step, look in zip(steps, looks, strict=True):
        estimate_s, source = _estimate(step, durations)
        problems = list(_lint(step))
        if not look.good:
            problems.append(look.said)
        planned.append(
            PlannedStep(
                step.name,
                look.said,
                _how(step),
                estimate_s,
                source,
                step.call,
                step.past_return,
                tuple(problems),
            )
        )
    allowed_s = section.rollback_within.total_seconds()
    found = Plan(tuple(planned), allowed_s, ())
    return Plan(found.steps, allowed_s, tuple(_whole(section, steps, found.estimate_s)))


def rehearsed(file: Path | None) -> dict[str, list[float]]:
    """Return how long each step took in earlier rehearsals, in seconds; nothing where there is no readable file."""
    try:
        plain = json.loads(file.read_text()) if file else {}
        return {str(name): [float(value) for value in values] for name, values in plain.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def remember(file: Path, took_s: Mapping[str, float], most: int = 20) -> None:
    """Add how long steps took to the file of rehearsals; the newest `most` of each are kept. Raises OSError."""
    known = rehearsed(file)
    for name, seconds in took_s.items():
        known[name] = [*known.get(name, []), round(seconds, 3)][-most:]
    unfinished = file.with_name(f".{file.name}.part")
    unfinished.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    unfinished.replace(file)


def _estimate(step: Step, durations: Mapping[str, Sequence[float]]) -> tuple[float, str]:
    if measured := durations.get(step.name):
        return median(measured), f"{len(measured)} rehearsals" if len(measured) > 1 else "one rehearsal"
    if step.estimate is not None:
        return step.estimate.total_seconds(), "the inventory"
    return step.within.total_seconds(), "its limit: never rehearsed, no estimate"


def _lint(step: Step) -> list[str]:
    found = []
    if not actions.verifiable(step):
        found.append("nothing verifies it: add `verify` (a step that is not verified never counts as done)")
    if not step.call:
        found.append("says nobody to call when it fails: add `call: ROLE`")
    if step.verify_only and step.verify is None:
        found.append("verifies only, and has no `verify`")
    return found


def _whole(section: Rollback, steps: Sequence[Step], estimate_s: float) -> list[str]:
    if not steps:
        return ["the runbook has no steps: add `rollback.steps`"]
    found = []
    if estimate_s > section.rollback_within.total_seconds():
        found.append(
            f"the steps are estimated at {words_for(estimate_s)} in all, "
            f"more than the {words_for(section.rollback_within)} there are"
        )
    names = [step.name for step in steps if step.dns is not None]
    changing = [n for n, step in enumerate(steps) if step.run or step.restore or step.redeploy]
    last_change = max(changing, default=-1)
    first_dns = next((n for n, step in enumerate(steps) if step.dns is not None), None)
    if first_dns is not None and first_dns < last_change and any(s.past_return for s in steps):
        found.append(
            f"{names[0]!r} brings users back before {steps[last_change].name!r} is done: switch DNS last"
        )
    if any(step.past_return for step in steps) and section.loss is None:
        found.append("a step loses writes and `rollback.loss` does not say how to count them")
    return found


def _how(step: Step) -> str:
    ways = []
    if step.dns is not None:
        ways.append("every authoritative server asked")
    if step.haproxy is not None:
        ways.append("HAProxy's own state")
    if step.restore is not None:
        ways.append("the server by query, on the restored data")
    if step.redeploy is not None:
        ways.append(f"`{step.redeploy.check}`" if step.redeploy.check else "what runs now")
    if step.page is not None:
        ways.append(f"{step.page.url} as a user sees it")
    if step.verify is not None:
        if step.verify.run is not None:
            ways.append(f"`{step.verify.run}`")
        elif step.verify.endpoint is not None:
            ways.append(f"{step.verify.endpoint.name} answers")
        else:
            ways.append(f"items {', '.join(step.verify.items or [])}")
    return ", ".join(ways) or "nothing"
