"""`deploygate sign`: sign a report in a role."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from pathlib import Path

import click

from pytest_deploygate.checklist.records import time_words
from pytest_deploygate.cli.shared import folders, repository
from pytest_deploygate.report.leaving import leaving
from pytest_deploygate.signoff.result import BROKEN
from pytest_deploygate.signoff.signing import REFUSED, RefusedToSign, SignedNow
from pytest_deploygate.signoff.signing import sign as sign_folder


class _NotSigned(click.ClickException):
    """Nothing was signed, because of something that the signer can put right."""

    exit_code = REFUSED


class _Broken(click.ClickException):
    """Nothing was signed, because what was recorded is not what is there."""

    exit_code = BROKEN


@click.command("sign", short_help="Sign a change's report in a role, with an SSH key.")
@click.option("--role", required=True, help="Role in which it is signed, e.g. deployment-lead.")
@click.option(
    "--key",
    required=True,
    type=click.Path(path_type=Path),
    help="Private SSH key, or a public one whose private half is in the agent.",
)
@click.option("--change", default="local", show_default=True, metavar="ID", help="Change whose report it is.")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="Its folder, when not deploygate-out/ID."
)
@click.option("--name", default="", help="Who signs; left out: git's user.name.")
@click.option(
    "--meaning", default="", help="What the signature means; left out: a sentence that fits the decision."
)
@click.option("--reason", default="", help="Why it is signed; needed where the decision is not GO.")
@click.option(
    "--roles", metavar="LIST", help="Roles that sign, with commas; left out: the checklist's sign-off lines."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def sign(
    role: str,
    key: Path,
    change: str,
    out: Path | None,
    name: str,
    meaning: str,
    reason: str,
    roles: str | None,
    as_json: bool,
) -> None:
    """Write signatures/ROLE.json and .json.sig beside the report; nothing else in the folder changes.

    Signed are the digests of report, verdicts and JUnit file, the head of the journal, change, scope and decision,
    role, name, meaning, reason and time. A report that changes afterwards voids every signature on it.

    \b
    deploygate sign --change CHG-1234 --role deployment-lead --key ~/.ssh/id_ed25519
    deploygate sign --change CHG-1234 --role technical-lead --key ~/.ssh/id_ed25519.pub   # half in the agent
    deploygate sign --change CHG-1234 --role technical-lead --key KEY --reason "seen; we wait for the vendor"
    """
    folder = folders.of(change, out, repository.find_root(Path.cwd()))
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
    click.echo(f"  journal {said.journal_head}  (put it into the ticket)")
    click.echo(f"  written {signed.file} and .sig")
    if signed.aside:
        click.echo(f"  the earlier signature, of a report that changed since, is in {signed.aside}")
    if signed.missing:
        click.echo(f"not signed yet: {', '.join(signed.missing)}")
    else:
        click.echo(f"all roles have signed; next: deploygate verify {folder}")
