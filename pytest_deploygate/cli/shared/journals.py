"""The folder and the journal of the change that a command is given, for commands that need no inventory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from pytest_deploygate import journal
from pytest_deploygate.cli.shared import folders
from pytest_deploygate.cli.shared.refusals import Refused
from pytest_deploygate.cli.shared.root import find_root
from pytest_deploygate.decision import unfinished
from pytest_deploygate.decision.unfinished import HalfDone
from pytest_deploygate.journal import BusyError, Entry, JournalError, Writer


class Damaged(click.ClickException):
    """The record cannot be read or written: exit 25, the evidence is not as recorded."""

    exit_code = 25


def place_of(change: str, out: Path | None) -> Path:
    """Return where the change's folder is or would be. Raises Refused for a change that no folder can have."""
    return out if out is not None else folders.place(change, find_root(Path.cwd()))


def folder_of(change: str, out: Path | None) -> Path:
    """Return the change's folder. Raises Refused (exit 4), also for the folder of another change."""
    folder = folders.of(change, out, find_root(Path.cwd()))
    if (out is None or said_change()) and (other := folders.written_for(folder)) not in ("", change):
        raise Refused(
            f"{folder} was written for the change {other}, not for {change}: it is a copy, or was renamed; "
            f"name --change {other}, or move the folder aside"
        )
    return folder


def said_change() -> bool:
    """Tell whether the command was given `--change`, and not only a folder."""
    source = click.get_current_context().get_parameter_source("change")
    return source is click.core.ParameterSource.COMMANDLINE


@contextmanager
def plainly() -> Iterator[None]:
    """Turn an error of the journal into one sentence: exit 4 while another run writes, else 25."""
    try:
        yield
    except BusyError as error:
        raise Refused(str(error)) from None
    except JournalError as error:
        raise Damaged(str(error)) from None


def read(folder: Path) -> list[Entry]:
    """Read the journal. Raises Damaged."""
    with plainly():
        return journal.read(folder)[0]


@contextmanager
def held(folder: Path) -> Iterator[Writer]:
    """Hold the journal, so that no run and no other command of this change writes to it. Raises Refused, Damaged.

    At the end, however that comes, the file is read again: what is not in the record was not done.
    """
    with plainly():
        writer = Writer(folder)
        try:
            yield writer
        finally:
            try:
                if altered := writer.altered():
                    raise JournalError(altered)
            finally:
                writer.close()


def half_done(entries: list[Entry]) -> HalfDone | None:
    """Return the rollback that was killed after its last step, before its outcome was recorded. Raises Damaged."""
    with plainly(), journal.readable():
        found = unfinished.rollback(entries)
    return found if found and found.closed else None
