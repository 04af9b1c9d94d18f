"""Options that mean the same in several commands."""

from __future__ import annotations

from pathlib import Path

import click

change = click.option("--change", default="local", show_default=True, metavar="ID", help="The change.")
out = click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The folder of the change, if not deploygate-out/ID.",
)
inventory = click.option("--inventory", required=True, metavar="NAME|PATH", help="The inventory.")
inventory_of_last_run = click.option(
    "--inventory", metavar="NAME|PATH", help="The inventory, if not that of the last run."
)
checklist = click.option(
    "--checklist",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The checklist, if not suites/checklist.md.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
