"""`--records-from REF`: a run with the checklist, inventory, tests and records of a branch, whatever a pull request says.

The first process reads nothing of the pull request: it copies the branch's files into a temporary folder and runs
pytest there, with the same options. Files that git does not keep, such as secrets that CI has put there, are linked into
the copy. What a pull request would change is only compared (`proposed.py`).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pytest_deploygate import git, startup
from pytest_deploygate.git import Branch, GitError, WorkTree
from pytest_deploygate.lazy import dataclass

#: How the second process learns that it is one.
VARIABLE = "DEPLOYGATE_RECORDS_FROM"
#: How the temporary folder's name begins; it may be within the pull request's folder.
PREFIX = "deploygate-base-"
#: pytest's options that name a file or folder to read, and those of it and its plugins that name one to write.
_READS = ("-c", "--config-file", "--rootdir")
#: Never linked into the copy: caches and packages, results, Python files, settings of pytest.
_NOT_LINKED = frozenset(
    {
        "__pycache__",
        ".pytest_cache",
        ".venv",
        "venv",
        "node_modules",
        "deploygate-out",
        "attestations",
        "waivers",
        "issues",
    }
)
_CODE = frozenset({".py", ".pyc", ".pth", ".so"})
CONFIGURATION = (
    *("pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "tox.ini", "setup.cfg", "pyproject.toml"),
    *("allowed_signers", "checklist.md"),
)
_WRITES = ("xmlpath", "htmlpath", "log_file", "report_log", "basetemp")


@dataclass(frozen=True)
class Base:
    """The branch whose files are run, the folder with their copy, and the work tree of the pull request."""

    branch: Branch
    copy: Path
    top: Path

    @property
    def words(self) -> str:
        """The branch as it is shown: `origin/main (1a2b3c4d5e6f)`."""
        return self.branch.words

    @property
    def name(self) -> str:
        """The branch's short name."""
        return git.short(self.branch.ref)

    def proposed(self, path: Path) -> Path:
        """Return the place in the pull request of a path in the copy; any other path as it is."""
        place = path.resolve()
        return self.top / place.relative_to(self.copy) if place.is_relative_to(self.copy) else path

    def kept(self, path: Path) -> Path:
        """Return the place in the copy of a path in the pull request; any other path as it is."""
        place = path.resolve()
        theirs = place.is_relative_to(self.top) and not place.is_relative_to(self.copy)
        return self.copy / place.relative_to(self.top) if theirs else path


def of(folder: Path) -> Base | None:
    """Return the base of a run whose root is `folder`; None for a run in a folder of its own."""
    try:
        told = json.loads(os.environ[VARIABLE])
        base = Base(Branch(told["ref"], told["commit"]), Path(told["copy"]), Path(told["top"]))
    except (KeyError, ValueError, TypeError):
        return None
    return base if folder.resolve().is_relative_to(base.copy) else None


def run(ref: str, args: Sequence[str], paths: Sequence[str], here: Path) -> int:
    """Run pytest on the files of a branch; return its exit code. Raises pytest.UsageError (exit 4).

    `args` is the whole command line, `paths` the tests that it names.
    """
    if VARIABLE in os.environ:  # never a third process
        raise pytest.UsageError(f"--records-from {ref}: {here} is not of the branch that is being run")
    tree = git.work_tree(here)
    if tree is None:
        raise pytest.UsageError(
            f"--records-from {ref}: {here} is not in a git work tree, so it has no branches"
        )
    for path in paths:
        if Path(path).is_absolute() and Path(path.partition("::")[0]).resolve().is_relative_to(tree.top):
            raise pytest.UsageError(
                f"--records-from {ref}: {path} is of the pull request; name it relative to {here}"
            )
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
        copy = Path(folder).resolve() / "files"
        branch = _copied(tree, ref, copy)
        place = copy / tree.prefix
        if not place.is_dir() or not place.resolve().is_relative_to(copy):
            raise pytest.UsageError(f"--records-from {ref}: {branch.words} has no folder {tree.prefix}")
        told = {"ref": branch.ref, "commit": branch.commit, "copy": str(copy), "top": str(tree.top)}
        base = Base(branch, copy, tree.top)
        return _run([*_options(args, here, base)], place, {VARIABLE: json.dumps(told)})


def check(config: pytest.Config, base: Base | None) -> None:
    """Refuse a run that was told to take a branch's files, and takes others. Raises pytest.UsageError."""
    if not config.getoption("deploygate_records_from"):
        return
    paths = [config.rootpath, *filter(None, [config.inipath])]
    if base is None or not all(path.resolve().is_relative_to(base.copy) for path in paths):
        raise pytest.UsageError(
            f"--records-from: pytest took {config.inipath or config.rootpath} for the project, which is not of the "
            "branch; name paths relative to the current folder"
        )


def check_file(file: Path, base: Base | None) -> None:
    """Refuse an inventory or a checklist that the branch does not have. Raises pytest.UsageError.

    Its relative paths would start in the pull request.
    """
    place = file.resolve()
    if base and place.is_relative_to(base.top) and not place.is_relative_to(base.copy):
        shown = place.relative_to(base.top)
        raise pytest.UsageError(f"--records-from: {shown} is not on {base.words}; commit it there first")


def place_outputs(config: pytest.Config, base: Base) -> None:
    """Let pytest's own result files be written where the command was given, not into the copy."""
    here = base.proposed(config.invocation_params.dir)
    for name in _WRITES:
        if given := getattr(config.option, name, None):
            setattr(config.option, name, type(given)(here / given))


def _copied(tree: WorkTree, ref: str, copy: Path) -> Branch:
    try:
        branch = git.branch(tree, ref)
        if branch is None:
            short = ref.removeprefix("origin/")
            raise pytest.UsageError(
                f"--records-from {ref}: there is no such branch in {tree.top} (tags do not count). Fetch it: "
                f"`git fetch origin {short}:refs/remotes/origin/{short}`, or `fetch-depth: 0` in GitHub's checkout"
            )
        git.copy(tree, branch.commit, copy)
        _link(tree, copy)
    except GitError as error:
        raise pytest.UsageError(f"--records-from {ref}: {error}") from None
    return branch


def _link(tree: WorkTree, copy: Path) -> None:
    """Link what git does not keep into the copy, where nothing is in its place; no code, and none of our results."""
    for name in git.untracked(tree):
        path = copy / name.rstrip("/")
        parts = set(Path(name).parts)
        if parts & _NOT_LINKED or path.suffix in _CODE or path.name in CONFIGURATION or os.path.lexists(path):
            continue
        if path.parent.is_dir() and path.parent.resolve().is_relative_to(copy):
            path.symlink_to(tree.top / name.rstrip("/"))


def committed_results(tree: WorkTree | None, out: Path) -> str:
    """Return why the folder of results cannot be trusted: a journal from the pull request could tell of any decision."""
    if tree is None or not out.resolve().is_relative_to(tree.top):
        return ""
    shown = out.resolve().relative_to(tree.top).as_posix()
    try:
        there = git.files(tree, "HEAD", [shown])
    except GitError as error:
        return f"whether {shown} is committed cannot be told: {error}"
    if not there:
        return ""
    return f"{next(iter(there))} is committed; results of a run must not come from the pull request: remove {shown}"


def _options(args: Sequence[str], here: Path, base: Base) -> Iterator[str]:
    """Yield the options for the second process: without `-c /dev/null`, and with the copy's files instead of ours."""
    words = iter(args)
    for word in words:
        name, equals, value = word.partition("=")
        if name not in _READS:
            yield word
            continue
        value = value if equals else next(words, "")
        if name != "--rootdir" and Path(value) == Path(os.devnull):
            continue
        yield from (name, str(base.kept(here / value)))


def _run(args: Sequence[str], place: Path, told: dict[str, str]) -> int:
    # The folder is not importable by itself, unless it was for this process: `python -m pytest` adds it.
    safe = [] if "" in sys.path or str(Path.cwd()) in sys.path else ["-P"]
    command = [sys.executable, *safe, "-m", "pytest", *startup.first(), *args]
    # Ctrl-C reaches both processes: the second one prints the standing decision, and needs the copy until then.
    before = {kind: signal.signal(kind, _wait) for kind in (signal.SIGINT, signal.SIGTERM)}
    try:
        process = subprocess.Popen(command, cwd=place, env={**os.environ, **told})
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        return process.wait()
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


def _wait(*_: object) -> None:
    """Handle a signal by going on: unlike an ignored one, the second process does not inherit it."""
