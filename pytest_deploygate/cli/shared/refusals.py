"""Mistakes in what was given: one message and exit code 4, as for a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click


class Refused(click.ClickException):
    """A mistake in the inventory, the checklist, the records or the command line: exit 4, as for pytest."""

    exit_code = 4


@contextmanager
def refusing(ctx: click.Context) -> Iterator[None]:
    """Turn click's usage errors, which exit with 2, into Refused: 2 would look like one of pytest's own codes."""
    try:
        yield
    except click.UsageError as error:
        raise Refused(f"{error.format_message()} (`{ctx.command_path} --help`)") from None


class Command(click.Command):
    """A command whose usage errors exit with 4."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse as click does. Raises Refused."""
        with refusing(ctx):
            return super().parse_args(ctx, args)
