"""Break and mend nodes of the cluster that Patroni manages."""

from __future__ import annotations

import click

from pytest_deploygate.cli.shared import running_lab
from pytest_deploygate.lab.services import patroni as service
from pytest_deploygate.lab.services import patroni_broken as broken
from pytest_deploygate.lab.services.patroni_config import MEMBERS
from pytest_deploygate.lab.state import Lab
from pytest_deploygate.problems import nearest


@click.group()
def patroni() -> None:
    """Break and mend nodes that Patroni manages, such as patroni1.

    \b
    deploygate lab patroni crash patroni1
    deploygate lab patroni mend patroni1
    """


@patroni.command("crash")
@click.argument("name")
@click.option(
    "--receivers-frozen",
    default=0.0,
    metavar="SECONDS",
    help="Freeze the other nodes' WAL receivers for so long before that.",
)
def crash(name: str, receivers_frozen: float) -> None:
    """Kill Patroni and PostgreSQL of the node NAME at once.

    \b
    deploygate lab patroni crash patroni1
    deploygate lab patroni crash patroni1 --receivers-frozen 1
    """
    with running_lab.alone() as found:
        broken.crash(found, _known(name, found), receivers_frozen)
    click.echo(f"{name} was killed")


@patroni.command("freeze")
@click.argument("name")
def freeze(name: str) -> None:
    """Freeze Patroni and PostgreSQL of the node NAME (SIGSTOP).

    \b
    deploygate lab patroni freeze patroni1
    """
    with running_lab.alone() as found:
        broken.freeze(found, _known(name, found))
    click.echo(f"{name} is frozen")


@patroni.command("cut")
@click.argument("name")
def cut(name: str) -> None:
    """Pull the network cable of the node NAME. Needs a lab that root started.

    \b
    deploygate lab patroni cut patroni1
    """
    with running_lab.alone() as found:
        broken.cut(found, _known(name, found))
    click.echo(f"{name} is cut off")


@patroni.command("fill")
@click.argument("name")
def fill(name: str) -> None:
    """Fill the disk of the node NAME. Needs a lab that root started.

    \b
    deploygate lab patroni fill patroni1
    """
    with running_lab.alone() as found:
        broken.fill(found, _known(name, found))
    click.echo(f"the disk of {name} is full")


@patroni.command("mend")
@click.argument("name")
def mend(name: str) -> None:
    """Take back what was done to the node NAME: it runs, its cable is plugged in, its disk has room.

    \b
    deploygate lab patroni mend patroni1
    """
    with running_lab.alone() as found:
        broken.mend(found, _known(name, found))
    click.echo(f"{name} runs")


@patroni.command("reset")
@click.argument("name")
def reset(name: str) -> None:
    """Kill the node NAME and start it again, as a machine that hung is reset.

    \b
    deploygate lab patroni reset patroni1
    """
    with running_lab.alone() as found:
        broken.reset(found, _known(name, found))
    click.echo(f"{name} was reset")


@patroni.command("dcs")
@click.argument("wanted", type=click.Choice(["off", "on"]))
def dcs(wanted: str) -> None:
    """Stop or start all members of etcd.

    \b
    deploygate lab patroni dcs off
    deploygate lab patroni dcs on
    """
    with running_lab.alone() as found:
        _known(MEMBERS[0], found)
        service.stores(found, run=wanted == "on")
    click.echo(f"etcd is {wanted}")


def _known(name: str, found: Lab) -> str:
    if name not in MEMBERS:
        raise click.UsageError(f"there is no node {name!r}{nearest(name, list(MEMBERS))}")
    if name not in found.ports:
        raise click.ClickException(
            "the lab runs without patroni: `deploygate lab down`, then `deploygate lab up --with patroni`"
        )
    return name
