"""Streams that mask secrets: what anybody in the process prints on them leaves masked."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TextIO

from pytest_deploygate.redaction import masked, redact


class Masked:
    """A text stream that changes what is written to it; everything else is the stream's own."""

    def __init__(self, stream: TextIO, change: Callable[[str], str] = redact) -> None:
        self._stream = stream
        self._change = change

    def write(self, text: str) -> int:
        """Write the text, changed. A character that the stream has no bytes for is written as its escape."""
        changed = self._change(text)
        try:
            self._stream.write(changed)
        except UnicodeEncodeError:
            encoding = self._stream.encoding or "utf-8"
            self._stream.write(changed.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each line, changed."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def without_secrets() -> Iterator[None]:
    """Mask secrets in what is printed to standard output and standard error meanwhile.

    URLs stay: those of findings were redacted before, and those of help and schema are examples.
    """
    out, err = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = Masked(out, masked), Masked(err, masked)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = out, err
