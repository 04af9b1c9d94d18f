"""Go live, break, and roll back on real servers, in two minutes."""

from __future__ import annotations

from pathlib import Path

import click

from pytest_deploygate.cli.shared import lab_drills, running_lab
from pytest_deploygate.cli.shared.root import find_root
from pytest_deploygate.fields.references import lab_folder
from pytest_deploygate.lab import story as telling
from pytest_deploygate.lab.state import Lab


@click.command()
@click.option(
    "--inventory", default="lab", show_default=True, metavar="NAME|PATH", help="The inventory of the lab."
)
@click.option("--keep", is_flag=True, help="Leave the lab as the rollback left it. Default: restore it.")
@click.option("--interrupt", is_flag=True, help="Kill the rollback three times (SIGKILL) and continue it.")
def story(*, inventory: str, keep: bool, interrupt: bool) -> None:
    """Go live with version 2, break it, let the gate advise ROLLBACK, and roll back: on real servers, in two minutes.

    The lab is started if it is not running. What each command printed is in deploygate-out/story/story.log.

    \b
    deploygate lab story
    deploygate lab story --interrupt
    deploygate lab story --keep    # look around afterwards; `deploygate lab reset` restores the lab
    """
    root = find_root(Path.cwd())
    with running_lab.plainly():
        out = root / "deploygate-out" / "story"
        telling.tell(lab_folder(), root, inventory, out, _drills, keep=keep, interrupt=interrupt)


def _drills(_lab: Lab) -> None:
    lab_drills.rehearse(lambda _what, _seconds: None)
