"""Plan, execute and follow up a rollback."""

from __future__ import annotations

import shlex

import click

from pytest_deploygate.cli.shared.groups import Folder
from pytest_deploygate.cli.shared.refusals import Refused, refusing

#: The commands were options once, and scripts and runbooks still have them.
_OLD_SPELLINGS = ("--plan", "--execute", "--after")


class _Group(Folder):
    """The commands, with their old spellings as options; usage errors exit with 4."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse as click does, after the old spelling of a command has become the command. Raises Refused."""
        if not args or args[0].startswith("-"):
            args = _renamed(ctx, args)
        with refusing(ctx):
            return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command as click does. Raises Refused."""
        with refusing(ctx):
            return super().resolve_command(ctx, args)


def _renamed(ctx: click.Context, args: list[str]) -> list[str]:
    """Return the arguments in the new spelling, and print it. Raises Refused where they name several commands."""
    if any(word in args for word in ctx.help_option_names):
        return args
    old = [word for word in _OLD_SPELLINGS if word in args]
    if len(old) > 1:
        raise Refused(f"{' and '.join(old)} are mutually exclusive")
    what = old[0] if old else "--plan"  # without any of them the plan was shown
    new = [what.removeprefix("--"), *(word for word in args if word != what)]
    said = (
        f"`{what}` is a command now"
        if old
        else f"`{ctx.command_path}` alone shows the plan; it is a command now"
    )
    click.echo(f"{said}: {ctx.command_path} {shlex.join(new)}", err=True)
    return new


@click.group(cls=_Group, package=__name__)
def rollback() -> None:
    """Plan, execute and follow up a rollback with the runbook of the inventory (`rollback.steps`).

    \b
    deploygate rollback plan --change CHG-1234
    deploygate rollback execute --confirm prod --change CHG-1234
    deploygate rollback after --change CHG-1234
    """
