"""End every active probe of a change within a second."""

from __future__ import annotations

from pathlib import Path

import click

from pytest_deploygate.cli.shared import changes, folders, options
from pytest_deploygate.cli.shared.root import find_root
from pytest_deploygate.clients import stopping
from pytest_deploygate.redaction import redact
from pytest_deploygate.session.settings import STOP


@click.command()
@options.change
@options.out
@click.option("--because", default="", metavar="TEXT", help="Why; shown as the reason of what was ended.")
@click.option("--off", is_flag=True, help="Remove the stop, so that the next run can begin.")
def stop(change: str, out: Path | None, because: str, off: bool) -> None:
    """End every active probe of a change within a second.

    This makes the file STOP in the change's folder, which also keeps others from beginning. It stays until --off removes it. Works from any shell on the machine
    of the run, also as another user who may write there.

    \b
    deploygate stop --change CHG-1200 --because "the checkout is slow"
    deploygate stop --change CHG-1200 --off
    """
    file = folders.of(change, out, find_root(Path.cwd())) / STOP
    try:
        if off:
            file.unlink(missing_ok=True)
            click.echo(f"{file} is gone: run again with --resume")
            return
        why = f": {' '.join(because.split())}" if because else ""
        stopping.stop(file, redact(f"{changes.person('')}{why}"))
    except OSError as error:
        raise click.ClickException(
            f"{file} cannot be {'removed' if off else 'made'}: {error.strerror}; send the run's process the signal USR1"
        ) from None
    click.echo(f"{file} is made: probes of this change end within a second, and none begins")
    click.echo(f"later:  deploygate stop {_again(change, out)}--off")


def _again(change: str, out: Path | None) -> str:
    return (f"--out {out} " if out else "") + (f"--change {change} " if change != "local" else "")
