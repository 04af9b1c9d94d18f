"""Preview and send notices to the people around a deployment."""

from __future__ import annotations

import click

from pytest_deploygate.cli.shared.groups import Folder
from pytest_deploygate.cli.shared.refusals import refusing


class _Group(Folder):
    """The commands; usage errors exit with 4."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse as click does. Raises Refused."""
        if not args:
            return super().parse_args(ctx, args)
        with refusing(ctx):
            return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command as click does. Raises Refused."""
        with refusing(ctx):
            return super().resolve_command(ctx, args)


@click.group(cls=_Group, package=__name__)
def notify() -> None:
    """Preview and send the notices of a change: `notices` in the inventory says to whom, and what they say.

    \b
    deploygate notify init
    deploygate notify preview --inventory prod
    deploygate notify send pre-deployment --to customers --inventory prod --change CHG-1234 --dry-run
    """
