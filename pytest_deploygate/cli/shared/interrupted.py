"""What a killed command left half done: the next command of the change finishes it."""

from __future__ import annotations

from pathlib import Path

from pytest_deploygate.cli.shared import journals


def finish(folder: Path) -> None:
    """Record what a killed command left half done, if there is anything. Raises Refused, Damaged."""
    if journals.half_done(journals.read(folder)):
        from pytest_deploygate.cli.shared import changes  # noqa: PLC0415 (hooks and servers, needed by hardly any call)

        with changes.writing(folder):
            pass
