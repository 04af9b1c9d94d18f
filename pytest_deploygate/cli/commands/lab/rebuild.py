"""Make db1 the primary again, with the data of one node."""

from __future__ import annotations

import click

from pytest_deploygate.cli.shared import running_lab
from pytest_deploygate.lab import cluster, sql
from pytest_deploygate.lab.state import NODES, load


@click.command()
@click.option(
    "--from", "source", type=click.Choice(NODES), required=True, help="The node whose data is kept."
)
@click.option("--check", is_flag=True, help="Change nothing; exit 1 if the replicas do not stream from db1.")
def rebuild(source: str, *, check: bool) -> None:
    """Make db1 the primary again, with the data of one node, e.g. after a failover to that node.

    \b
    deploygate lab rebuild --from db2
    deploygate lab rebuild --from db2 --check
    """
    if check:
        with running_lab.plainly():
            sql.wait_streaming(load(), within_s=5.0)
        click.echo("db2 and db3 stream from db1")
        return
    with running_lab.alone() as found:
        cluster.rebuild(found, source)
    click.echo(f"db1 is primary, db2 and db3 stream from it; the data is that of {source}")
