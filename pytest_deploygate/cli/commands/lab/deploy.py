"""Deploy a version of the application in the lab."""

from __future__ import annotations

import click

from pytest_deploygate.cli.shared import running_lab
from pytest_deploygate.lab import releases
from pytest_deploygate.lab.app import NEW_VERSION, OLD_VERSION
from pytest_deploygate.lab.state import load


@click.command()
@click.argument("version", type=click.Choice(releases.VERSIONS))
@click.option(
    "--change",
    default="version-2",
    show_default=True,
    metavar="ID",
    help="The change; it names the restore point before-ID.",
)
@click.option("--check", is_flag=True, help="Change nothing; exit 1 if this version is not running whole.")
def deploy(version: str, *, change: str, check: bool) -> None:
    """Deploy VERSION of the platform's application, or start the old version again.

    \b
    deploygate lab deploy 2.0.0 --change CHG-7
    deploygate lab deploy 1.4.2
    deploygate lab deploy 1.4.2 --check
    """
    with running_lab.plainly():
        lab = load()
        if not check and version == NEW_VERSION:
            releases.deploy_new(lab, change)
        elif not check:
            releases.bring_up_old(lab)
        if why := releases.why_not(lab, version):
            raise click.ClickException(why)
    click.echo(f"version {version} runs on {'both' if version == OLD_VERSION else 'two new'} replicas")
