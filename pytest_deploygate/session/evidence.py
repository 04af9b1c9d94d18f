"""Where evidence is kept: each piece in a file of its own, or in the line of its finding.

A file can be opened, attached and compared by itself. Thousands of files are slow to write, to copy and to read again,
whatever is in them. So a run of many findings keeps what is small in the journal, after its first files.
"""

from __future__ import annotations

from pathlib import Path

from pytest_deploygate.files import as_recorded, sha256, write_new
from pytest_deploygate.model import Evidence

#: The files that the processes of a run write together, whatever the size of what is in them.
FILES = 200
#: The most bytes of a piece that is kept in the journal: its lines are read in every run of the change.
SMALL = 2000
_FOLDER = "evidence"


class EvidenceLost(Exception):  # noqa: N818 (it is an answer, not an error)
    """Evidence could not be written (disk full, no permission): the run's evidence is incomplete."""


class Store:
    """The evidence that one process of a run keeps below `out`.

    `mode` are the permissions of its files, `files` how many it may write before small pieces go to the journal.
    """

    def __init__(self, out: Path, mode: int = 0o600, files: int = FILES) -> None:
        self.out = out
        self.mode = mode
        self.left = files

    def keep(self, stem: str, title: str, text: str) -> Evidence:
        """Keep a text without secrets. Raises EvidenceLost.

        The name of a file begins with `stem` and has the text's digest, so that nothing is ever overwritten.
        """
        raw = text.encode(errors="backslashreplace")  # a lone surrogate becomes a JSON escape
        digest = sha256(raw)
        if self.left <= 0 and len(raw) <= SMALL:
            return Evidence("", digest, title, raw.decode())
        self.left -= 1
        path = f"{_FOLDER}/{stem}--{digest[:12]}.json"
        try:
            _write(f"{self.out}/{path}", raw, self.mode)
        except OSError as error:
            raise EvidenceLost(f"evidence {path} cannot be written: {error.strerror}") from None
        return Evidence(path, digest, title)


def intact(out: Path, evidence: Evidence) -> bool:
    """Tell whether a finding's evidence is there as recorded."""
    if evidence.path:
        return as_recorded(out / evidence.path, evidence.sha256)
    return sha256(evidence.content.encode(errors="backslashreplace")) == evidence.sha256


def _write(path: str, raw: bytes, mode: int) -> None:
    """Write a file, with its folder if that does not exist yet."""
    try:
        write_new(path, raw, mode)
    except FileNotFoundError:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_new(path, raw, mode)
