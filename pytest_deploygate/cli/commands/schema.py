"""Print the JSON Schema of the inventory, for editors."""

from __future__ import annotations

import json

import click

from pytest_deploygate.inventory.schema import json_schema


@click.command()
def schema() -> None:
    """Print the JSON Schema of the inventory.

    \b
    deploygate schema > inventories/inventory.schema.json
    # then, as the first line of an inventory:
    # yaml-language-server: $schema=inventory.schema.json
    """
    click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
