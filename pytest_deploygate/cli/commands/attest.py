"""Attest an item of the checklist, with evidence and an expiry date.

The attestation is a file, to be merged by a pull request.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from pytest_deploygate.checklist import attestations
from pytest_deploygate.checklist.attestations import FOLDER, LEVELS, NAMESPACE, roles_asked, url_problem
from pytest_deploygate.checklist.parser import Checklist, slug
from pytest_deploygate.checklist.records import dump, time_words
from pytest_deploygate.checks.people.probe import sarif
from pytest_deploygate.checks.people.probe.attestations import digest
from pytest_deploygate.cli.shared import arguments, options, records, repository


@click.command()
@click.argument("item")
@click.option("--role", required=True, metavar="ROLE", help="The role that attests, e.g. technical-lead.")
@click.option("--name", required=True, metavar="NAME", help="The person who attests.")
@click.option(
    "--evidence", multiple=True, metavar="FILE|URL", help="What the attestation rests on; repeatable."
)
@click.option("--valid-until", required=True, metavar="DATE|90d", help="When it expires (UTC).")
@click.option(
    "--meaning", default="", metavar="TEXT", help="What exactly is attested. Default: the item's text."
)
@click.option("--change", default="", metavar="ID", help="Only for this change.")
@click.option("--inventory", default="", metavar="NAME", help="Only for this inventory.")
@click.option(
    "--findings",
    metavar="FILE",
    help="A scanner's SARIF file; the item fails on open results above --allowed.",
)
@click.option(
    "--allowed",
    type=click.Choice(LEVELS),
    default="warning",
    show_default=True,
    help="The highest level of --findings that is accepted.",
)
@click.option(
    "--key",
    metavar="KEY",
    help="Sign the attestation with this SSH key, or with its public key if an agent holds the private one.",
)
@options.as_json
@repository.repository
def attest(
    item: str,
    *,
    root: Path,
    checklist: Checklist,
    role: str,
    name: str,
    evidence: Sequence[str],
    valid_until: str,
    meaning: str,
    change: str,
    inventory: str,
    findings: str | None,
    allowed: str,
    key: str | None,
    as_json: bool,
) -> None:
    """Write attestations/ITEM--ROLE--DATE.yml: who attests ITEM, on what evidence, until when.

    Evidence files stay where they are (below the repository) and are recorded with their SHA-256: if a byte
    changes, the item fails. The attestation counts once the file is merged.

    \b
    deploygate attest sec.audit --role technical-lead --name "Our technical lead" \\
        --evidence reports/audit.pdf --valid-until 90d
    deploygate attest sec.pentest --role deployment-lead --name "Our deployment lead" \\
        --findings reports/pentest.sarif --valid-until 2026-06-30 --key ~/.ssh/id_ed25519
    deploygate attest day.briefing --role deployment-lead --name "Our deployment lead" \\
        --evidence https://wiki.example/minutes --valid-until 1d --change CHG-1234
    """
    now = records.present()
    record: dict[str, Any] = {
        "item": item,
        "role": slug(role),
        "name": name,
        "meaning": meaning or getattr(checklist.get(item), "text", ""),
        "at": time_words(now),
        "valid_until": time_words(arguments.until(valid_until, now)),
        "evidence": [_evidence(given, root) for given in evidence],
        "change": arguments.check_change(change),
        "inventory": arguments.check_inventory(inventory, root),
    }
    if findings:
        record["findings"] = {**_findings(findings, root), "allowed": allowed}
    text = dump({key: value for key, value in record.items() if value})
    path = records.free_file(root / FOLDER, f"{item}--{slug(role)}--{now:%Y%m%d}")
    shown = path.relative_to(root).as_posix()
    with arguments.plainly():
        attestations.check(text, shown, checklist)
    _check_role(item, slug(role), checklist)
    records.write(path, text)
    signature = _sign(path, key) if key else None
    _say(root, shown, signature, record, as_json)


def _evidence(given: str, root: Path) -> dict[str, str]:
    if "://" in given:
        if why := url_problem(given):
            raise click.UsageError(f"--evidence {given}: {why}")
        return {"url": given}
    return _file("--evidence", given, root)


def _findings(given: str, root: Path) -> dict[str, str]:
    entry = _file("--findings", given, root)
    if problem := sarif.measure(root / entry["file"]).problem:
        raise click.UsageError(f"--findings {given} {problem}")
    return entry


def _file(option: str, given: str, root: Path) -> dict[str, str]:
    """Return a file as it is recorded: path below the root and digest. `given` is relative to here or to the root."""
    found = next((p for p in (Path.cwd() / given, root / given) if p.is_file()), None)
    if found is None:
        raise click.UsageError(f"{option} {given}: there is no such file (a URL begins with https://)")
    if not found.resolve().is_relative_to(root.resolve()):
        raise click.UsageError(
            f"{option} {given}: is not below {root}, so a pull request cannot contain it; copy it there"
        )
    try:
        return {"file": found.resolve().relative_to(root.resolve()).as_posix(), "sha256": digest(found)}
    except OSError as error:
        raise click.UsageError(f"{option} {given}: cannot be read: {error.strerror}") from None


def _check_role(item_id: str, role: str, checklist: Checklist) -> None:
    item = checklist.get(item_id)
    asked = roles_asked(item) if item else ()
    if asked and role not in asked:
        raise click.UsageError(f"{item_id} must be attested by {' and '.join(asked)}, not by {role}")


def _sign(path: Path, key: str) -> Path:
    """Sign a record, and delete it if that fails, so that no unsigned record is left behind."""
    try:
        done = subprocess.run(
            ["ssh-keygen", "-Y", "sign", "-n", NAMESPACE, "-f", str(Path(key).expanduser()), str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
        why = "" if done.returncode == 0 else " ".join(done.stderr.split())
    except OSError as error:
        why = f"ssh-keygen cannot be started: {error.strerror}"
    if why:
        path.unlink(missing_ok=True)
        raise click.ClickException(f"nothing was written, because it could not be signed with {key}: {why}")
    return path.with_name(f"{path.name}.sig")


def _say(root: Path, shown: str, signature: Path | None, record: dict[str, Any], as_json: bool) -> None:
    files = [shown] + ([signature.relative_to(root).as_posix()] if signature else [])
    files += [entry["file"] for entry in (*record["evidence"], record.get("findings", {})) if "file" in entry]
    step = (
        f"git add {' '.join(dict.fromkeys(files))}, commit, open a pull request: it counts once it is merged"
    )
    if as_json:
        told = {
            "file": shown,
            "signature": files[1] if signature else None,
            "item": record["item"],
            "role": record["role"],
            "valid_until": record["valid_until"],
            "next": step,
        }
        click.echo(json.dumps(told, indent=1))
        return
    click.echo(f"wrote {shown}" + (f" and {files[1]}" if signature else ""))
    click.echo(
        f"{record['item']} is attested by {record['name']} ({record['role']}) until {record['valid_until']}"
    )
    click.echo(f"next: {step}")
