"""Sign the report of a change in a role, with an SSH key."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from pathlib import Path

import click

from pytest_deploygate.checklist.parser import slug
from pytest_deploygate.checklist.vocabulary import time_words
from pytest_deploygate.cli.shared import folders, interrupted, journals, options
from pytest_deploygate.cli.shared.root import find_root
from pytest_deploygate.report.leaving import leaving
from pytest_deploygate.signoff import record_files
from pytest_deploygate.signoff.result import BROKEN
from pytest_deploygate.signoff.signing import REFUSED, RefusedToSign, SignedNow
from pytest_deploygate.signoff.signing import sign as sign_folder


class _NotSigned(click.ClickException):
    """Nothing was signed, for a reason that the signer can fix."""

    exit_code = REFUSED


class _Broken(click.ClickException):
    """Nothing was signed, because the folder does not match the record."""

    exit_code = BROKEN


@click.command()
@click.option("--role", required=True, metavar="ROLE", help="The role that signs, e.g. deployment-lead.")
@click.option(
    "--key",
    required=True,
    type=click.Path(path_type=Path),
    metavar="KEY",
    help="The SSH key, or its public key if an agent holds the private one.",
)
@options.change
@options.out
@click.option("--name", default="", metavar="NAME", help="The person who signs. Default: git's user.name.")
@click.option(
    "--meaning",
    default="",
    metavar="TEXT",
    help="What the signature means. Default: a sentence that fits the decision.",
)
@click.option(
    "--reason", default="", metavar="TEXT", help="Why it is signed; required unless the decision is GO."
)
@click.option(
    "--record",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Sign this attestation or waiver instead of a report, in a role that it names.",
)
@click.option(
    "--roles",
    metavar="ROLE,…",
    help="The roles that must sign. Default: those of the checklist's sign-off section.",
)
@options.as_json
def sign(
    role: str,
    key: Path,
    change: str,
    out: Path | None,
    name: str,
    meaning: str,
    reason: str,
    record: Path | None,
    roles: str | None,
    as_json: bool,
) -> None:
    """Write signatures/ROLE.json and .json.sig beside the report; nothing else in the folder changes.

    The signature covers the digests of report, verdicts and JUnit file, the head of the journal, change, scope,
    decision, role, name, meaning, reason and time. If the report changes afterwards, every signature on it is void.

    With --record the file of an attestation or a waiver is signed as it is: FILE.sig by its role, or FILE.owner.sig
    and FILE.approver.sig, with two different keys.

    \b
    deploygate sign --change CHG-1234 --role deployment-lead --key ~/.ssh/id_ed25519
    deploygate sign --change CHG-1234 --role technical-lead --key ~/.ssh/id_ed25519.pub   # key in an agent
    deploygate sign --change CHG-1234 --role technical-lead --key KEY --reason "seen; we wait for the vendor"
    deploygate sign --record waivers/db.pooling--20260304.yml --role operations-manager --key ~/.ssh/id_ed25519
    """
    if record is not None:
        _sign_record(record, role, key, as_json)
        return
    folder = journals.folder_of(change, out)
    interrupted.finish(folder)
    try:
        signed = sign_folder(
            folder,
            role,
            key.expanduser(),
            name=name or _git_name(),
            meaning=meaning,
            reason=reason,
            roles=folders.roles(roles),
        )
    except RefusedToSign as refused:
        kind = _Broken if refused.code == BROKEN else _NotSigned
        raise kind(leaving(str(refused))) from None
    _say(signed, folder, as_json)


def _sign_record(file: Path, role: str, key: Path, as_json: bool) -> None:
    root = find_root(Path.cwd())
    try:
        signature = record_files.sign(root, file, role, key.expanduser())
    except record_files.NotSignedError as error:
        raise _NotSigned(leaving(str(error))) from None
    shown, written = (p.resolve().relative_to(root.resolve()).as_posix() for p in (file, signature))
    step = f"git add {shown} {written}, commit, open a pull request"
    if as_json:
        click.echo(
            json.dumps({"file": shown, "signature": written, "role": slug(role), "next": step}, indent=1)
        )
        return
    click.echo(f"wrote {written}")
    click.echo(f"next: {step}")


def _git_name() -> str:
    try:
        done = subprocess.run(
            ["git", "config", "user.name"], capture_output=True, text=True, check=False, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _say(signed: SignedNow, folder: Path, as_json: bool) -> None:
    said = signed.statement
    if as_json:
        told = {
            **dataclasses.asdict(said),
            "at": time_words(said.at),
            "key": signed.key,
            "file": str(signed.file),
            "missing_roles": list(signed.missing),
            "moved_aside": str(signed.aside) if signed.aside else None,
        }
        click.echo(json.dumps(told, indent=1, ensure_ascii=False))
        return
    click.echo(f"{said.name} signed as {said.role}: {said.decision} for {said.scope}, change {said.change}")
    if said.decision != "GO":
        click.echo(f"  as seen, not as agreed to: {said.reason}")
    click.echo(f"  key     {signed.key}")
    click.echo(f"  journal {said.journal_head}  (copy it into the ticket)")
    click.echo(f"  written {signed.file} and .sig")
    if signed.aside:
        click.echo(
            f"  the earlier signature, of a report that has changed since, was moved to {signed.aside}"
        )
    if signed.missing:
        click.echo(f"not signed yet: {', '.join(signed.missing)}")
    else:
        click.echo(f"all roles have signed; next: deploygate verify {folder}")
