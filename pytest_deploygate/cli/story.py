"""`deploygate lab story` and the commands that its runbook calls: deploying a version, saving the writes that are lost."""

from __future__ import annotations

from pathlib import Path

import click

from pytest_deploygate.cli import rehearsal_back
from pytest_deploygate.cli.rehearsal import rehearse
from pytest_deploygate.cli.repository import find_root
from pytest_deploygate.fields.sources.lab import lab_folder
from pytest_deploygate.lab import releases, story
from pytest_deploygate.lab.app import NEW_VERSION, OLD_VERSION
from pytest_deploygate.lab.state import Lab, LabError, load


@click.command("story")
@click.option(
    "--inventory", default="lab", show_default=True, metavar="NAME|PATH", help="The lab's inventory."
)
@click.option("--keep", is_flag=True, help="Leave the lab as the rollback left it; else it is as before.")
@click.option(
    "--interrupt", is_flag=True, help="Kill the rollback three times on its way (SIGKILL) and go on."
)
def lab_story(*, inventory: str, keep: bool, interrupt: bool) -> None:
    """Go live with version 2, have it break, let the gate say ROLLBACK, and go back: on real servers, in two minutes.

    The lab is started where it does not run. What each command said is in deploygate-out/story/story.log.

    \b
    deploygate lab story
    deploygate lab story --interrupt
    deploygate lab story --keep    # look around afterwards; `deploygate lab reset` mends
    """
    root = find_root(Path.cwd())
    try:
        out = root / "deploygate-out" / "story"
        story.tell(lab_folder(), root, inventory, out, _drills, keep=keep, interrupt=interrupt)
    except LabError as error:
        raise click.ClickException(str(error)) from None


def _drills(_lab: Lab) -> None:
    rehearse(lambda _what, _seconds: None)


@click.command("rehearse")
def lab_rehearse() -> None:
    """Rehearse the way back that inventories/lab-guards.yml describes: runbook gone once, baseline measured, cutover noted.

    \b
    deploygate lab rehearse
    pytest --items day.rollback-plan,guard.baseline,guard.loss-if-rolled-back,guard.old-side-fenced --inventory lab-guards
    """
    try:
        problem = rehearsal_back.rehearse(load(lab_folder()), find_root(Path.cwd()))
    except LabError as error:
        raise click.ClickException(str(error)) from None
    if problem:
        raise click.ClickException(problem)
    click.echo("rehearsed: the runbook was gone once, the baseline is measured, the cutover is now")


@click.command("deploy")
@click.argument("version", type=click.Choice(releases.VERSIONS))
@click.option(
    "--change", default="version-2", show_default=True, help="Names the restore point before-CHANGE."
)
@click.option("--check", is_flag=True, help="Do nothing; exit 1 where this version does not run whole.")
def lab_deploy(version: str, change: str, check: bool) -> None:
    """Deploy a VERSION of the platform's application, or bring the old one up again.

    \b
    deploygate lab deploy 2.0.0 --change CHG-7
    deploygate lab deploy 1.4.2
    deploygate lab deploy 1.4.2 --check
    """
    try:
        lab = load()
        if not check and version == NEW_VERSION:
            releases.deploy_new(lab, change)
        elif not check:
            releases.bring_up_old(lab)
        if why := releases.why_not(lab, version):
            raise click.ClickException(why)
    except LabError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"version {version} runs on {'both' if version == OLD_VERSION else 'two new'} replicas")


@click.command("lost-writes", hidden=True)
@click.argument("file", type=click.Path(path_type=Path))
def lab_lost_writes(file: Path) -> None:
    """Save as CSV what version 2 has accepted since the cutover."""
    try:
        rows = releases.save_writes(load(), file)
    except LabError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{rows} readings in {file}")
