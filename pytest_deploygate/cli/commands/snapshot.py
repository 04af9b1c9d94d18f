"""Write the expected table structure from a live database.

The check of `phase2.tables` compares with this file.
"""

from __future__ import annotations

import json
from pathlib import Path

import click

from pytest_deploygate.checks.structure.probe import catalog
from pytest_deploygate.cli.shared import inventories, options
from pytest_deploygate.cli.shared.refusals import Refused
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import CannotTell


@click.command()
@options.inventory
@click.option(
    "--schema",
    "schemas",
    multiple=True,
    metavar="NAME",
    help="A schema to include; repeatable. Default: all except those of the system, extensions and the gate.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The file to write. Default: NAME.tables.json beside the inventory.",
)
@options.as_json
def snapshot(inventory: str, schemas: tuple[str, ...], output: Path | None, as_json: bool) -> None:
    """Write the expected table structure from a live database.

    Review the file like code, commit it, and name it in the inventory: `tables: {snapshot: FILE}`.

    \b
    deploygate snapshot --inventory staging --schema platform
    """
    loaded = inventories.read(inventory, files_may_be_missing=True)
    if loaded.inventory.database is None:
        raise Refused(f"{loaded.file} has no `database` section; add one with name, user and primary")
    writes = loaded.inventory.writes
    cluster = Cluster(loaded.inventory.database, writes.schema_ if writes else None)
    target = output or loaded.file.parent / f"{loaded.inventory.name}.tables.json"
    try:
        wanted = schemas or catalog.own_schemas(cluster)
        if not wanted:
            raise click.ClickException("the database has no schema with tables; name one with --schema")
        structure = catalog.write_snapshot(cluster, wanted, target)
    except CannotTell as unknown:
        raise click.ClickException(str(unknown)) from None
    except OSError as error:
        raise click.ClickException(f"{target} cannot be written: {error.strerror}") from None
    finally:
        cluster.close()
    if not structure.table_names:
        raise click.ClickException(f"schema {', '.join(wanted)} has no tables; do not commit {target} yet")
    if as_json:
        click.echo(
            json.dumps({"file": str(target), "schemas": list(wanted), "tables": structure.table_names})
        )
    else:
        click.echo(f"{target}: {len(structure.table_names)} tables and views in {', '.join(wanted)}")
        click.echo(f"Review and commit it; in the inventory: tables: {{snapshot: {target.name}}}")
