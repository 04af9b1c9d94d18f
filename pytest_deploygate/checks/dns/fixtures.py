"""Earlier observations of the zone, and the progress display of a switch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.table import Table

from pytest_deploygate.checks.dns.probe import history
from pytest_deploygate.checks.dns.probe.propagation import Progress
from pytest_deploygate.checks.dns.section import Dns


@pytest.fixture(scope="session")
def dns_observations(change_folder: Path, dns: Dns) -> Path:
    """The file of earlier observations of TTLs: in the change's folder, unless the inventory names one."""
    return dns.observations or change_folder / history.FILE


@pytest.fixture
def show_propagation(live_display: Callable[[Any], None]) -> Callable[[Progress], None]:
    """Show which servers have the new answer, live in a terminal; a switch that is complete at once shows nothing."""
    shown: list[Progress] = []

    def show(progress: Progress) -> None:
        if shown or not all(new for _, _, new in progress.rows):
            shown.append(progress)
            live_display(propagation_table(progress))

    return show


def propagation_table(progress: Progress) -> Table:
    """Draw the progress of a switch."""
    done = sum(new for _, _, new in progress.rows)
    table = Table(
        title=f"{progress.name}: {done} of {len(progress.rows)} have the new answer, "
        f"{progress.elapsed_s:.0f} of {progress.deadline_s:.0f} s",
        title_justify="left",
        box=None,
    )
    for column in ("server", "answers", ""):
        table.add_column(column, overflow="fold")
    for server, says, new in progress.rows:
        table.add_row(server, says, "[green]new[/]" if new else "[yellow]waiting[/]")
    return table
