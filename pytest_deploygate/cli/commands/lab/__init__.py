"""Run a small database platform on this machine, to try things on."""

from __future__ import annotations

import click

from pytest_deploygate.cli.shared.groups import Folder


@click.group(cls=Folder, package=__name__)
def lab() -> None:
    """Run a small manufacturing platform on this machine with real servers, break it and repair it.

    \b
    deploygate lab up
    deploygate lab fault receiver-frozen
    pytest -m phase2 --inventory lab
    deploygate lab heal
    deploygate lab down
    """
