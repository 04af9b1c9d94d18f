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
from pytest_deploygate.checklist.attestations import FOLDER, NAMESPACE, url_problem
from pytest_deploygate.checklist.parser import Checklist, slug
from pytest_deploygate.checklist.vocabulary import LEVELS, roles_asked, time_words
from pytest_deploygate.checks.people.probe import sarif
from pytest_deploygate.checks.people.probe.attestations import digest
from pytest_deploygate.cli.shared import arguments, options, records, repository
from pytest_deploygate.files.yaml import dumped


@click.command()
@click.argument("items", nargs=-1, required=True, metavar="ITEM...")
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
    items: Sequence[str],
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
    changes, the item fails. The attestation counts once the file is merged. Several items get a file each; if one
    of them is refused, none is written.

    \b
    deploygate attest sec.audit --role technical-lead --name "Our technical lead" \\
        --evidence reports/audit.pdf --valid-until 90d
    deploygate attest sec.pentest --role deployment-lead --name "Our deployment lead" \\
        --findings reports/pentest.sarif --valid-until 2026-06-30 --key ~/.ssh/id_ed25519
    deploygate attest day.briefing --role deployment-lead --name "Our deployment lead" \\
        --evidence https://wiki.example/minutes --valid-until 1d --change CHG-1234
    deploygate attest comp.iso comp.dpa --role technical-lead --name "Our technical lead" \\
        --evidence reports/compliance.pdf --valid-until 90d
    """
    now = records.present()
    shared: dict[str, Any] = {
        "role": slug(role),
        "name": name,
        "at": time_words(now),
        "valid_until": time_words(arguments.until(valid_until, now)),
        "evidence": [_evidence(given, root) for given in evidence],
        "change": arguments.check_change(change),
        "inventory": arguments.check_inventory(inventory, root),
    }
    if findings:
        shared["findings"] = {**_findings(findings, root), "allowed": allowed}
    texts: dict[Path, str] = {}
    for item in dict.fromkeys(items):
        said = meaning or getattr(checklist.get(item), "text", "")
        record = {"item": item, "role": slug(role), "name": name, "meaning": said, **shared}
        text = dumped({key: value for key, value in record.items() if value})
        path = records.free_file(root / FOLDER, f"{item}--{slug(role)}--{now:%Y%m%d}")
        with arguments.plainly():
            attestations.check(text, path.relative_to(root).as_posix(), checklist)
        _check_role(item, slug(role), checklist)
        texts[path] = text
    for path, text in texts.items():
        records.write(path, text)
    signatures = _sign(list(texts), key) if key else []
    _say(root, list(dict.fromkeys(items)), list(texts), signatures, shared, as_json)


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


def _sign(paths: Sequence[Path], key: str) -> list[Path]:
    """Sign the records. When one cannot be signed, remove them all: none is left half done."""
    made = [path.with_name(f"{path.name}.sig") for path in paths]
    for path in paths:
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
            for unfinished in (*paths, *made):
                unfinished.unlink(missing_ok=True)
            raise click.ClickException(
                f"nothing was written, because it could not be signed with {key}: {why}"
            )
    return made


def _say(
    root: Path,
    items: Sequence[str],
    paths: Sequence[Path],
    signatures: Sequence[Path],
    shared: dict[str, Any],
    as_json: bool,
) -> None:
    """Say what was written and what to do next. One item gives one JSON object, several give a list of them."""
    files, signed = ([p.relative_to(root).as_posix() for p in some] for some in (paths, signatures))
    evidence = [e["file"] for e in (*shared["evidence"], shared.get("findings", {})) if "file" in e]
    added = " ".join(dict.fromkeys((*files, *signed, *evidence)))
    counts = "it counts once it is merged" if len(files) == 1 else "they count once they are merged"
    step = f"git add {added}, commit, open a pull request: {counts}"
    if as_json:
        told = [
            {
                "file": file,
                "signature": signature,
                "item": item,
                "role": shared["role"],
                "valid_until": shared["valid_until"],
                "next": step,
            }
            for item, file, signature in zip(items, files, signed or (None,) * len(files), strict=True)
        ]
        click.echo(json.dumps(told[0] if len(told) == 1 else told, indent=1))
        return
    for item, file, signature in zip(items, files, signed or ("",) * len(files), strict=True):
        click.echo(f"wrote {file}" + (f" and {signature}" if signature else ""))
        click.echo(f"{item} is attested by {shared['name']} ({shared['role']}) until {shared['valid_until']}")
    click.echo(f"next: {step}")
