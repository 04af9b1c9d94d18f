"""`deploygate schema`: the inventory's JSON Schema."""

from __future__ import annotations

import json

import click

from pytest_deploygate.inventory.schema import json_schema


@click.command()
def schema() -> None:
    """Print the JSON Schema of the inventory.

    \b
    deploygate schema > inventories/inventory.schema.json
    and as the first line of an inventory, for editors:
    # yaml-language-server: $schema=inventory.schema.json
    """
    click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
