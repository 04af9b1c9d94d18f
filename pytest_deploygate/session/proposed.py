"""What a pull request would change in the inputs of the gate, as weakenings: nothing of it takes part in the run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

from yaml.nodes import MappingNode, ScalarNode

from pytest_deploygate.checklist import attestations, committed, comparison, issue_log, records, waivers
from pytest_deploygate.checklist import parser as checklist_parser
from pytest_deploygate.checklist.parser import Checklist, ChecklistError
from pytest_deploygate.files import bounded, sha256
from pytest_deploygate.files.bounded import OddFileError
from pytest_deploygate.inventory import weakening
from pytest_deploygate.inventory.loader import InventoryError, Loaded, load
from pytest_deploygate.inventory.models import Inventory
from pytest_deploygate.model import Weakening
from pytest_deploygate.session import bearing
from pytest_deploygate.session.base import CONFIGURATION, PREFIX, Base
from pytest_deploygate.session.declared import Function

_STARTS = (
    *(".github/workflows/*", ".gitlab-ci.yml", "ci/*", "Jenkinsfile"),
    *("CODEOWNERS", ".github/CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS"),
)
_SKIPPED = frozenset({".git", "__pycache__", "node_modules", ".venv", "deploygate-out"})


def weakenings(
    base: Base,
    root: Path,
    loaded: Loaded,
    checklist: Checklist,
    functions: Sequence[Function],
    places: Sequence[str],
) -> list[Weakening]:
    """Return what the pull request would change; `root`, `loaded` and `checklist` are those of the branch.

    `places` are pytest's testpaths. The items of a weakening are those that it bears on; none: all.
    """
    theirs = base.proposed(root)
    found = [
        *_inventory(base, theirs, loaded, functions),
        *_checklist(base, theirs, checklist, functions),
        *_records(base, root, theirs),
        *_tests(base, root, theirs, functions, places),
        *_others(base),
    ]
    return [Weakening(f"pull request: {w.text}", w.items) for w in found]


def _inventory(
    base: Base, theirs: Path, loaded: Loaded, functions: Sequence[Function]
) -> Iterator[Weakening]:
    file = base.proposed(loaded.file)
    if file == loaded.file:
        return  # it is outside the repository, and no pull request changes it
    shown = file.relative_to(base.top).as_posix()
    if not file.is_file():
        yield Weakening(f"{shown} is removed")
        return
    try:
        proposed = load(str(file), theirs, [])
    except InventoryError as error:
        first = str(error.problems[0]) if error.problems else ""
        yield Weakening(f"{shown} cannot be read: {first}")
        return
    if proposed.sha256 == loaded.sha256:
        return
    changes = weakening.changes(loaded.inventory, proposed.inventory, base.name)
    yield from bearing.weakenings(changes, functions, loaded.inventory)
    yield from _not_applicable(loaded.inventory, proposed.inventory)


def _not_applicable(before: Inventory, after: Inventory) -> Iterator[Weakening]:
    known = {entry.item for entry in before.not_applicable}
    for entry in after.not_applicable:
        if entry.item not in known:
            yield Weakening(f"declares {entry.item} not applicable ({entry.reason})", (entry.item,))


def _checklist(
    base: Base, theirs: Path, checklist: Checklist, functions: Sequence[Function]
) -> Iterator[Weakening]:
    file = base.proposed(checklist.file)
    own = theirs / "suites" / "checklist.md"
    if file == checklist.file:  # the shipped one is run, which a new file of the repository would replace
        if own.is_file():
            yield Weakening("suites/checklist.md is new and would replace the shipped checklist")
        return
    shown = file.relative_to(base.top).as_posix()
    if not file.is_file():
        yield Weakening(f"{shown} is removed")
        return
    if sha256(file.read_bytes()) == checklist.sha256:
        return
    try:
        proposed = checklist_parser.load(file)
    except ChecklistError as error:
        yield Weakening(f"{shown} cannot be read: {error.problems[0]}")
        return
    bound = {item for function in functions for item in function.items}
    for one in comparison.weakenings(comparison.resolved(proposed, checklist, bound), checklist):
        text = one.text.replace(" here", " there").replace("in the shipped checklist", f"on {base.name}")
        yield Weakening(f"{shown}: {text}", one.items)


def _records(base: Base, root: Path, theirs: Path) -> Iterator[Weakening]:
    folders = (attestations.FOLDER, waivers.FOLDER, issue_log.FOLDER)
    names = {
        name for place in (root, theirs) for name in committed.names(place, folders, (committed.SIGNERS,))
    }
    for name in sorted(names):
        if how := _how(root / name, theirs / name):
            items = tuple(dict.fromkeys(filter(None, (_item(root / name), _item(theirs / name)))))
            about = f" ({', '.join(items)})" if items else ""
            done = "it does not count" if how == "new" else f"that of {base.name} counts"
            yield Weakening(f"{name}{about} is {how}; {done}", items)


def _item(file: Path) -> str:
    """Return the item that an attestation or a waiver is about; an empty text if it cannot be told."""
    document = records.read_file(file, file.name, [])
    if document is None or not isinstance(document.node, MappingNode):
        return ""
    found = (v.value for k, v in document.node.value if k.value == "item" and isinstance(v, ScalarNode))
    return str(next(found, ""))


def _tests(
    base: Base, root: Path, theirs: Path, functions: Sequence[Function], places: Sequence[str]
) -> Iterator[Weakening]:
    """Yield the test files, fixtures and settings of pytest that differ. The branch's own were run."""
    names = {name for place in (root, theirs) for name in _python(place, places)}
    names |= {name for name in CONFIGURATION if (root / name).exists() or (theirs / name).exists()}
    for name in sorted(names):
        how = _how(root / name, theirs / name)
        if how and not (name in CONFIGURATION and not _configures(root / name, theirs / name)):
            items = [item for f in functions if f.test.partition("::")[0] == name for item in f.items]
            done = "it was not used" if how == "new" else f"that of {base.name} was used"
            yield Weakening(f"{name} is {how}; {done}", tuple(dict.fromkeys(items)))


def _python(root: Path, places: Sequence[str]) -> Iterator[str]:
    """Yield the Python files below pytest's testpaths, and every conftest.py."""
    for place, inner, names in os.walk(root):
        folder = Path(place)
        inner[:] = [name for name in inner if name not in _SKIPPED and not name.startswith(PREFIX)]
        below = folder.relative_to(root).as_posix()
        tested = any(fnmatch(below, p.rstrip("/")) or fnmatch(below, f"{p.rstrip('/')}/*") for p in places)
        for name in names:
            if name == "conftest.py" or (tested and name.endswith(".py")):
                yield name if below == "." else f"{below}/{name}"


def _configures(*files: Path) -> bool:
    return any(b"pytest" in (_bytes(file) or b"") for file in files)


def _others(base: Base) -> Iterator[Weakening]:
    """Yield files that decide how the gate is started and who reviews it."""
    for pattern in _STARTS:
        names = {
            p.relative_to(place).as_posix() for place in (base.copy, base.top) for p in place.glob(pattern)
        }
        for name in sorted(names):
            if (base.copy / name).is_dir() or (base.top / name).is_dir():
                continue
            if how := _how(base.copy / name, base.top / name):
                yield Weakening(f"{name} is {how}; it may decide how the gate is started, or who reviews it")


def _how(before: Path, after: Path) -> str:
    """Return how a file differs, apart from line ends: new, changed or removed; an empty text if it does not."""
    old, new = _bytes(before), _bytes(after)
    if old == new:
        return ""
    return "new" if old is None else "removed" if new is None else "changed"


def _bytes(file: Path) -> bytes | None:
    try:
        if file.is_symlink():
            return b"link to " + str(file.readlink()).encode(errors="surrogateescape")
        return bounded.read(file, bounded.MADE).replace(b"\r\n", b"\n")
    except OddFileError as error:
        return f"pytest is not asked: {error.strerror}".encode()
    except OSError:
        return None
