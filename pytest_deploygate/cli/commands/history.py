"""Show trends and DORA's four figures over many changes."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_deploygate.cli.shared import arguments, folders, options
from pytest_deploygate.cli.shared.journals import Damaged
from pytest_deploygate.cli.shared.refusals import Refused
from pytest_deploygate.cli.shared.root import find_root
from pytest_deploygate.files import write_whole
from pytest_deploygate.problems import nearest
from pytest_deploygate.report import words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_deploygate.history.folders import Folder, Note
    from pytest_deploygate.history.reading import History

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("named", nargs=-1, metavar="[FOLDER]...", type=click.Path(path_type=Path))
@click.option("--inventory", metavar="NAME", help="Only the runs on this inventory.")
@click.option("--since", metavar="WHEN", help="Only changes that went live, or began, since: 90d, a date.")
@click.option("--all", "everything", is_flag=True, help="Print every change and item.")
@click.option("--html", type=_FILE, metavar="FILE", help="Write one page without script.")
@click.option("--openmetrics", type=_FILE, metavar="FILE", help="Write OpenMetrics text for Prometheus.")
@options.as_json
def history(
    named: tuple[Path, ...],
    inventory: str | None,
    since: str | None,
    everything: bool,
    html: Path | None,
    openmetrics: Path | None,
    as_json: bool,
) -> None:
    """Show trends and DORA's four figures over many changes, from their journals alone.

    Without FOLDER all changes below deploygate-out are read; a FOLDER is a change or holds changes. Each folder that is not
    counted is said with its reason. Exit codes: 0 all counted or said; 4 nothing can be counted; 25 a journal is damaged,
    after everything else was written.

    \b
    deploygate history
    deploygate history --inventory prod --since 90d --html history.html
    deploygate history archive/ --openmetrics /var/lib/node_exporter/deploygate.prom
    """
    from pytest_deploygate.history import reading  # noqa: PLC0415 (start time)
    from pytest_deploygate.history.folders import Kind  # noqa: PLC0415 (start time)

    begin = arguments.since(since, datetime.now(UTC)) if since else None
    found = _since(_of(reading.read(_folders(named)), inventory), begin)
    if not found.parts:
        said = "".join(f"\n{note.folder}: {note.kind.value}: {note.text}" for note in found.notes)
        wrong = any(note.kind is Kind.DAMAGED for note in found.notes)
        raise (Damaged if wrong else Refused)(f"no folder can be counted{said}")
    _write(found, html, openmetrics)
    _print(found, as_json=as_json, everything=everything, files=[f for f in (html, openmetrics) if f])
    if damaged := sum(note.kind is Kind.DAMAGED for note in found.notes):
        raise Damaged(f"{damaged} of the folders {'is' if damaged == 1 else 'are'} damaged and not counted")


def _folders(named: tuple[Path, ...]) -> Iterator[Folder | Note]:
    """Find the folders. Raises Refused for one that is not there."""
    from pytest_deploygate.history import folders as found  # noqa: PLC0415 (start time)

    for path in named:
        if not path.is_dir():
            beside = sorted(other.name for other in path.parent.glob("*") if other.is_dir())
            raise Refused(f"there is no folder {path}{nearest(path.name, beside[:50])}")
    if named:
        return found.given(named)
    out = find_root(Path.cwd()) / folders.OUT
    if not out.is_dir():
        raise Refused(f"there is no folder {out}: no run wrote one; name a FOLDER with records")
    return found.below(out)


def _of(found: History, inventory: str | None) -> History:
    """Leave only the runs on one inventory. Raises Refused for one that no run was on."""
    if inventory is None:
        return found
    parts = [part for part in found.parts if part.inventory == inventory]
    if found.parts and not parts:
        names = sorted({part.inventory for part in found.parts})
        raise Refused(f"--inventory {inventory}: no run was on it{nearest(inventory, names)}")
    return dataclasses.replace(found, parts=parts)


def _since(found: History, begin: datetime | None) -> History:
    """Leave only the changes that went live, or else began, since a time. Raises Refused if there are none."""
    if begin is None:
        return found
    parts = [part for part in found.parts if (part.deployment.began or part.first) >= begin]
    if found.parts and not parts:
        last = max(part.deployment.began or part.first for part in found.parts)
        raise Refused(f"no change since {words.moment(begin)}: the last one is of {words.moment(last)}")
    return dataclasses.replace(found, parts=parts)


def _write(found: History, html: Path | None, openmetrics: Path | None) -> None:
    if html:
        from pytest_deploygate.history import page  # noqa: PLC0415 (start time)

        _save(html, page.render(found))
    if openmetrics:
        from pytest_deploygate.history import openmetrics as metrics  # noqa: PLC0415 (start time)

        _save(openmetrics, metrics.text(found))


def _save(file: Path, text: str) -> None:
    try:
        write_whole(file, text)
    except OSError as error:
        raise Refused(f"{file} cannot be written: {error.strerror}") from None


def _print(found: History, *, as_json: bool, everything: bool, files: list[Path]) -> None:
    if as_json:
        from pytest_deploygate.history import told  # noqa: PLC0415 (start time)

        click.echo(json.dumps(told.plain(found), ensure_ascii=False, indent=1))
        return
    from pytest_deploygate.cli.show import history as show  # noqa: PLC0415 (start time)

    if files:
        for file in files:
            click.echo(f"{file}: {found.folders} folders")
    else:
        show.tables(found, everything=everything)
    show.notes(found)
