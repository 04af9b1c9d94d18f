"""A runbook as it is printed: planned step by step, and how its execution ended."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console

from pytest_deploygate.checks.way_back.facts import Lost
from pytest_deploygate.model import words_for
from pytest_deploygate.rollback.execution import Ended
from pytest_deploygate.rollback.runbook import Plan


def plan(planned: Plan, loss: Lost | None) -> None:
    """Print each step, the time in all, what would be lost, and the problems."""
    console = Console(highlight=False)
    for number, step in enumerate(planned.steps, start=1):
        console.print(f"{number:2}  {step.name}", style="bold", markup=False)
        if step.loses_writes:
            console.print(
                "    point of no return: from here on, writes that the new side accepted are lost",
                style="yellow",
            )
        takes = f"{words_for(step.estimate_s)} ({step.estimated_from}); call {step.call or 'nobody is named'}"
        for what, said in (("would", step.would), ("verified by", step.verified_by), ("takes", takes)):
            console.print(f"    {what}: {said}", markup=False, soft_wrap=True)
    fits = "fits" if planned.estimate_s <= planned.allowed_s else "does NOT fit"
    console.print(f"total {words_for(planned.estimate_s)}: {fits} into {words_for(planned.allowed_s)}")
    if loss is not None:
        rows = loss.problem if loss.rows is None else f"{loss.rows} rows that the new side accepted"
        console.print(f"a rollback now would lose: {rows}")
    for problem in [*planned.problems, *(f"{s.name}: {p}" for s in planned.steps for p in s.problems)]:
        console.print(f"  problem: {problem}", style="red", markup=False)


def plan_json(planned: Plan, loss: Lost | None) -> dict[str, Any]:
    """Return the plan as `--json` prints it; the keys are stable."""
    return {
        "sound": planned.sound,
        "estimate_s": planned.estimate_s,
        "allowed_s": planned.allowed_s,
        "problems": list(planned.problems),
        "loss": None if loss is None else {"rows": loss.rows, "problem": loss.problem},
        "steps": [
            {
                "name": step.name,
                "would": step.would,
                "verified_by": step.verified_by,
                "estimate_s": step.estimate_s,
                "estimated_from": step.estimated_from,
                "call": step.call,
                "loses_writes": step.loses_writes,
                "problems": list(step.problems),
            }
            for step in planned.steps
        ],
    }


def ended(console: Console, end: Ended, to_call: Iterable[str]) -> None:
    """Print how an execution ended; after a failure also whom to call and the state of the platform."""
    if end.verified:
        console.print("rolled back and verified: every step was executed and took effect", style="bold green")
        return
    console.print(
        f"ROLLBACK FAILED at {end.failed}: {end.why}", style="bold red", markup=False, soft_wrap=True
    )
    for line in to_call:
        console.print(line, style="bold", markup=False, soft_wrap=True)
    console.print("the state of the platform now:")
    for one in end.platform:
        mark = "as wanted" if one.good else "NOT as wanted"
        console.print(f"  {one.step}: {mark}: {one.said}", markup=False, soft_wrap=True)
    console.print(f"not started: {', '.join(end.left) or 'nothing else'}", markup=False, soft_wrap=True)
    console.print("fix the cause, then run the same command again: completed steps are not repeated")


def ended_json(end: Ended) -> dict[str, Any]:
    """Return the end of an execution as `--json` prints it; the keys are stable."""
    return {
        "verified": end.verified,
        "failed": end.failed,
        "why": end.why,
        "call": end.call,
        "left": list(end.left),
        "platform": [{"step": s.step, "as_wanted": s.good, "said": s.said} for s in end.platform],
        "steps": [
            {"step": line.step, "mark": line.mark.value, "said": line.said, "took_s": line.took_s}
            for line in end.progress.lines
            if line.step
        ],
    }
