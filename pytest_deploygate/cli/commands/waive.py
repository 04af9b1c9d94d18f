"""Waive an item that is not good, until a date.

The waiver is a file, to be merged by a pull request.
"""

from __future__ import annotations

import json
from pathlib import Path

import click

from pytest_deploygate.checklist import waivers
from pytest_deploygate.checklist.parser import Checklist, slug
from pytest_deploygate.checklist.vocabulary import time_words
from pytest_deploygate.checklist.waivers import CAP, FOLDER
from pytest_deploygate.cli.shared import arguments, options, records, repository
from pytest_deploygate.files.yaml import dumped
from pytest_deploygate.signoff import record_files


@click.command()
@click.argument("item")
@click.option(
    "--target", default="", metavar="NAME", help="Only for this target, e.g. one replica; `*` and `?` match."
)
@click.option("--owner", required=True, metavar="ROLE", help="Who is responsible for it.")
@click.option("--approver", required=True, metavar="ROLE", help="Who approves it; not the owner.")
@click.option(
    "--reason", required=True, metavar="TEXT", help="Why this is acceptable; at least 15 characters."
)
@click.option("--ticket", required=True, metavar="ID", help="The ticket for the fix.")
@click.option(
    "--expires", required=True, metavar="DATE|7d", help="When it expires (UTC); at most 90 days from now."
)
@click.option("--change", default="", metavar="ID", help="Only for this change.")
@click.option("--inventory", default="", metavar="NAME", help="Only for this inventory.")
@click.option(
    "--cap",
    type=click.IntRange(min=0),
    default=CAP,
    show_default=True,
    metavar="N",
    help="How many waivers may be active.",
)
@click.option(
    "--key",
    type=click.Path(path_type=Path),
    metavar="KEY",
    help="Sign the waiver as its owner with this SSH key, or with its public key if an agent holds the private one.",
)
@options.as_json
@repository.repository
def waive(
    item: str,
    *,
    root: Path,
    checklist: Checklist,
    target: str,
    owner: str,
    approver: str,
    reason: str,
    ticket: str,
    expires: str,
    change: str,
    inventory: str,
    cap: int,
    key: Path | None,
    as_json: bool,
) -> None:
    """Write waivers/ITEM--DATE.yml: ITEM does not hold the deployment until the waiver ends.

    Its check still runs and its result is shown. Once the waiver has expired, an item that is still not good fails.
    Items marked .non-waivable are refused. The waiver counts once its file is committed on the branch for records
    (policy.records_branch); with policy.signed_records also both signatures are needed.

    \b
    deploygate waive db.pooling --owner "Database admin" --approver "Operations manager" --ticket OPS-17 \\
        --reason "the pooler is replaced next week" --expires 7d
    deploygate waive phase2.replication --target "db3*" --inventory prod --expires 2026-03-10 ...
    """
    now = records.present()
    record = {
        "item": item,
        "target": target,
        "owner": owner,
        "approver": approver,
        "reason": reason,
        "ticket": ticket,
        "created": time_words(now),
        "expires": time_words(arguments.until(expires, now)),
        "change": arguments.check_change(change),
        "inventory": arguments.check_inventory(inventory, root),
    }
    text = dumped({key: value for key, value in record.items() if value})
    path = records.free_file(root / FOLDER, f"{item}{f'--{target}' if target else ''}--{now:%Y%m%d}")
    shown = path.relative_to(root).as_posix()
    with arguments.plainly():
        new = waivers.check(text, shown, checklist)
    _check_others(new, waivers.load_all(root, checklist, None), cap)
    records.write(path, text)
    signature = _signed(root, path, owner, key) if key else ""
    step = (
        f"git add {' '.join(filter(None, (shown, signature)))}, commit, open a pull request that {approver} approves: "
        "it counts once it is merged"
    )
    if key:
        step = f"{approver} signs, too: `{record_files.command(shown, slug(approver))}`; then {step}"
    if as_json:
        told = {"file": shown, "item": item, "target": target, "expires": record["expires"], "next": step}
        click.echo(json.dumps({**told, **({"signature": signature} if key else {})}, indent=1))
        return
    click.echo(f"wrote {shown}" + (f" and {signature}" if signature else ""))
    what = f"{item} [{target}]" if target else item
    click.echo(f"{what} is waived until {record['expires']}; from then on it fails unless it is fixed")
    click.echo(f"next: {step}")


def _signed(root: Path, path: Path, owner: str, key: Path) -> str:
    """Sign a waiver as its owner; return the signature's path below the root. A waiver that cannot be signed is removed."""
    try:
        return record_files.sign(root, path, owner, key.expanduser()).relative_to(root).as_posix()
    except record_files.NotSignedError as error:
        path.unlink(missing_ok=True)
        raise click.ClickException(f"nothing was written, because it could not be signed: {error}") from None


def _check_others(new: waivers.Waiver, others: list[waivers.Waiver], cap: int) -> None:
    active = [one for one in others if one.active(new.created)]
    same = [one for one in active if waivers.scope(one) == waivers.scope(new)]
    if same:
        raise click.UsageError(
            f"{same[0].file} waives the same until {time_words(same[0].expires)}: change that file instead"
        )
    if len(active) >= cap:
        names = ", ".join(one.file for one in active) or "none"
        raise click.UsageError(f"{cap} waivers may be active at once, and there are {len(active)} ({names})")
