"""The stop of a change ends commands that send or ask for a long time, as it ends runs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import click

from pytest_deploygate.cli.shared import folders
from pytest_deploygate.cli.shared.root import find_root
from pytest_deploygate.clients import stopping

_AGAIN = "remove it (`deploygate stop --off`) and run the command again"


@contextlib.contextmanager
def obeyed(change: str, out: Path | None) -> Iterator[None]:
    """Look for the change's stop file in the block, and let the signal USR1 make it. Raises ClickException.

    The folder is made if there is none: people stop what runs there. One that stays empty is removed.
    """
    folder = out or folders.place(change, find_root(Path.cwd()))
    made = not folder.is_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.ClickException(
            f"{folder} cannot be made ({error.strerror}), and a stop file there is what ends this command: name another "
            "folder with --out"
        ) from None
    stopping.begin((folder / stopping.NAME).absolute(), _AGAIN)
    try:
        yield
    finally:
        stopping.begin(None)
        if made:
            with contextlib.suppress(OSError):
                folder.rmdir()
