"""Print the least SQL grants that the gate's role needs."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from pytest_deploygate.cli.shared import options
from pytest_deploygate.cli.shared.inventories import read
from pytest_deploygate.cli.shared.refusals import Refused
from pytest_deploygate.inventory import grants as needed


@click.command()
@options.inventory
@options.as_json
def grants(inventory: str, as_json: bool) -> None:
    """Print the least SQL grants that the gate's role needs. Connects to nothing.

    The output is SQL: a superuser (or a managed service's administrator) can run it as it is. It creates the role where
    it is missing, without a password. What SQL cannot grant
    (a shell, another role's password) is listed in comments, with the items that need it.

    \b
    deploygate grants --inventory prod
    deploygate grants --inventory prod | psql -h db1.example.com -d platform
    """
    loaded = read(inventory, files_may_be_missing=True)
    database = loaded.inventory.database
    if database is None:
        raise Refused(f"{loaded.file} has no `database` section, so there is nothing to grant")
    found, more = needed.grants(loaded.inventory), needed.beside_sql(loaded.inventory)
    if as_json:
        whole = {"role": database.user, "database": database.name}
        click.echo(
            json.dumps(
                whole | {"grants": [asdict(g) for g in found], "more": [asdict(m) for m in more]}, indent=1
            )
        )
        return
    click.echo(
        f"-- Least grants for role {database.user} on database {database.name}; run them on the primary."
    )
    for grant in found:
        click.echo(f"-- {', '.join(grant.items)}: {grant.why}")
        click.echo(grant.statement)
    click.echo("-- What SQL cannot grant:")
    for extra in more:
        click.echo(f"--   {', '.join(extra.items)}: {extra.what}")
