"""The `deploygate` command: everything around a run that is not the run itself."""

from __future__ import annotations

import click

import pytest_deploygate
from pytest_deploygate.cli.attest import attest
from pytest_deploygate.cli.decide import decide
from pytest_deploygate.cli.diff import diff
from pytest_deploygate.cli.grants import grants
from pytest_deploygate.cli.init import init
from pytest_deploygate.cli.issues import issues
from pytest_deploygate.cli.lab import lab
from pytest_deploygate.cli.load import load
from pytest_deploygate.cli.plan import plan
from pytest_deploygate.cli.report import report
from pytest_deploygate.cli.rollback import rollback
from pytest_deploygate.cli.schema import schema
from pytest_deploygate.cli.sign import sign
from pytest_deploygate.cli.snapshot import snapshot
from pytest_deploygate.cli.verify import verify
from pytest_deploygate.cli.waive import waive
from pytest_deploygate.cli.watch import watch


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
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


main.add_command(attest)
main.add_command(grants)
main.add_command(diff)
main.add_command(decide)
main.add_command(init)
main.add_command(issues)
main.add_command(lab)
main.add_command(load)
main.add_command(plan)
main.add_command(report)
main.add_command(rollback)
main.add_command(schema)
main.add_command(waive)
main.add_command(snapshot)
main.add_command(sign)
main.add_command(verify)
main.add_command(watch)
