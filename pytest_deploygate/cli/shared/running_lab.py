"""The running lab, as its commands get hold of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from pytest_deploygate.lab.state import Lab, LabError, load, locked


@contextmanager
def plainly() -> Iterator[None]:
    """Turn what the lab cannot do into one sentence and exit 1."""
    try:
        yield
    except LabError as error:
        raise click.ClickException(str(error)) from None


@contextmanager
def alone() -> Iterator[Lab]:
    """Yield the running lab, locked against other commands that change it."""
    with plainly():
        found = load()
        with locked(found.folder):
            yield found
