"""What a drill changed, on disk before it is changed, and the lock that keeps a second drill away.

The file beside the record names the commands that take each change back, in order. A drill that ends well removes it. One
that was killed leaves it: the next drill, or `deploygate drill restore`, takes back what it names.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

from pytest_deploygate.files import bounded, write_whole
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell


@dataclass(frozen=True)
class Step:
    """A change that may have been made: a fault on a node, with the command that takes it back, or another leader.

    `undo` is empty for a leader: then `node` shall lead again.
    """

    what: str
    node: str
    undo: str = ""


class Steps:
    """The changes of one drill. Raises CannotTell if they cannot be written: then nothing may be changed."""

    def __init__(self, record: Path) -> None:
        self.file = record.with_name(f"{record.name}.steps")

    def pending(self) -> list[Step]:
        """Return what was not taken back, oldest first. Raises CannotTell for a file that cannot be read."""
        try:
            found = bounded.from_json(bounded.read(self.file, bounded.MADE))
            return [Step(str(each["what"]), str(each["node"]), str(each["undo"])) for each in found]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CannotTell(
                f"the changes of an earlier drill ({self.file}) cannot be read ({type(error).__name__}): bring the cluster "
                "back by hand, then remove the file"
            ) from None

    def will(self, step: Step) -> None:
        """Note a change before it is made."""
        self._write([*self.pending(), step])

    def done(self, step: Step) -> None:
        """Forget a change that was taken back."""
        left = [each for each in self.pending() if each != step]
        if left:
            self._write(left)
        else:
            self.file.unlink(missing_ok=True)

    def _write(self, steps: list[Step]) -> None:
        rows = [{"what": s.what, "node": s.node, "undo": s.undo} for s in steps]
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.file, json.dumps(rows, indent=1) + "\n")
            with self.file.open("rb") as file:
                os.fsync(file.fileno())
        except OSError as error:
            raise CannotTell(
                f"the drill's changes cannot be noted in {self.file} ({error.strerror}), so nothing was changed"
            ) from None


@contextlib.contextmanager
def alone(record: Path) -> Iterator[str]:
    """Hold the lock beside the record; yield who held it before and died, or an empty text.

    The kernel releases the lock of a process that ended in any way. Raises CannotTell if another process holds it.
    """
    path = record.with_name(f"{record.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    except OSError as error:
        raise CannotTell(f"the lock {path} of the drill cannot be made: {error.strerror}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CannotTell(
                f"another drill runs on this cluster ({_owner(path)}, lock {path}): wait until it has ended"
            ) from None
        dead = _owner(path)
        file.truncate(0)
        file.write(f"process {os.getpid()}\n")
        file.flush()
        try:
            yield dead
        finally:
            file.truncate(0)


def _owner(path: Path) -> str:
    try:
        return path.read_text(errors="replace")[:100].strip()
    except OSError:
        return ""
