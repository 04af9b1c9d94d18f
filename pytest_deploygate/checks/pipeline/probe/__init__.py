"""Send events from synthetic devices, and look where they come out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_deploygate.checks.pipeline.facts import Measured
from pytest_deploygate.checks.pipeline.section import Pipeline
from pytest_deploygate.model import CannotTell

if TYPE_CHECKING:
    from pytest_deploygate.clients.budget import Budget
    from pytest_deploygate.clients.postgres.cluster import Cluster

__all__ = ["measured"]


def measured(
    pipeline: Pipeline, name: str, database: Cluster | None, budget: Budget, *, allowed: bool
) -> Measured:
    """Send the events of the inventory called `name`, and return what became of them.

    Raises CannotTell if that is not allowed there, if no way in or no way out can be used, and Ended.
    """
    if not allowed and pipeline.opt_in != name:
        said = (
            f"`pipeline.opt_in` names {pipeline.opt_in!r}"
            if pipeline.opt_in
            else "the inventory has no opt-in"
        )
        raise CannotTell(
            f"no event was sent: {said}; set `opt_in: {name}` under `pipeline` once synthetic events are agreed there, or run "
            f"with `--allow-disruptive={name}`"
        )
    from pytest_deploygate.checks.pipeline.probe import whole  # noqa: PLC0415 (aiohttp, only if events are sent)

    return whole.measure(pipeline, database, budget)
