"""Compute the exit status of a change's last run.

What runs in pytest's process can end it with any status: the journal has what was recorded.
"""

from __future__ import annotations

import json
from pathlib import Path

import click

from pytest_deploygate.cli.shared import ended, options
from pytest_deploygate.cli.shared.refusals import Command
from pytest_deploygate.report.leaving import leaving


@click.command(cls=Command)
@options.change
@options.out
@click.option(
    "--since",
    metavar="TIME",
    help="The run must have begun at or after this time, e.g. 2026-03-04T10:00:00Z: an earlier one proves nothing about now.",
)
@options.as_json
def outcome(*, change: str, out: Path | None, since: str | None, as_json: bool) -> None:
    """Compute the exit status of a change's last run from its journal, and end with it.

    Whatever runs in pytest's process can end it with any status. The journal has what was recorded: end CI with this
    command. The exit codes are those of a run. 25: nothing was recorded, the run did not end, or the folder is not as
    it was recorded.

    \b
    deploygate outcome --change CHG-1234
    began=$(date -u +%Y-%m-%dT%H:%M:%SZ)
    pytest -m phase2 --inventory prod --change CHG-1234
    deploygate outcome --change CHG-1234 --since "$began"
    """
    found = ended.of_change(change, out, ended.time_of(since))
    if as_json:
        plain = {
            "change": change,
            "decision": found.decision or None,
            "scope": found.scope or None,
            "began": found.began.isoformat() if found.began else None,
            "exit_code": found.code,
            "reasons": list(found.reasons),
        }
        click.echo(leaving(json.dumps(plain, indent=1, ensure_ascii=False)))
    else:
        said = f"{found.decision or 'no decision'}, exit code {found.code}"
        scope = f" ({found.scope}, begun {found.began:%Y-%m-%d %H:%M:%S} UTC)" if found.began else ""
        click.echo(leaving(f"change {change}: {said}{scope}"))
        for reason in found.reasons:
            click.echo(leaving(f"  - {' '.join(reason.split())}"))
    raise SystemExit(found.code)
