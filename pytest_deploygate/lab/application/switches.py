"""What is wrong with the platform: switches in one JSON file, which is read again whenever it was replaced.

A switch that is not in the file is off. Its name begins with its subject, and it is asked for in the code that it changes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class Switches:
    """The switches of a file; a file that is not there sets none."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen: tuple[int, int] = (0, 0)
        self._values: dict[str, Any] = {}

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of a switch, `default` where it is not set."""
        self._read()
        return self._values.get(name, default)

    def on(self, name: str) -> bool:
        """Return whether a switch is on."""
        return bool(self.get(name))

    def concerns(self, name: str, user: str) -> bool:
        """Return whether a switch is on for a user: it is on for everybody, or has this user's name."""
        return self.get(name) in (True, user)

    def _read(self) -> None:
        try:
            now = self._file.stat()
        except FileNotFoundError:
            self._values, self._seen = {}, (0, 0)
            return
        if (now.st_mtime_ns, now.st_ino) != self._seen:
            self._values = json.loads(self._file.read_text())
            self._seen = (now.st_mtime_ns, now.st_ino)
