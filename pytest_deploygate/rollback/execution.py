"""Rolling back step by step: each step is journalled before and after, verified, and not repeated unless idempotent."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

from pytest_deploygate.checks.way_back.section.rollback import Step
from pytest_deploygate.clients.host import commands
from pytest_deploygate.journal import Writer
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.moments import present
from pytest_deploygate.rollback import actions, progress
from pytest_deploygate.rollback.actions import Tools
from pytest_deploygate.rollback.progress import Line, Mark, Progress

#: Called before the first step that loses writes. Returns why it must not be done; empty: it may.
Brink = Callable[[], str]
#: Called with the step and its progress.
Say = Callable[[str, str], None]


#: The kind of journal line that records the state of the platform when a rollback stopped.
PLATFORM = "platform"


@dataclass(frozen=True)
class Subject:
    """The target of a step, checked once: whether it is in the wanted state, and what was seen."""

    step: str
    good: bool
    said: str


@dataclass(frozen=True)
class Ended:
    """How a rollback ended. `failed` is the step that stopped it, `why` the cause; empty if every step was verified.

    `left` are the steps that were not begun, `platform` is the state of each step's target when it stopped.
    """

    progress: Progress
    failed: str = ""
    why: str = ""
    call: str = ""
    left: tuple[str, ...] = ()
    platform: tuple[Subject, ...] = ()

    @property
    def verified(self) -> bool:
        """True only when every step was done and verified."""
        return not self.failed


def execute(
    writer: Writer,
    name: str,
    steps: Sequence[Step],
    tools: Tools,
    say: Say = lambda _step, _said: None,
    brink: Brink = lambda: "",
) -> Ended:
    """Do the remaining steps of the rollback `name` in order, and stop at the first that fails.

    A rollback that was begun is resumed, one that ended is not begun again. `writer` locks the journal: two
    rollbacks of one change at once are impossible. Raises JournalError if a line cannot be written: without a record
    nothing is done.
    """
    if progress.of(writer.entries, name) is None:
        names = "\n".join(step.name for step in steps)
        _keep(writer, Line(name, Mark.BEGUN, present(), said=names))
    so_far = _standing(writer, name)
    for number, step in enumerate(() if so_far.ended else steps):
        so_far = _standing(writer, name)
        if so_far.done(step.name):
            continue
        why = _step(writer, so_far, step, tools, say, brink)
        if why:
            _keep(writer, Line(name, Mark.STOPPED, present(), step.name, why))
            left = tuple(later.name for later in steps[number + 1 :])
            seen = platform(steps, tools)
            writer.append(PLATFORM, {"rollback": name, "seen": [asdict(one) for one in seen]})
            return Ended(_standing(writer, name), step.name, why, step.call, left, seen)
    if not _standing(writer, name).ended:
        _keep(writer, Line(name, Mark.ENDED, present()))
    return Ended(_standing(writer, name))


def platform(steps: Sequence[Step], tools: Tools) -> tuple[Subject, ...]:
    """Check the target of each step in parallel: what state is the platform in now? Changes nothing."""
    with ThreadPoolExecutor(4) as pool:
        looks = pool.map(lambda step: actions.look(step, tools), steps)
        return tuple(
            Subject(step.name, look.good, look.said)
            for step, look in zip(steps, looks, strict=True)
            if look is not None
        )


def _step(writer: Writer, so_far: Progress, step: Step, tools: Tools, say: Say, brink: Brink) -> str:
    """Do and verify one step. Return why it failed; empty: done.

    The result says how long doing and verifying took, the intent how long the counting and saving before it took.
    """
    began = time.monotonic()

    def end(mark: Mark, said: str, *, after_crash: bool = False) -> str:
        took_s = time.monotonic() - began
        _keep(writer, Line(so_far.id, mark, present(), step.name, said, took_s, after_crash))
        say(step.name, f"{mark.value}: {said}")
        return "" if mark is Mark.DONE else said

    unmet = [name for name in step.needs if not so_far.done(name)]
    if unmet:
        return end(Mark.FAILED, f"needs {', '.join(unmet)}, which is not done")
    mark = writer.folder / ".step"
    if not commands.idle(mark, step.within.total_seconds()):
        return end(
            Mark.FAILED,
            "a command left behind by a crash is still running: wait for it to finish, or stop it",
        )
    if so_far.mark_of(step.name) is not None:  # a crash interrupted it, or it failed before
        say(step.name, "was begun before: checking whether it took effect")
        found = actions.verify(step, tools)
        if found.good:
            return end(Mark.DONE, found.said, after_crash=True)
        if not step.idempotent:
            why = f"it was begun before and has not taken effect ({found.said}); it must not be done twice: check it by hand"
            return end(Mark.FAILED, why)
    counting = time.monotonic()
    if so_far.mark_of(step.name) is None and step.past_return and (why := brink()):
        return end(Mark.FAILED, why)
    began = time.monotonic()
    counted_s = began - counting
    _keep(writer, Line(so_far.id, Mark.INTENT, present(), step.name, took_s=counted_s))
    say(step.name, "begun")
    with commands.marked(mark) as kept:
        problem = actions.do(step, tools, kept)
    if problem:
        return end(Mark.FAILED, problem)
    found = actions.verify_patiently(step, tools)
    return end(Mark.DONE if found.good else Mark.FAILED, found.said)


def _standing(writer: Writer, name: str) -> Progress:
    found = progress.of(writer.entries, name)
    if found is None:  # cannot be: a rollback begins with its line
        raise AssertionError("the rollback's first line is not in the journal")
    return found


def _keep(writer: Writer, line: Line) -> None:
    writer.append(progress.KIND, progress.to_json(line))
