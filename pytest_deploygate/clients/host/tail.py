"""Follow one log file through its rotation: what was written since the beginning, whichever file it is in by now.

A file that is renamed keeps its inode, and may still be written to. One that is copied and truncated has the old lines in
a new file beside it, and one that is compressed, too. Files are read from where the last reading ended, and no byte twice.
"""

from __future__ import annotations

import base64
import re
import shlex

from pytest_deploygate.lazy import dataclass

#: The most that is read at a time, and in all: more than a busy server logs meanwhile.
_PART = 4 << 20
MOST = 32 << 20
_UNPACK = {".gz": "gzip -dc", ".bz2": "bzip2 -dc", ".xz": "xz -dc", ".zst": "zstd -dc"}


@dataclass(frozen=True)
class Seen:
    """A file as `stat` shows it: `%i %s %Y %n`."""

    inode: str
    size: int
    changed: int
    name: str


def seen(text: str) -> list[Seen]:
    """Read the lines of `stat -L -c '%i %s %Y %n'`."""
    found = {}
    for line in text.splitlines():
        words = line.split(" ", 3)
        if len(words) == 4 and words[0].isdigit() and words[1].isdigit() and words[2].isdigit():
            found[words[3]] = Seen(words[0], int(words[1]), int(words[2]), words[3])
    return list(found.values())


def listing(path: str) -> str:
    """Return the command that lists a log and what is beside it under a similar name."""
    return f"stat -L -c '%i %s %Y %n' -- {' '.join([shlex.quote(path), *_beside(path)])}"


def _beside(path: str) -> list[str]:
    stem, dot, end = path.rpartition(".")
    around = [f"{shlex.quote(path)}[-._]*"]
    return (
        [*around, f"{shlex.quote(stem)}[-._]*{dot}{shlex.quote(end)}*"] if dot and "/" not in end else around
    )


def is_rotated(path: str, name: str) -> bool:
    """Tell whether a file's name is that of a rotated log: a number or date at its end, or before its suffix."""
    stem, dot, end = path.rpartition(".")
    packed = r"(?:\.(?:gz|bz2|xz|zst))?"
    dated = r"[-._](?:\d{1,14}(?:[-_.T]?\d{1,10}){0,3}|old)"
    forms = [rf"{re.escape(path)}{dated}{packed}"]
    if dot and "/" not in end:
        forms.append(rf"{re.escape(stem)}{dated}\.{re.escape(end)}{packed}")
    return name != path and any(re.fullmatch(form, name) for form in forms)


class Tail:
    """Where the reading of one log file has come to."""

    def __init__(self, path: str, first: Seen | None, began: int) -> None:
        """Begin at the end of a file as it is now; None if it is not there yet."""
        self.path = path
        self._at = {first.inode: first.size} if first else {}
        self._began = began
        #: The first file, until what it had is found elsewhere; and how far it was read when it was emptied.
        self._first = first.inode if first else ""
        self._emptied_at: int | None = None
        self._text: dict[str, bytes] = {}
        self.taken = 0

    def reads(self, files: list[Seen]) -> list[tuple[str, str]]:
        """Return what is to be read now, the oldest first: a key for `take`, and the command."""
        found = []
        for file in sorted(files, key=lambda file: file.name == self.path):
            at = self._at.get(file.inode)
            if file.name != self.path and (at is None or not is_rotated(self.path, file.name)):
                continue
            if at is not None and file.size < at:
                self._emptied_at = at if file.inode == self._first else None
                self._text.pop(file.inode, None)
                at = None
            self._at[file.inode] = at or 0
            if file.size > (at or 0):
                found.append((f"{file.inode} {at or 0}", self._command(file, at or 0)))
        return self._copy(files) + found

    def _copy(self, files: list[Seen]) -> list[tuple[str, str]]:
        """What the first file had is in a copy: a file of another inode that was made since then."""
        gone = self._first != "" and self._first not in {file.inode for file in files}
        at = self._at[self._first] if gone else self._emptied_at
        if at is None:
            return []
        for file in files:
            new = file.inode not in self._at and file.changed >= self._began - 1
            if new and is_rotated(self.path, file.name):
                self._first, self._emptied_at = "", None
                return [(f"copy-{file.inode} {at}", self._command(file, at))]
        return []

    @staticmethod
    def _command(file: Seen, at: int) -> str:
        name = shlex.quote(file.name)
        unpack = next((how for end, how in _UNPACK.items() if file.name.endswith(end)), "")
        source = f"{unpack} <{name} | tail -c +{at + 1}" if unpack else f"tail -c +{at + 1} -- {name}"
        # Another file may have the name by now.
        return f'[ "$(stat -L -c %i -- {name})" = {file.inode} ] && {source} | head -c {_PART} | $E'

    def take(self, key: str, read: bytes) -> list[str]:
        """Take what was read; return the lines that are whole by now."""
        inode, _, at = key.partition(" ")
        if inode in self._at:
            self._at[inode] = int(at) + len(read)
        self.taken += len(read)
        *lines, rest = (self._text.get(inode, b"") + read).split(b"\n")
        self._text[inode] = rest
        return [line.decode(errors="backslashreplace").rstrip("\r") for line in lines]

    @property
    def rest(self) -> str:
        """What comes after the last whole line."""
        return "\n".join(text.decode(errors="backslashreplace") for text in self._text.values() if text)


#: Begins a script: what binary output is written with, which it prints.
ENCODER = "E=base64; command -v base64 >/dev/null || E='od -An -v -tx1'; echo \"$E\""


def decoded(text: str, encoder: str) -> bytes:
    """Return what `$E` wrote. Raises ValueError if it is cut off."""
    joined = "".join(text.split())
    return base64.b64decode(joined, validate=True) if encoder == "base64" else bytes.fromhex(joined)
