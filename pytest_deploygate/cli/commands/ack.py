"""Acknowledge the code that `notify test` sent to a contact."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from pytest_deploygate.cli.shared import arguments, options
from pytest_deploygate.cli.shared.refusals import Command, Refused
from pytest_deploygate.cli.shared.root import find_root
from pytest_deploygate.contacts import record


@click.command(cls=Command)
@click.argument("code")
@options.change
@options.out
@options.as_json
def ack(*, code: str, change: str, out: Path | None, as_json: bool) -> None:
    """Acknowledge CODE: its contact can be reached, which a number that looks right does not prove.

    A code works once, until its end. `hand.contacts` says who acknowledged, and when.

    \b
    deploygate ack K7QF-2M3X-9ABC-DEF0 --change CHG-1234
    """
    arguments.check_change(change)
    folder = out or find_root(Path.cwd()) / "deploygate-out" / change
    try:
        found = record.acknowledge(folder, code, datetime.now(UTC))
    except (record.CodeError, record.RecordError) as error:
        raise Refused(str(error)) from None
    who = f"deputy of {found.role}" if found.deputy else found.role
    if as_json:
        told = {
            "role": found.role,
            "deputy": found.deputy,
            "acknowledged": found.acknowledged,
            "change": change,
        }
        click.echo(json.dumps(told, default=lambda at: at.isoformat(), indent=1))
    else:
        click.echo(f"{who} acknowledged: this contact can be reached by mail")
