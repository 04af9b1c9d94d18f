"""Verify journal, evidence, report and signatures offline."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import click

from pytest_deploygate.checklist.records import parse_time
from pytest_deploygate.checklist.vocabulary import time_words
from pytest_deploygate.cli.shared import folders, journals, options, signers
from pytest_deploygate.cli.shared.refusals import Command, Refused
from pytest_deploygate.cli.shared.root import find_root
from pytest_deploygate.report.leaving import leaving
from pytest_deploygate.signoff.result import Check, VerifyResult
from pytest_deploygate.signoff.verify import verify as verify_folder

_MARK = {True: "ok     ", False: "WRONG  ", None: "note   "}


@click.command(cls=Command)
@click.argument("folder", required=False, type=click.Path(path_type=Path), metavar="[DIR]")
@click.option(
    "--change",
    default="local",
    show_default=True,
    metavar="ID",
    help="The change that the folder must be of.",
)
@click.option(
    "--allowed-signers",
    "allowed",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=f"Who may sign in which role. Default: {signers.ALLOWED} of the repository. Never a file of the folder itself.",
)
@click.option(
    "--roles", metavar="ROLE,…", help="The roles that must have signed. Default: those in the journal."
)
@click.option(
    "--at",
    "moment",
    metavar="TIME",
    help="When keys must be allowed, e.g. 2026-03-04T10:00:00Z. Default: now.",
)
@click.option("--all", "everything", is_flag=True, help="List every check, not only the first that fails.")
@options.as_json
def verify(
    folder: Path | None,
    change: str,
    allowed: Path | None,
    roles: str | None,
    moment: str | None,
    everything: bool,
    as_json: bool,
) -> None:
    """Check a change's folder: the journal's chain and signed head, evidence, results, signatures, roles.

    Exit 0: everything is verified and every role has signed. 25: something is not as it was recorded. 26: a signature
    is missing or invalid, or its key is unknown. 4: a mistake on the command line.

    The allowed-signers file has a line for each role,
    `ROLE namespaces="deploygate-signoff,deploygate-decision" KEYTYPE KEY`. It must come from a place to which
    whoever gave you the folder cannot write.

    \b
    deploygate verify --change CHG-1234
    deploygate verify ~/Downloads/CHG-1234 --allowed-signers ~/trusted/allowed_signers \\
        --roles deployment-lead,technical-lead
    deploygate verify --change CHG-1234 --all
    """
    root = find_root(Path.cwd())
    place = folders.of(change, folder, root)
    result = verify_folder(
        place,
        signers.allowed(allowed, root),
        folders.roles(roles),
        root=root,
        at=_moment(moment),
        change=change if folder is None or journals.said_change() else "",
    )
    if as_json:
        click.echo(leaving(json.dumps(as_plain(result), indent=1, ensure_ascii=False)))
    else:
        for line in _lines(result, everything=everything):
            click.echo(leaving(line))
    raise SystemExit(result.exit_code)


def _moment(text: str | None) -> datetime | None:
    try:
        return parse_time(text) if text else None
    except ValueError as error:
        raise Refused(f"--at {text}: {error}") from None


def as_plain(result: VerifyResult) -> dict[str, object]:
    """Return a result as `--json` prints it; the keys are stable."""
    return {
        "folder": result.folder,
        "change": result.change,
        "decision": result.decision or None,
        "scope": result.scope,
        "journal_head": result.head,
        "ok": result.ok,
        "exit_code": result.exit_code,
        "first": _check(result.first) if result.first else None,
        "roles": list(result.roles),
        "missing_roles": list(result.missing),
        "signatures": [
            {
                "role": one.role,
                "name": one.name,
                "at": time_words(one.at) if one.at else None,
                "meaning": one.meaning,
                "reason": one.reason,
                "key": one.key or None,
                "trusted": one.trusted,
            }
            for one in result.signed
        ],
        "checks": [_check(check) for check in result.checks],
    }


def _check(check: Check) -> dict[str, object]:
    return {"name": check.name, "ok": check.ok, "text": check.text, "exit_code": check.code}


def _lines(result: VerifyResult, *, everything: bool) -> list[str]:
    lines = [f"{result.folder}: change {result.change or 'unknown'}, {_decided(result)}"]
    if everything:
        lines += [f"  {_MARK[check.ok]}{check.name}: {check.text}" for check in result.checks]
    else:
        lines += [f"  {_MARK[None]}{check.text}" for check in result.checks if check.ok is None]
    for one in result.signed:
        trusted = "" if one.trusted else "  (does not count)"
        when = time_words(one.at) if one.at else "at an unknown time"
        reason = f": {one.reason}" if one.reason else ""
        lines.append(
            f"  signed {one.role}: {one.name or 'unknown'}, {when}, {one.key or 'no valid key'}{reason}{trusted}"
        )
    return lines + _verdict(result, everything=everything)


def _decided(result: VerifyResult) -> str:
    return (
        f"{result.decision or 'no decision'} for {result.scope}"
        if result.scope
        else "what was decided is unknown"
    )


def _verdict(result: VerifyResult, *, everything: bool) -> list[str]:
    if result.ok:
        return [
            f"VERIFIED: {len(result.roles)} of {len(result.roles)} roles signed this report of change {result.change} ({result.decision})"
        ]
    wrong = sum(1 for check in result.checks if check.ok is False)
    first = result.first.text if result.first else f"not signed by {', '.join(result.missing)}"
    lines = [f"NOT VERIFIED (exit {result.exit_code}): {first}"]
    if wrong > 1 and not everything:
        lines.append(f"{wrong - 1} more; --all lists everything")
    return lines
