"""Check inventories, checklist and records, from the files alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import click

from pytest_deploygate.checklist import attestations, issue_log, waivers
from pytest_deploygate.checklist.parser import Checklist, ChecklistError
from pytest_deploygate.checklist.records import RecordsError
from pytest_deploygate.cli.shared import arguments, inventories, options, repository
from pytest_deploygate.cli.shared.refusals import Command, Refused
from pytest_deploygate.cli.shared.repository import Tested
from pytest_deploygate.cli.shared.root import find_root
from pytest_deploygate.inventory.loader import BESIDE, InventoryError, Loaded, available, load
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import words_for_count
from pytest_deploygate.redaction import redact
from pytest_deploygate.session.asking import asking

T = TypeVar("T")
#: `deploygate init` writes such inventories for people to copy: values in them are still to be filled in.
_EXAMPLE = ".example"


@dataclass(frozen=True)
class _Found:
    """What was read, and everything that is wrong with it."""

    checklist: str
    items: int
    inventories: tuple[str, ...]
    attestations: int
    waivers: int
    issue_logs: int
    problems: tuple[str, ...]


@click.command(cls=Command)
@click.option(
    "--inventory",
    "names",
    multiple=True,
    metavar="NAME|PATH",
    help="The inventory, if not all of inventories/ but *.example.yml. Can be given again.",
)
@options.checklist
@options.as_json
def check(*, names: tuple[str, ...], file: Path | None, as_json: bool) -> None:
    """Check inventories, checklist, attestations, waivers and issue logs, and name every mistake in them.

    Nothing is measured and no connection is made: this is for a pre-commit hook and for reviews. Records are checked
    whether they are committed or not, and the issue logs of all changes. Secrets need not be set. Ends with 4 if
    something is wrong.

    \b
    deploygate check
    deploygate check --inventory staging --inventory prod
    """
    root = find_root(Path.cwd())
    if not available(root) and available(root / BESIDE):
        root /= BESIDE  # a hook starts at the top of the repository
    found = _found(root, file, names or _all(root))
    if as_json:
        plain = {
            "checklist": found.checklist,
            "items": found.items,
            "inventories": found.inventories,
            "attestations": found.attestations,
            "waivers": found.waivers,
            "issue_logs": found.issue_logs,
            "problems": found.problems,
        }
        click.echo(redact(json.dumps(plain, indent=1, ensure_ascii=False)))
        raise SystemExit(Refused.exit_code if found.problems else 0)
    if found.problems:
        raise Refused(redact("\n".join(("", *found.problems))))
    counts = (
        words_for_count(found.items, "item", "items"),
        words_for_count(found.attestations, "attestation", "attestations"),
        words_for_count(found.waivers, "waiver", "waivers"),
        words_for_count(found.issue_logs, "issue log", "issue logs"),
    )
    click.echo(redact(f"{', '.join(found.inventories)}: {', '.join(counts)}, no mistake found"))


def _all(root: Path) -> tuple[str, ...]:
    names = tuple(name for name in available(root) if not name.endswith(_EXAMPLE))
    if not names:
        raise Refused(f"there is no inventory in {root / 'inventories'}: name one with --inventory")
    return names


def _found(root: Path, file: Path | None, names: Sequence[str]) -> _Found:
    problems: list[str] = []

    def tried(read: Callable[[], T]) -> T | None:
        try:
            return read()
        except (InventoryError, RecordsError, ChecklistError) as error:
            problems.extend(str(error).splitlines())
        except click.ClickException as error:
            problems.append(error.message)
        return None

    tested = tried(lambda: repository.tested(root, file))
    if tested is None:  # nothing can be checked against it
        return _Found(str(file or ""), 0, tuple(names), 0, 0, 0, tuple(problems))
    checklist = tested.checklist
    loaded = [one for name in names if (one := tried(partial(_inventory, name, root, tested)))]
    attested = tried(lambda: attestations.load_all(root, checklist)) or []
    waived = tried(lambda: waivers.load_all(root, checklist, None)) or []
    if waived:
        # One repository has one set of waivers: they must suit each of its inventories.
        most = min((one.inventory.policy.max_waivers for one in loaded), default=None)
        tried(lambda: waivers.check_together(waived, most, datetime.now(UTC)))
    logs = [log for path in _logs(root) if (log := tried(partial(_log, root, path, checklist)))]
    return _Found(
        str(checklist.file),
        len(checklist.items),
        tuple(names),
        len(attested),
        len(waived),
        len(logs),
        tuple(dict.fromkeys(problems)),
    )


def _inventory(name: str, root: Path, tested: Tested) -> Loaded:
    missing: list[str] = []  # secrets and files of the place where it runs
    loaded = load(name, root, missing)
    checklist = tested.checklist
    asked = asking(checklist, tested.checks, [entry.item for entry in loaded.inventory.not_applicable])
    inventories.check_applicable(loaded, checklist, asked)
    return loaded


def _logs(root: Path) -> Iterator[Path]:
    folder = root / issue_log.FOLDER
    if folder.is_dir():
        yield from sorted(path for path in folder.iterdir() if path.suffix.lower() in (".yml", ".yaml"))


def _log(root: Path, path: Path, checklist: Checklist) -> bool:
    """Read one issue log. Raises Refused if no run would read it."""
    shown = f"{issue_log.FOLDER}/{path.name}"
    try:
        arguments.check_change(path.stem)
    except click.UsageError:
        raise Refused(f"{shown}: no run reads it: {path.stem!r} cannot be the id of a change") from None
    if path.suffix != ".yml":
        raise Refused(f"{shown}: no run reads it: rename it to {path.stem}.yml")
    issue_log.load(root, path.stem, checklist)
    return True
