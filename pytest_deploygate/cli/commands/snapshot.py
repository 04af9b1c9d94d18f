"""`deploygate snapshot`: write the structure of a live database as the file that phase2.tables compares with."""

from __future__ import annotations

import json
from pathlib import Path

import click

from pytest_deploygate.cli.shared.inventories import database_of
from pytest_deploygate.model import CannotTell
from pytest_deploygate.probes import catalog


@click.command()
@click.option("--inventory", required=True, metavar="NAME|PATH", help="the environment to read from")
@click.option(
    "--schema", "schemas", multiple=True, metavar="NAME", help="schema to take (default: all of the user's)"
)
@click.option(
    "--output", type=click.Path(path_type=Path), help="file to write (default: inventories/NAME.tables.json)"
)
@click.option("--json", "as_json", is_flag=True, help="say what was written as JSON")
def snapshot(inventory: str, schemas: tuple[str, ...], output: Path | None, as_json: bool) -> None:
    """Write the expected table structure from a live database.

    Review the file like code, commit it, and name it in the inventory: `tables: {snapshot: FILE}`.

    \b
    deploygate snapshot --inventory staging --schema platform
    """
    cluster, loaded = database_of(inventory)
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
        raise click.ClickException(f"schema {', '.join(wanted)} has no tables; {target} is of no use yet")
    if as_json:
        click.echo(
            json.dumps({"file": str(target), "schemas": list(wanted), "tables": structure.table_names})
        )
    else:
        click.echo(f"{target}: {len(structure.table_names)} tables and views of {', '.join(wanted)}")
        click.echo(f"Review and commit it; in the inventory: tables: {{snapshot: {target.name}}}")
