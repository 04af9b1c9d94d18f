"""What the processes of one run tell each other about silent places: the lines of a small file, each a JSON object."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_AT_ONCE = 65536


class SharedSilences:
    """A file that all processes append to and read. It only saves time: what cannot be written is not told."""

    def __init__(self, path: Path) -> None:
        """Open the file, and create it if no process has. Raises OSError."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._seen = 0

    def tell(self, line: Mapping[str, Any]) -> None:
        """Append a line, in one write, so that lines of several processes do not mix."""
        with contextlib.suppress(OSError):
            os.write(self._file, json.dumps(line).encode() + b"\n")

    def news(self) -> list[dict[str, Any]]:
        """Return the whole lines, one's own too, that were appended since the last call."""
        raw = b""
        with contextlib.suppress(OSError):
            while part := os.pread(self._file, _AT_ONCE, self._seen + len(raw)):
                raw += part
        whole = raw.rfind(b"\n") + 1
        self._seen += whole
        return [json.loads(line) for line in raw[:whole].splitlines()]

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
