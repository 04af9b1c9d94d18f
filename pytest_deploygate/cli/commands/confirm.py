"""Confirm places of an inventory that `discover` wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from pytest_deploygate.cli.shared import options
from pytest_deploygate.cli.shared.refusals import Command, Refused
from pytest_deploygate.cli.shared.root import find_root
from pytest_deploygate.files import bounded, write_whole, yaml
from pytest_deploygate.inventory import confirming, unconfirmed
from pytest_deploygate.inventory.loader import InventoryError, load
from pytest_deploygate.redaction import redact, redact_values


@click.command(cls=Command)
@click.argument("places", nargs=-1, metavar="[PLACE]…")
@options.inventory
@click.option("--all", "everything", is_flag=True, help="Confirm every place that waits.")
@options.as_json
def confirm(places: tuple[str, ...], inventory: str, *, everything: bool, as_json: bool) -> None:
    """Confirm what `deploygate discover` wrote: a person has looked at it, and it is as it should be.

    A PLACE is as `discovered` writes it; one that is around others stands for all of them. Without a PLACE it lists what
    waits, and changes nothing. Only lines of `discovered` are removed from the file. Commit the change: the review of it
    says who confirmed.

    \b
    Exit codes: 0 done, or nothing waits; 4 no such place, or a mistake in the inventory.

    \b
    deploygate confirm --inventory prod
    deploygate confirm --inventory prod 'database.replicas[db2]' database.partitioning
    deploygate confirm --inventory prod --all
    """
    if places and everything:
        raise Refused("name places or --all, not both")
    try:
        loaded = load(inventory, find_root(Path.cwd()), [])
    except InventoryError as error:
        raise Refused(str(error)) from None
    text = bounded.text(loaded.file)
    waiting = list(loaded.inventory.discovered)
    if not waiting and places:
        raise Refused(f"{loaded.file}: nothing waits to be confirmed")
    try:
        taken = waiting if everything else confirming.chosen(waiting, places)
        if taken:
            write_whole(loaded.file, confirming.without(text, taken))
    except confirming.NotConfirmedError as error:
        raise Refused(f"{loaded.file}: {error}") from None
    except OSError as error:
        raise click.ClickException(f"{loaded.file} cannot be written: {error.strerror}") from None
    document = yaml.load(text)
    left = [place for place in waiting if place not in taken]
    if as_json:
        shown = {
            "inventory": str(loaded.file),
            "confirmed": [{"place": place, "value": _plain(document, place)} for place in taken],
            "unconfirmed": [{"place": place, "value": _plain(document, place)} for place in left],
        }
        click.echo(json.dumps(redact_values(shown), indent=1, ensure_ascii=False, default=str))
        return
    for place in taken:
        click.echo(redact(f"  confirmed {place}: {_shown(document, place)}"))
    if left and taken:
        click.echo(
            f"{len(left)} of {len(waiting)} still wait: `deploygate confirm --inventory {inventory}` lists them"
        )
    elif left:
        click.echo(f"{len(left)} places of {loaded.file} wait to be confirmed:")
        for place in left:
            click.echo(redact(f"  {place}: {_shown(document, place)}"))
        click.echo(f"Where each was seen stands behind its line in {loaded.file}.")
    else:
        click.echo("Nothing waits to be confirmed.")


def _plain(document: Any, place: str) -> Any:
    return unconfirmed.value(document, place)


def _shown(document: Any, place: str) -> str:
    value = unconfirmed.value(document, place)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
