"""Reviewing a runbook before it is needed: its mistakes, what each step would do, and whether it fits the time limit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from pytest_deploygate.checks.way_back.judge.rollback_plan import StepSeen
from pytest_deploygate.checks.way_back.section.rollback import Rollback, Step
from pytest_deploygate.clients import reach
from pytest_deploygate.files import bounded, write_whole
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import words_for
from pytest_deploygate.rollback import actions
from pytest_deploygate.rollback.actions import Tools


@dataclass(frozen=True)
class Plan:
    """A reviewed runbook. `allowed_s` is the time that the estimates must fit into."""

    steps: tuple[StepSeen, ...]
    allowed_s: float
    problems: tuple[str, ...]

    @property
    def estimate_s(self) -> float:
        """The estimate for all steps."""
        return sum(step.estimate_s for step in self.steps)

    @property
    def sound(self) -> bool:
        """True if it can be relied on."""
        return not self.problems and not any(step.problems for step in self.steps)


def plan(section: Rollback, steps: Sequence[Step], tools: Tools) -> Plan:
    """Lint, plan every step in parallel without changing anything, and add up the estimates."""
    durations = rehearsed(section.rehearsals)
    with ThreadPoolExecutor(max(1, min(len(steps), 4))) as pool:
        looks = list(pool.map(lambda step: actions.plan(step, tools), steps))
    planned = []
    for step, look in zip(steps, looks, strict=True):
        estimate_s, source = _estimate(step, durations)
        problems = list(_lint(step))
        # What our own side cannot reach says nothing about the step.
        unreached = not look.good and bool(reach.why_ours_in(look.said))
        if not look.good and not unreached:
            problems.append(look.said)
        planned.append(
            StepSeen(
                step.name,
                look.said,
                _how(step),
                estimate_s,
                source,
                step.call,
                step.past_return,
                tuple(problems),
                look.said if unreached else "",
            )
        )
    allowed_s = section.rollback_within.total_seconds()
    found = Plan(tuple(planned), allowed_s, ())
    return Plan(found.steps, allowed_s, tuple(_whole(section, steps, found.estimate_s)))


def rehearsed(file: Path | None) -> dict[str, list[float]]:
    """Return how long each step took in earlier rehearsals, in seconds; empty without a readable file."""
    found: dict[str, list[float]] = {}
    for _, took_s in _rehearsals(file):
        for name, seconds in took_s.items():
            found.setdefault(name, []).append(seconds)
    return found


def last_rehearsed(file: Path | None) -> datetime | None:
    """Return when the newest rehearsal in the file ended; None if there is none."""
    return max((at for at, _ in _rehearsals(file)), default=None)


def remember(file: Path, took_s: Mapping[str, float], at: datetime | None = None, most: int = 20) -> None:
    """Add a rehearsal to the file: when, and how long each step took; the newest `most` are kept. Raises OSError."""
    known = [*_rehearsals(file), (at or datetime.now(UTC), {name: round(s, 3) for name, s in took_s.items()})]
    plain = {"rehearsals": [{"at": when.isoformat(), "took_s": dict(steps)} for when, steps in known[-most:]]}
    write_whole(file, json.dumps(plain, indent=1, sort_keys=True) + "\n")


def _rehearsals(file: Path | None) -> list[tuple[datetime, Mapping[str, float]]]:
    """Read the file, oldest first. What cannot be read counts as never rehearsed."""
    try:
        plain = bounded.from_json(bounded.read(file))["rehearsals"] if file else []
        found = [
            (datetime.fromisoformat(one["at"]), {str(n): float(s) for n, s in one["took_s"].items()})
            for one in plain
        ]
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return []
    return sorted((one for one in found if one[0].tzinfo), key=lambda one: one[0])


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
        found.append("names nobody to call when it fails: add `call: ROLE`")
    if step.verify_only and step.verify is None:
        found.append("only verifies, but has no `verify`")
    return found


def _whole(section: Rollback, steps: Sequence[Step], estimate_s: float) -> list[str]:
    if not steps:
        return ["the runbook has no steps: add `rollback.steps`"]
    found = []
    if estimate_s > section.rollback_within.total_seconds():
        found.append(
            f"the steps are estimated to take {words_for(estimate_s)} in total, "
            f"more than the {words_for(section.rollback_within)} of `rollback_within`"
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
        found.append("a step loses writes, but `rollback.loss` does not say how to count them")
    return found


def _how(step: Step) -> str:
    ways = []
    if step.dns is not None:
        ways.append("every authoritative server queried")
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
        elif step.verify.health is not None:
            ways.append(f"{step.verify.health.name} answers")
        else:
            ways.append(f"items {', '.join(step.verify.items or [])}")
    return ", ".join(ways) or "nothing"
