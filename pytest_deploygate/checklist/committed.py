"""Which files of records count: those that are committed, unchanged, on the branch that records are merged to.

Where the folder is in no git work tree and no branch is named, nobody can tell, and every record counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pytest_deploygate import git
from pytest_deploygate.files import bounded
from pytest_deploygate.git import Branch, GitError, WorkTree

#: The file that says whose SSH key may sign in which role. It decides what signatures are worth, so it is a record.
SIGNERS = "allowed_signers"


def uncommitted(root: Path, tree: WorkTree | None, names: Iterable[str], branch: str = "") -> dict[str, str]:
    """Return why files below `root` do not count, by name; those that count are not in it.

    `branch` is `policy.records_branch`; empty: what is committed at HEAD. Never raises: what git cannot tell does not
    count.
    """
    asked = [name for name in dict.fromkeys(names) if (root / name).is_symlink() or (root / name).exists()]
    if not asked or (tree is None and not branch):
        return {}
    if tree is None:
        why = f"uncommitted, as far as is known: {root} is not in a git work tree, so {branch} is not here"
        return dict.fromkeys(asked, why)
    try:
        found = git.branch(tree, branch or "HEAD")
        if found is None:
            return dict.fromkeys(asked, _nowhere(branch))
        there = git.files(tree, found.commit, [f"{tree.prefix}{name}" for name in asked])
    except GitError as error:
        why = f"uncommitted, as far as is known: the commit cannot be read ({error})"
        return dict.fromkeys(asked, why)
    why_not = {
        name: _why_not(root / name, there.get(f"{tree.prefix}{name}"), found, branch) for name in asked
    }
    return {name: why for name, why in why_not.items() if why}


def names(root: Path, folders: Sequence[str], single: Sequence[str] = ()) -> list[str]:
    """Return the files of records below `root`: those directly in `folders`, and the single ones that exist."""
    found = []
    for folder in folders:
        place = root / folder
        if place.is_dir():
            found += sorted(
                f"{folder}/{f.name}" for f in place.iterdir() if f.suffix.lower() in (".yml", ".yaml")
            )
    return found + [name for name in single if (root / name).exists()]


def _nowhere(branch: str) -> str:
    if not branch:
        return "uncommitted: this repository has no commit yet"
    fetched = branch.removeprefix("origin/")
    return (
        f"uncommitted, as far as is known: there is no branch {branch} here (policy.records_branch); "
        f"`git fetch origin {fetched}:refs/remotes/origin/{fetched}`, or have CI fetch it"
    )


def _why_not(file: Path, kept: git.Kept | None, found: Branch, branch: str) -> str:
    """Return why one file does not count; an empty text if it is as committed."""
    where = f"on {found.words}" if branch else f"at {found.commit[:12]}"
    step = f"merge it to {git.short(found.ref)}" if branch else "commit it"
    if kept is None:
        return f"uncommitted: there is no such file {where}; {step}"
    try:
        if file.is_symlink() or kept.link:
            return (
                "uncommitted: it is a symbolic link, whose target git does not keep; commit the file itself"
            )
        raw = bounded.read(file)
    except OSError as error:
        return f"uncommitted, as far as is known: it cannot be read ({error.strerror})"
    return "" if git.same(raw, kept) else f"uncommitted: it differs from the file {where}; {step}"
