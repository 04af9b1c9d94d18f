"""What comes before a drill: changes of an earlier one are taken back, and nothing speaks against another one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from pytest_deploygate.checks.replication.probe.failover import COMMAND_BOUND_S, run_command
from pytest_deploygate.checks.replication.probe.managed import whole
from pytest_deploygate.checks.replication.probe.managed.planning import Context
from pytest_deploygate.checks.replication.probe.managed.steps import Step, Steps
from pytest_deploygate.checks.replication.section import Managed
from pytest_deploygate.clients.host import commands
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.fields.postgres import Node
from pytest_deploygate.model import CannotTell, words_for

Say = Callable[[str], None]


def restore_pending(about: Context, tell: Say) -> int:
    """Take back the changes that are on disk, the newest first."""
    steps = Steps(about.managed.record)
    pending = steps.pending()
    for step in reversed(pending):
        tell(f"taking back what an earlier drill left: {step.what} ({step.node})")
        problem = _take_back(about, step)
        if problem:
            raise CannotTell(
                f"an earlier drill left {step.what} ({step.node}), and that cannot be taken back: {problem}; do it by hand, "
                f"then remove {steps.file}"
            )
        steps.done(step)
    return len(pending)


def _take_back(about: Context, step: Step) -> str:
    if step.undo:
        return run_command(step.undo, _node(about.cluster, step.node))
    return whole.lead(about.cluster, about.managed, about.manager, step.node)


def may_begin(about: Context) -> None:
    """Raises CannotTell with the reason and the next step where a drill would do harm."""
    if why := about.manager.refusal():
        raise CannotTell(f"no drill was begun: {why}")
    if why := whole.ailing(about.cluster):
        raise CannotTell(f"no drill was begun: {why}; a drill needs every node")
    _fresh_backup(about.managed)


def _fresh_backup(managed: Managed) -> None:
    if managed.newest_backup is None:
        return
    ran = commands.run(managed.newest_backup, within_s=COMMAND_BOUND_S)
    if ran.problem:
        raise CannotTell(f"no drill was begun: the newest backup is unknown: `{ran.command}` {ran.problem}")
    said = ran.said.strip().splitlines()[-1:] or [""]
    when = _time(said[0].strip())
    if when is None:
        raise CannotTell(
            f"no drill was begun: `{ran.command}` printed {said[0]!r}, expected a time (ISO 8601 with zone, or Unix seconds)"
        )
    age = datetime.now(UTC) - when
    if age > managed.backup_within:
        raise CannotTell(
            f"no drill was begun: the newest backup is {words_for(age)} old, limit {words_for(managed.backup_within)}: take one"
        )


def _time(text: str) -> datetime | None:
    try:
        if text.replace(".", "", 1).isdigit():
            return datetime.fromtimestamp(float(text), UTC)
        found = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        return None
    return found if found.tzinfo else None


def _node(cluster: Cluster, name: str) -> Node:
    return next((node for node in cluster.nodes if node.name == name), cluster.primary)
