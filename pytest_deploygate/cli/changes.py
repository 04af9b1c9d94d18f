"""What `decide` and `rollback` share: the change's folder, its inventory, its journal held open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from pytest_deploygate import journal
from pytest_deploygate.cli import folders, inventories
from pytest_deploygate.cli.inventories import Refused
from pytest_deploygate.cli.repository import find_root
from pytest_deploygate.inventory.loader import Loaded
from pytest_deploygate.journal import Entry, JournalError, Writer
from pytest_deploygate.rollback import hooks, situation
from pytest_deploygate.rollback.hooks import Hooks


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--change` and `--out`."""
    command = click.option(
        "--out",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Its folder, when not deploygate-out/ID.",
    )(command)
    return click.option("--change", default="local", show_default=True, metavar="ID", help="The change.")(
        command
    )


def folder_of(change: str, out: Path | None) -> Path:
    """Return the change's folder. Raises Refused (exit 4)."""
    return folders.of(change, out, find_root(Path.cwd()))


def read(folder: Path) -> list[Entry]:
    """Read the journal. Raises click.ClickException."""
    with plainly():
        return journal.read(folder)[0]


@contextmanager
def writing(folder: Path) -> Iterator[Writer]:
    """Hold the journal for writing: no run and no other command of this change writes meanwhile."""
    with plainly():
        writer = Writer(folder)
        try:
            yield writer
        finally:
            writer.close()


@contextmanager
def plainly() -> Iterator[None]:
    """Turn what is wrong with a journal into one sentence."""
    try:
        yield
    except JournalError as error:
        raise click.ClickException(str(error)) from None


def inventory_of(entries: list[Entry], given: str | None) -> Loaded:
    """Return the inventory of the change's last run, or the one named. Raises Refused (exit 4)."""
    with plainly():
        name = situation.now(entries).inventory
    loaded = inventories.read(given or name)
    if loaded.inventory.name != name:
        raise Refused(
            f"the last run of this change was about {name!r}, and {loaded.file} is {loaded.inventory.name!r}"
        )
    return loaded


def hooks_of_repository() -> Hooks:
    """Return the hooks of the repository's `conftest.py`; an error in one is said on standard error."""
    root = find_root(Path.cwd())
    return hooks.load(root, lambda where, what: click.echo(f"hook {where}: {what}", err=True))


def notify(event: str, text: str) -> None:
    """Have the hooks pass something on."""
    hooks_of_repository().ask("pytest_deploygate_notify", event=event, text=text)
