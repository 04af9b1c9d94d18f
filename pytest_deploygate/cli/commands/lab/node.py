"""Stop and start single database nodes."""

from __future__ import annotations

import click

from pytest_deploygate.cli.shared import running_lab
from pytest_deploygate.lab import nodes
from pytest_deploygate.lab.state import NODES

_name = click.argument("name", type=click.Choice(NODES))


@click.group()
def node() -> None:
    """Stop and start single database nodes.

    \b
    deploygate lab node stop db3
    deploygate lab node start db3
    """


@node.command("stop")
@_name
@click.option("--crash", is_flag=True, help="At once, as in a crash: nothing is flushed.")
def stop(name: str, *, crash: bool) -> None:
    """Stop the node NAME.

    \b
    deploygate lab node stop db3
    deploygate lab node stop db3 --crash
    """
    with running_lab.alone() as found:
        nodes.stop(found, name, crash=crash)
    click.echo(f"{name} has stopped")


@node.command("start")
@_name
def start(name: str) -> None:
    """Start the node NAME.

    \b
    deploygate lab node start db3
    """
    with running_lab.alone() as found:
        nodes.start(found, name)
    click.echo(f"{name} is running")
