"""Stop and start the other servers, such as edge-app."""

from __future__ import annotations

import click

from pytest_deploygate.cli.shared import running_lab
from pytest_deploygate.lab import client, services
from pytest_deploygate.lab.state import Lab
from pytest_deploygate.problems import nearest


@click.group()
def server() -> None:
    """Stop and start the servers other than the database, such as edge-app.

    \b
    deploygate lab server stop edge-app
    deploygate lab server start edge-app
    """


@server.command("stop")
@click.argument("name")
def stop(name: str) -> None:
    """Stop the server NAME.

    \b
    deploygate lab server stop edge-app
    """
    with running_lab.alone() as found:
        client.stop(found, _known(name, found))
    click.echo(f"{name} has stopped")


@server.command("start")
@click.argument("name")
def start(name: str) -> None:
    """Start the server NAME.

    \b
    deploygate lab server start edge-app
    """
    with running_lab.alone() as found:
        client.start(found, _known(name, found))
    click.echo(f"{name} is running")


def _known(name: str, found: Lab) -> str:
    known = [one for service in services.running(found) for one in service.servers]
    if name not in known:
        raise click.UsageError(f"the lab has no server {name!r}{nearest(name, known)}")
    return name
