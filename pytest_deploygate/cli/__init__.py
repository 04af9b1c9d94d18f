"""The `deploygate` command: everything around a run that is not the run itself."""

from __future__ import annotations

import importlib

import click

import pytest_deploygate
from pytest_deploygate import startup

#: Each is the command of that name in the module of that name below `commands`.
_COMMANDS = (
    "attest",
    "decide",
    "diff",
    "grants",
    "init",
    "issues",
    "lab",
    "load",
    "plan",
    "report",
    "rollback",
    "schema",
    "sign",
    "snapshot",
    "verify",
    "waive",
    "watch",
)


class _Lazy(click.Group):
    """Imports a command when it is asked for: `lab node stop`, which drills time, needs no report."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted({*_COMMANDS, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; None where there is none of that name."""
        if cmd_name not in _COMMANDS:
            return super().get_command(ctx, cmd_name)
        with startup.quickly():
            found: click.Command = getattr(
                importlib.import_module(f"{__name__}.commands.{cmd_name}"), cmd_name
            )
        return found


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(pytest_deploygate.__version__, prog_name="deploygate")
def main() -> None:
    """Deployment checklist that runs: `pytest -m phase2 --inventory NAME` runs it, this command does the rest.

    \b
    deploygate lab up                 a whole database platform on loopback, to try things on
    deploygate diff A B               what is different between two changes
    deploygate init                   a starting repository: suites, checklist, inventory, CI files
    deploygate attest ITEM ...        a person attests an item, with evidence and an end
    deploygate waive ITEM ...         answer for an item that is not good, for a time
    deploygate issues                 what is not green and not in the issue log yet
    deploygate load --inventory NAME  send load now and judge response times, where that is allowed
    deploygate grants --inventory N   the least SQL grants for the gate's role
    deploygate plan --inventory NAME  what a run would do, before anything runs
    deploygate decide                 an incident's clock, and a person's decision
    deploygate rollback --plan        the runbook; --execute --confirm NAME goes back
    deploygate schema                 JSON Schema of the inventory, for editors
    deploygate report --change ID     make the result files again from the journal, or export them
    deploygate sign --role R --key K  sign the report of a change in a role
    deploygate verify [DIR]           check a signed record offline
    deploygate snapshot ...           write the expected table structure from a live database
    deploygate watch --inventory NAME see for 24 h whether it is up, and keep a record
    """
