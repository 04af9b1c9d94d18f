"""Reads git: the commit of a folder, what changed since, and the files of a branch. It writes nothing.

Git is asked with an explicit `--git-dir` and without its environment variables, hooks, file system monitor, replace
refs and downloads, so that neither a caller's environment nor the repository's own configuration decides the answer or
starts a program. The owner of `.git` does not matter: whoever runs the gate already runs the tests of that folder.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO

from pytest_deploygate.lazy import dataclass

#: How long one question may take.
SECONDS = 10.0
#: How long a run waits for the list of changed files. In a very large work tree it stays unknown.
STATUS_S = 5.0
_MOST_NAMED = 200
_FULL_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_HEAD = re.compile(r"(?:HEAD|@)(?:[~^][0-9]*)*")
#: A submodule's own files are its own repository's; they are in no tree of this one.
_FILE, _EXECUTABLE, _LINK = "100644", "100755", "120000"
_SETTINGS = (
    *("-c", "core.fsmonitor=false"),
    *("-c", f"core.hooksPath={os.devnull}"),
    *("-c", "core.quotePath=false"),
    *("-c", "core.useReplaceRefs=false"),
    *("-c", "core.untrackedCache=false"),
)
_ENVIRONMENT = {
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_LITERAL_PATHSPECS": "1",
    "LC_ALL": "C",
}


class GitError(Exception):
    """Git gave no answer; the message says why, as the end of a sentence."""


@dataclass(frozen=True)
class WorkTree:
    """A folder in a git work tree: the tree's top, and the folder's path below it (empty, or ending in a slash)."""

    top: Path
    prefix: str


@dataclass(frozen=True)
class State:
    """What a work tree is at: its commit, branch (empty: detached), and the files that differ from the commit.

    `dirty` are paths below the top, untracked ones included. `problem` says why something is unknown; `commit` is empty
    if it is, or if there is none yet. `committed` is the time of the commit in ISO 8601 (UTC), empty if it is unknown.
    """

    commit: str = ""
    branch: str = ""
    dirty: tuple[str, ...] = ()
    problem: str = ""
    committed: str = ""


@dataclass(frozen=True)
class Kept:
    """A file as a commit has it: the id of its content, and whether it is a symbolic link or an executable."""

    id: str
    link: bool = False
    executable: bool = False


@dataclass(frozen=True)
class Branch:
    """A branch (or another name of a commit) as it was found: `refs/remotes/origin/main` and its commit."""

    ref: str
    commit: str

    @property
    def words(self) -> str:
        """The branch as it is shown: `origin/main (1a2b3c4d5e6f)`."""
        return f"{short(self.ref)} ({self.commit[:12]})"


def short(ref: str) -> str:
    """Return a full ref's name as people write it: `origin/main`, `main`."""
    return re.sub(r"^refs/(heads|remotes|tags)/", "", ref)


def work_tree(folder: Path) -> WorkTree | None:
    """Return the work tree that a folder is in; None if there is no `.git` in it or above. Starts no program."""
    place = folder.resolve()
    for top in (place, *place.parents):
        if os.path.lexists(top / ".git"):
            inner = place.relative_to(top).as_posix()
            return WorkTree(top, "" if inner == "." else f"{inner}/")
    return None


class Asked:
    """A question for the state of a work tree, which git answers while the caller does something else."""

    def __init__(self, tree: WorkTree) -> None:
        self._tree = tree
        self._problem = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._time: subprocess.Popen[bytes] | None = None
        try:
            self._time = _start(tree, "log", "-1", "--no-show-signature", "--format=%H %cI", "HEAD")
            self._process = _start(
                tree, "status", "--porcelain=v2", "--branch", "-z", "--untracked-files=normal",
                "--ignore-submodules=all",
            )  # fmt: skip
        except GitError as error:
            self._problem = str(error)

    def answer(self, without: Path | None = None) -> State:
        """Return the state, apart from the files below one folder. Never raises: what is unknown is said in `problem`."""
        state = self._answer(without)
        return dataclasses.replace(state, committed=self._committed(state.commit))

    def _committed(self, commit: str) -> str:
        """Return the time of the commit; empty if git says none, or was at another commit by then."""
        if self._time is None:
            return ""
        try:
            out, _ = self._time.communicate(timeout=STATUS_S)
            found, _, when = out.decode(errors="replace").strip().partition(" ")
            return datetime.fromisoformat(when).astimezone(UTC).isoformat() if found == commit else ""
        except subprocess.TimeoutExpired:
            self._time.kill()
            self._time.communicate()
        except (ValueError, OverflowError):  # no commit yet, or one with a time that is none
            pass
        return ""

    def _answer(self, without: Path | None) -> State:
        if self._process is None:
            return State(problem=self._problem)
        try:
            out, said = self._process.communicate(timeout=STATUS_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            found = _found(self._tree, ["HEAD"])
            why = f"git did not say within {STATUS_S:.0f} s which files changed"
            return State(commit=found[0] if found else "", problem=why)
        if self._process.returncode != 0:
            return State(problem=_why(said))
        return _state(out, _below(self._tree, without))


def branch(tree: WorkTree, name: str) -> Branch | None:
    """Return the branch that a name means; None if there is none. Raises GitError.

    A remote-tracking branch goes before a local one, because only the server's branch is protected from whoever works
    here; tags are not looked at, because anybody may push one with the name of a branch. A full ref, a full commit id
    and HEAD with `~` and `^` are taken as they are.
    """
    names = _meanings(name)
    return next((Branch(ref, id_) for ref, id_ in zip(names, _ids(tree, names), strict=True) if id_), None)


def _meanings(name: str) -> list[str]:
    if not name or any(c.isspace() or ord(c) < 32 for c in name) or name.startswith("-"):
        return []
    if name.startswith("refs/") or _FULL_ID.fullmatch(name) or _HEAD.fullmatch(name):
        return [name]
    if any(c in name for c in "~^:?*[\\") or ".." in name or "@{" in name:
        return []
    return [f"refs/remotes/{name}", f"refs/remotes/origin/{name}", f"refs/heads/{name}"]


def files(tree: WorkTree, commit: str, paths: Sequence[str] = ()) -> dict[str, Kept]:
    """Return the files of a commit, by path below the top; with `paths` only these files and folders. Raises GitError."""
    inside = ("--", *paths) if paths else ()
    listed = _ask(tree, "ls-tree", "-r", "-z", "--full-tree", commit, *inside)
    found = {}
    for line in filter(None, listed.split(b"\0")):
        about, _, name = line.partition(b"\t")
        mode, kind, identity = about.decode().split()
        if kind == "blob":
            path = os.fsdecode(name)
            found[path] = Kept(identity, mode == _LINK, mode == _EXECUTABLE)
    return found


def changed_on(tree: WorkTree, path: str) -> datetime | None:
    """Return when a file, by its path below the top, was last changed by a commit; None without one. Raises GitError."""
    said = _ask(tree, "log", "-1", "--format=%cI", "--", path).decode().strip()
    return datetime.fromisoformat(said).astimezone(UTC) if said else None


def untracked(tree: WorkTree) -> list[str]:
    """Return the files that git does not keep, ignored ones included, by path below the top. Raises GitError.

    A folder without any tracked file is one entry, with a slash at its end.
    """
    listed = _ask(tree, "ls-files", "--others", "--directory", "-z")
    return [os.fsdecode(name) for name in listed.split(b"\0") if name]


def same(raw: bytes, kept: Kept) -> bool:
    """Tell whether a file's bytes are a commit's, apart from line ends, which git may convert on checkout.

    Git's own comparison is not used: it trusts the index, where a file can be marked unchanged, and runs filters.
    """
    return kept.id in (_identity(raw, kept.id), _identity(raw.replace(b"\r\n", b"\n"), kept.id))


def copy(tree: WorkTree, commit: str, folder: Path) -> None:
    """Write the files of a commit below a folder, as they are stored: no filter is run. Raises GitError.

    Submodules are left out.
    """
    found = files(tree, commit)
    for path in found:
        parts = PurePosixPath(path).parts
        if path.startswith("/") or {"..", ".git"} & {part.lower() for part in parts}:
            raise GitError(f"{path!r} in {commit[:12]} is no path for a file")
    with tempfile.TemporaryFile() as wanted:
        wanted.write("".join(f"{kept.id}\n" for kept in found.values()).encode())
        wanted.seek(0)
        process = _start(tree, "cat-file", "--batch", "--buffer", given=wanted)
        with process:
            try:
                _write_all(process, found, folder)
            except OSError as error:
                raise GitError(f"{folder} cannot be written: {error.strerror}") from None
            finally:
                process.kill()


def _write_all(process: subprocess.Popen[bytes], found: Mapping[str, Kept], folder: Path) -> None:
    assert process.stdout is not None  # noqa: S101 (it was started with a pipe)
    # Links are made last, so that no file is written through one.
    links: list[tuple[Path, bytes]] = []
    for path, kept in found.items():
        about = process.stdout.readline().split()
        if len(about) != 3 or about[0].decode() != kept.id:
            raise GitError(f"this clone does not have {path}; fetch it whole (without --filter)")
        raw = process.stdout.read(int(about[2]))
        if len(raw) != int(about[2]) or process.stdout.read(1) != b"\n":
            raise GitError(f"git did not give {path} whole")
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if kept.link:
            links.append((file, raw))
            continue
        file.write_bytes(raw)
        if kept.executable:
            file.chmod(file.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    for file, target in links:
        file.symlink_to(os.fsdecode(target))


def _identity(raw: bytes, like: str) -> str:
    """Return the id that git gives to a file's content, with the algorithm of another id."""
    made = hashlib.sha256() if len(like) == 64 else hashlib.sha1(usedforsecurity=False)
    made.update(b"blob %d\0" % len(raw))
    made.update(raw)
    return made.hexdigest()


def _ids(tree: WorkTree, names: Sequence[str]) -> list[str]:
    """Return the commit of each name, an empty text for one that names none."""
    if not names:
        return []
    asked = "".join(f"{name}^{{commit}}\n" for name in names).encode()
    lines = _ask(tree, "cat-file", "--batch-check", given=asked).decode(errors="replace").splitlines()
    words = [line.split() for line in lines]
    return [w[0] if len(w) == 3 and w[1] == "commit" else "" for w in words]


def _found(tree: WorkTree, names: Sequence[str]) -> list[str]:
    try:
        return _ids(tree, names)
    except GitError:
        return []


def _below(tree: WorkTree, folder: Path | None) -> str:
    """Return a folder's path below the top with a slash at its end; an empty text if it is elsewhere."""
    place = folder.resolve() if folder else tree.top
    inside = place != tree.top and place.is_relative_to(tree.top)
    return f"{place.relative_to(tree.top).as_posix()}/" if inside else ""


def _state(out: bytes, without: str) -> State:
    """Read `git status --porcelain=v2 --branch -z`; an untracked folder is one entry, with a slash at its end."""
    commit = head = ""
    dirty: list[str] = []
    parts = iter(out.split(b"\0"))
    for part in parts:
        line = part.decode(errors="replace")
        if line.startswith("# branch.oid "):
            commit = line.removeprefix("# branch.oid ").replace("(initial)", "")
        elif line.startswith("# branch.head "):
            head = line.removeprefix("# branch.head ").replace("(detached)", "")
        elif line[:2] in ("? ", "u ", "1 ", "2 "):
            dirty.append(line.split(" ", {"?": 1, "1": 8, "2": 9, "u": 10}[line[0]])[-1])
            if line[0] == "2":
                next(parts, b"")  # the former name of a renamed file
    others = sorted(
        d for d in dirty if not without or not (d.startswith(without) or (d.endswith("/") and without == d))
    )
    more = (
        f"{len(others)} files differ, the first {_MOST_NAMED} are named" if len(others) > _MOST_NAMED else ""
    )
    return State(commit, head, tuple(others[:_MOST_NAMED]), more)


def _ask(tree: WorkTree, *arguments: str, given: bytes = b"") -> bytes:
    with tempfile.TemporaryFile() as said:
        said.write(given)
        said.seek(0)
        process = _start(tree, *arguments, given=said)
        try:
            out, error = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise GitError(f"git {arguments[0]} did not answer within {SECONDS:.0f} s") from None
    if process.returncode != 0:
        raise GitError(_why(error))
    return out


def _start(tree: WorkTree, *arguments: str, given: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
    program = shutil.which("git")
    if program is None:
        raise GitError("git is not installed")
    place = (f"--git-dir={tree.top / '.git'}", f"--work-tree={tree.top}")
    around = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        return subprocess.Popen(
            [program, "--no-pager", *place, *_SETTINGS, *arguments],
            cwd=tree.top,
            stdin=subprocess.DEVNULL if given is None else given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**around, **_ENVIRONMENT},
        )
    except OSError as error:
        raise GitError(f"git cannot be started ({error.strerror})") from None


def _why(said: bytes) -> str:
    words = " ".join(said.decode(errors="replace").split()).removeprefix("fatal: ")
    return f"git says: {words[:200] or 'nothing'}"
