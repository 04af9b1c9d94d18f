"""The root of the repository that a command works in."""

from __future__ import annotations

from pathlib import Path

from pytest_deploygate.cli.shared.refusals import Refused
from pytest_deploygate.files import bounded
from pytest_deploygate.files.bounded import OddFileError

_CONFIGURATION = ("pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")


def find_root(start: Path) -> Path:
    """Return the folder in which pytest would run: the nearest one upwards with suites or a pytest configuration.

    Raises Refused for a configuration that is no file, or too large to be one.
    """
    for folder in (start, *start.parents):
        if (folder / "suites" / "checklist.md").is_file() or _configured(folder):
            return folder
    return start


def _configured(folder: Path) -> bool:
    for name in _CONFIGURATION:
        try:
            text = bounded.read(folder / name).decode(errors="replace")
        except OddFileError as error:
            raise Refused(f"{folder / name} cannot be read: {error.strerror}") from None
        except OSError:
            continue
        if name == "pytest.ini" or "[tool.pytest" in text or "[pytest]" in text or "[tool:pytest]" in text:
            return True
    return False
