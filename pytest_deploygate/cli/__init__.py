"""The `deploygate` command: everything around a run that is not the run itself."""

from __future__ import annotations

import click

import pytest_deploygate
from pytest_deploygate.cli.shared.groups import Folder
from pytest_deploygate.streams import without_secrets


@click.group(
    cls=Folder,
    package=f"{__name__}.commands",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="`deploygate COMMAND --help` shows options, exit codes and examples.",
)
@click.version_option(pytest_deploygate.__version__, prog_name="deploygate")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Do what comes before and after a run of the deployment checklist.

    The checklist itself is run by pytest: `pytest -m PHASE --inventory NAME`.
    """
    ctx.with_resource(without_secrets())
