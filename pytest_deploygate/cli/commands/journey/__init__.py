"""Record a journey in a browser, or go through one and show its steps."""

from __future__ import annotations

import click

from pytest_deploygate.cli.shared.groups import Folder


@click.group(cls=Folder, package=__name__)
def journey() -> None:
    """Record a journey in a browser, or go through one and show its steps.

    \b
    deploygate journey record https://app.example.com --name "reads a report"
    deploygate journey run "sees the plant" --inventory staging
    """
