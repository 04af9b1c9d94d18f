"""The `deploygate` command: everything around a run that is not the run itself."""

from __future__ import annotations

import click

import pytest_deploygate
from pytest_deploygate.cli.shared.groups import Folder


@click.group(
    cls=Folder,
    package=f"{__name__}.commands",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="`deploygate COMMAND --help` shows options, exit codes and examples.",
)
@click.version_option(pytest_deploygate.__version__, prog_name="deploygate")
def main() -> None:
    """Do what comes before and after a run of the deployment checklist.

    The checklist itself is run by pytest: `pytest -m PHASE --inventory NAME`.
    """
