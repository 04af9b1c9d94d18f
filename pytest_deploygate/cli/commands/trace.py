"""Send runs as OpenTelemetry traces to an OTLP/HTTP receiver."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_deploygate import journal
from pytest_deploygate.cli.shared import journals, options
from pytest_deploygate.cli.shared.refusals import Refused
from pytest_deploygate.redaction import redact

if TYPE_CHECKING:
    from pytest_deploygate.history.traces import Trace

_OF_TRACES, _OF_ALL = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"


class NotAccepted(click.ClickException):
    """The receiver did not accept all spans: exit 1."""

    exit_code = 1


@click.command()
@options.change
@options.out
@click.option("--endpoint", metavar="URL", help=f"The receiver. Default: {_OF_TRACES}, {_OF_ALL}.")
@click.option("--run", metavar="ID", help="The run, if not the last one.")
@click.option("--all", "every", is_flag=True, help="Every run of the change.")
@click.option(
    "--timeout",
    type=click.FloatRange(0.1, 600),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long each request may take.",
)
@options.as_json
def trace(
    change: str,
    out: Path | None,
    endpoint: str | None,
    run: str | None,
    every: bool,
    timeout: float,
    as_json: bool,
) -> None:
    """Send runs as OpenTelemetry traces: a run is a trace, each finding of an item a span. Needs the extra `otel`.

    Ids are computed from the record, so a run that is sent twice is one trace. Headers (a token) are taken from
    OTEL_EXPORTER_OTLP_HEADERS. Exit codes: 0 all accepted; 1 not all; 4 refused; 25 the journal is damaged.

    \b
    deploygate trace --change CHG-1234 --endpoint http://collector:4318
    deploygate trace --change CHG-1234 --all
    """
    from pytest_deploygate.history import traces  # noqa: PLC0415 (start time)

    if run and every:
        raise click.UsageError("--run and --all cannot be given together")
    folder = journals.folder_of(change, out)
    with journals.plainly():
        entries, _ = journal.stream(folder)
        found = traces.traces(list(entries))
    mine = _chosen(found, run, folder, every=every)
    url, sent = _send(endpoint, mine, timeout)
    if as_json:
        plain = {
            "endpoint": redact(url),
            "spans": sent,
            "traces": [{"run": t.run, "trace_id": f"{t.id:032x}"} for t in mine],
        }
        click.echo(json.dumps(plain))
        return
    for one in mine:
        unended = "" if one.ended else " (the run did not end, or goes on: send it again then)"
        click.echo(f"run {one.run}: trace {one.id:032x}, {1 + len(one.spans)} spans{unended}")
    click.echo(f"{redact(url)} accepted {sent} spans")


def _chosen(found: list[Trace], run: str | None, folder: Path, *, every: bool) -> list[Trace]:
    """Return the run that is named, else every run or the last one. Raises Refused where there is none."""
    if not found:
        raise Refused(f"{folder} has no run: nothing to send")
    if run is None:
        return found if every else found[-1:]
    mine = [one for one in found if one.run == run]
    if not mine:
        last = ", ".join(one.run for one in found[-3:])
        raise Refused(f"--run {run}: there is no such run; the last ones are {last}")
    return mine


def _send(given: str | None, found: list[Trace], timeout: float) -> tuple[str, int]:
    """Send the traces; return where to, and how many spans. Raises Refused, NotAccepted."""
    try:
        from pytest_deploygate.history import sending  # noqa: PLC0415 (an extra)
    except ImportError:
        raise Refused(
            "OpenTelemetry is not installed: pip install 'pytest-deploygate[otel]'; nothing was sent"
        ) from None
    url = given or os.environ.get(_OF_TRACES) or _base(os.environ.get(_OF_ALL, ""))
    if not url:
        raise click.UsageError(f"name the receiver with --endpoint URL, or set {_OF_TRACES} or {_OF_ALL}")
    try:
        url = sending.endpoint(url)
        return url, sending.send(found, url, timeout)
    except ValueError as error:
        raise Refused(f"{redact(url)}: {error}") from None
    except sending.NotSentError as error:
        raise NotAccepted(str(error)) from None


def _base(url: str) -> str:
    """Return where traces go below the base that is set for all signals."""
    return f"{url.rstrip('/')}/v1/traces" if url else ""
