"""`deploygate attest`: write an attestation, to be merged by a pull request."""

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
from pytest_deploygate.cli.shared import repository
from pytest_deploygate.probes import sarif
from pytest_deploygate.probes.attestations import digest


@click.command("attest", short_help="Attest an item of the checklist: who, on what evidence, until when.")
@click.argument("item")
@click.option("--role", required=True, help="Role in which it is attested, e.g. technical-lead.")
@click.option("--name", required=True, help="Who attests it.")
@click.option(
    "--evidence", multiple=True, metavar="FILE|URL", help="What backs it; may be given several times."
)
@click.option("--valid-until", required=True, metavar="DATE|90d", help="When it must be attested anew (UTC).")
@click.option("--meaning", default="", help="What exactly is attested; left out: the item's text.")
@click.option("--change", default="", metavar="ID", help="It counts for this change only.")
@click.option("--inventory", default="", metavar="NAME", help="It counts for this inventory only.")
@click.option(
    "--findings", metavar="FILE", help="SARIF file of a scanner: open results above --allowed fail it."
)
@click.option(
    "--allowed", type=click.Choice(LEVELS), default="warning", show_default=True, help="See --findings."
)
@click.option(
    "--key", metavar="KEY", help="Sign it with this SSH key (the public half where an agent has it)."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
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
    """Write attestations/ITEM--ROLE--DATE.yml: a person says that ITEM holds, on what evidence, until when.

    Evidence files stay where they are (below the repository) and are recorded with their SHA-256: one changed
    byte, and the item fails. Nothing counts before the file is merged.

    \b
    deploygate attest sec.audit --role technical-lead --name "Our technical lead" \\
        --evidence reports/audit.pdf --valid-until 90d
    deploygate attest sec.pentest --role deployment-lead --name "Our deployment lead" \\
        --findings reports/pentest.sarif --valid-until 2026-06-30 --key ~/.ssh/id_ed25519
    deploygate attest day.briefing --role deployment-lead --name "Our deployment lead" \\
        --evidence https://wiki.example/minutes --valid-until 1d --change CHG-1234
    """
    now = repository.present()
    record: dict[str, Any] = {
        "item": item,
        "role": slug(role),
        "name": name,
        "meaning": meaning or getattr(checklist.get(item), "text", ""),
        "at": time_words(now),
        "valid_until": time_words(repository.until(valid_until, now)),
        "evidence": [_evidence(given, root) for given in evidence],
        "change": repository.check_change(change),
        "inventory": repository.check_inventory(inventory, root),
    }
    if findings:
        record["findings"] = {**_findings(findings, root), "allowed": allowed}
    text = dump({key: value for key, value in record.items() if value})
    path = repository.free_file(root / FOLDER, f"{item}--{slug(role)}--{now:%Y%m%d}")
    shown = path.relative_to(root).as_posix()
    with repository.arguments():
        attestations.check(text, shown, checklist)
    _check_role(item, slug(role), checklist)
    repository.write(path, text)
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
    """Return a file as the record has it: its path below the root, seen from here or from the root, and its digest."""
    found = next((p for p in (Path.cwd() / given, root / given) if p.is_file()), None)
    if found is None:
        raise click.UsageError(f"{option} {given}: there is no such file (a URL begins with https://)")
    if not found.resolve().is_relative_to(root.resolve()):
        raise click.UsageError(
            f"{option} {given}: is not below {root}, so a pull request could not hold it; copy it there"
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
    """Sign a record; take it away again when that fails, so that none is left half done."""
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
