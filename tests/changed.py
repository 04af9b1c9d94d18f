"""Which tests a change affects, for `bin/test --changed [REV]`: prints arguments for pytest, one per line.

- A subject (its folder in `checks/`, its suite, its module of faults): its tests and its faults, those of the subjects
  that import it, the tests of the layers that import it and of the inventory, and test files that use it.
- Another layer: its own tests, and every test file that uses it or a layer above that imports it.
- A page: the tests of pages, and tests that name it. A test: itself. A helper of tests: the tests of its folder.
- The base modules used by everything, the helpers at the top of `tests/`, and files without a rule: everything.

Layers and imports are read from the source, so a new subject or layer needs no entry here.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[1]
PACKAGE = "pytest_deploygate"
#: Layers that everything depends on.
GROUND = {"__init__", "model", "fields", "clients", "hookspecs", "startup", "plugin"}
#: The fork helper prepares for everything a test may run; each test itself names what it runs.
PREPARES = "forked"
#: Candidates for the merge base, the first that exists: the remote main branch, then the local one.
MAIN = ("main@{upstream}", "origin/HEAD", "origin/main", "origin/master", "main", "master")

_LAYER = re.compile(rf"\b{PACKAGE}\.(\w+)")
_FROM = re.compile(rf"^\s*from {PACKAGE} import \(?([\w ,\n]+)", re.MULTILINE)
_SUBJECT = re.compile(rf"\b{PACKAGE}\.checks\.(\w+)")
_SUBJECTS_FROM = re.compile(rf"^\s*from {PACKAGE}\.checks import \(?([\w ,\n]+)", re.MULTILINE)
_IMPORT = re.compile(r"^\s*(?:from|import) ([\w.]+)", re.MULTILINE)
_RUNS_PYTEST = re.compile(r"[\"']pytest[\"']|\bpytester\b|runpytest")
_RUNS_COMMAND = re.compile(
    rf"[\"']{PACKAGE}[\"']"
)  # as a module: the word deploygate is a role and a schema, too


@dataclass(frozen=True, slots=True)
class Selection:
    """What to run: paths, and the faults of subjects. If `whole` gives a reason, everything."""

    paths: frozenset[str] = frozenset()
    subjects: frozenset[str] = frozenset()
    whole: str = ""

    def __or__(self, other: Selection) -> Selection:
        return Selection(self.paths | other.paths, self.subjects | other.subjects, self.whole or other.whole)


class Tree:
    """The files of a working tree: which layer imports which, and what each test file uses."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def sources(self) -> dict[str, str]:
        """The text of each Python file of the package and of the tests, by path."""
        found = (file for top in (PACKAGE, "tests") for file in (self.root / top).rglob("*.py"))
        return {file.relative_to(self.root).as_posix(): file.read_text(encoding="utf-8") for file in found}

    @cached_property
    def package(self) -> dict[str, str]:
        """The package's files."""
        return {path: text for path, text in self.sources.items() if path.startswith(f"{PACKAGE}/")}

    @cached_property
    def tests(self) -> list[str]:
        """The test files."""
        return sorted(
            path for path in self.sources if path.startswith("tests/") and _is_test(PurePosixPath(path))
        )

    @cached_property
    def layers_above(self) -> dict[str, set[str]]:
        """The layers that import a layer directly."""
        above: dict[str, set[str]] = {}
        for path, text in self.package.items():
            for layer in _layers(text):
                above.setdefault(layer, set()).add(_layer(path))
        return above

    @cached_property
    def subjects_above(self) -> dict[str, set[str]]:
        """The subjects that import a subject directly."""
        above: dict[str, set[str]] = {}
        for path, text in self.package.items():
            if _layer(path) == "checks" and (mine := _subject(path)):
                for subject in _subjects(text) - {mine}:
                    above.setdefault(subject, set()).add(mine)
        return above

    def layers_of_subject(self, subject: str) -> set[str]:
        """The layers that name a subject; suites and checks have rules of their own."""
        return {_layer(path) for path, text in self.package.items() if subject in _subjects(text)} - {
            "checks",
            "suites",
        }

    @cached_property
    def used(self) -> dict[str, set[str]]:
        """The layers that each test file uses, also by helpers and by the conftest.py files of its folders."""
        return {path: self._uses(path, set()) for path in self.tests}

    def _uses(self, path: str, seen: set[str]) -> set[str]:
        if path in seen:
            return set()
        seen.add(path)
        text = self.sources[path]
        found = set(_layers(text))
        if _RUNS_PYTEST.search(text):
            found.add("session")
        if _RUNS_COMMAND.search(text):
            found.add("cli")
        imported = (name.split(".") for name in _IMPORT.findall(text))
        helpers = {names[-1] for names in imported if names[0] != PACKAGE} - {PREPARES}
        helping = [self.modules[name] for name in helpers if name in self.modules]
        # The top conftest.py is loaded by all, and the parts of the lab that all need are tested with the lab.
        folders = [folder.as_posix() for folder in PurePosixPath(path).parents][:-2]
        helping += [f"{folder}/conftest.py" for folder in folders if f"{folder}/conftest.py" in self.sources]
        return found.union(*(self._uses(helper, seen) for helper in helping))

    @cached_property
    def modules(self) -> dict[str, str]:
        """The files of tests by the name of their module; a conftest is never imported."""
        return {
            PurePosixPath(path).stem: path
            for path in self.sources
            if path.startswith("tests/") and PurePosixPath(path).stem not in ("conftest", "__init__")
        }

    def importing(self, module: str) -> set[str]:
        """Return the test files that import a module of the tests."""
        wanted = re.compile(rf"^\s*(?:from|import) (?:\w+\.)*{module}\b", re.MULTILINE)
        return {path for path in self.tests if wanted.search(self.sources[path])}

    def naming(self, name: str) -> set[str]:
        """Return the test files that name a file."""
        return {path for path in self.tests if name in self.sources[path]}

    def there(self, *paths: str) -> frozenset[str]:
        """Leave out what does not exist."""
        return frozenset(path for path in paths if (self.root / path).exists())


def selected(files: Iterable[str], tree: Tree) -> Selection:
    """Return what changed files affect."""
    found = Selection()
    for file in files:
        found |= _selected(file, tree)
    return found


def _selected(file: str, tree: Tree) -> Selection:
    path = PurePosixPath(file)
    everything = Selection(whole=f"{file} changed")
    match path.parts:
        case ("benchmarks", *_):
            return Selection()  # only the static checks read them
        case ("docs", *_):
            return Selection(tree.there("tests/docs", *tree.naming(path.name)))
        case (_,) if path.suffix == ".md":
            return Selection(tree.there("tests/docs", *tree.naming(path.name)))
        case ("inventories", "inventory.schema.json"):
            return Selection(tree.there("tests/inventory"))
        case ("tests", _, *_):
            return _of_tests(path, tree) or everything
        case (top, "lab", "inventories", _) if top == PACKAGE:
            return everything
        case (top, layer, *inner) if top == PACKAGE:
            return _of_package(path, layer.removesuffix(".py"), inner, tree) or everything
        case _:
            return everything


def _of_tests(path: PurePosixPath, tree: Tree) -> Selection | None:
    """Return what a test file affects; None: everything."""
    if _is_test(path):
        return Selection(tree.there(path.as_posix(), *tree.importing(path.stem)))
    if path.parent == PurePosixPath("tests"):
        return None
    others = set() if path.stem in ("conftest", "__init__") else tree.importing(path.stem)
    return Selection(tree.there(path.parent.as_posix(), *others))


def _of_package(path: PurePosixPath, layer: str, inner: list[str], tree: Tree) -> Selection | None:
    """Return what a package file affects; None: everything."""
    match (layer, *inner):
        case ("checks", subject, _, *_):
            return _of_subject(subject, tree)
        case ("suites", suite) if _is_test(path):
            return _of_subject(suite.removeprefix("test_").removesuffix(".py"), tree)
        case ("checks" | "suites", *_):
            return None
        case ("lab", "faults", module) if (
            found := _of_subject(module.removesuffix(".py"), tree)
        ) is not None:
            return found | Selection(tree.there("tests/lab"))
        case _:
            return None if layer in GROUND else _of_layer(layer, tree)


def _of_subject(subject: str, tree: Tree) -> Selection | None:
    """Return what a subject affects; None for a name that is not, or no longer, a subject."""
    if not (tree.root / PACKAGE / "checks" / subject / "__init__.py").exists():
        return None
    subjects = _closure(subject, tree.subjects_above)
    layers = {layer for each in subjects for layer in tree.layers_of_subject(each)} | {"inventory"}
    paths = {f"tests/checks/{each}" for each in subjects} | {f"tests/{layer}" for layer in layers}
    using = {test for test in tree.tests if _subjects(tree.sources[test]) & subjects}
    return Selection(tree.there(*paths, *using), frozenset(subjects))


def _of_layer(layer: str, tree: Tree) -> Selection | None:
    """Return what a layer affects; None if no test is found, which does not mean that none is needed."""
    layers = _closure(layer, tree.layers_above)
    using = [path for path, used in tree.used.items() if used & layers]
    paths = tree.there(f"tests/{layer}", f"tests/test_{layer}.py", *using)
    return Selection(paths) if paths else None


def _closure(start: str, above: Mapping[str, set[str]]) -> set[str]:
    """Return a name and everything that depends on it, directly or not."""
    found, left = set(), [start]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += above.get(name, ())
    return found


def _is_test(path: PurePosixPath) -> bool:
    return path.name.startswith("test_") and path.suffix == ".py"


def _layer(path: str) -> str:
    return path.split("/")[1].removesuffix(".py")


def _subject(path: str) -> str:
    parts = path.split("/")
    return parts[2] if len(parts) > 3 else ""


@cache  # each file is asked about once per changed file
def _layers(text: str) -> frozenset[str]:
    return frozenset((*_LAYER.findall(text), *_names(_FROM.findall(text))))


@cache
def _subjects(text: str) -> frozenset[str]:
    return frozenset((*_SUBJECT.findall(text), *_names(_SUBJECTS_FROM.findall(text))))


def _names(lists: Iterable[str]) -> set[str]:
    return {name.split()[0] for names in lists for name in names.split(",") if name.strip()}


def arguments(selection: Selection, faults: Iterable[str] = ()) -> list[str]:
    """Return the arguments for pytest: no path twice, and none below a folder already listed."""
    if selection.whole:
        return ["tests"]
    wanted = {*selection.paths, *faults}
    return sorted(
        path
        for path in wanted
        if not any(parent.as_posix() in wanted for parent in PurePosixPath(path.partition("::")[0]).parents)
        and (path.partition("::")[0] not in wanted or "::" not in path)
    )


def faults_of(subjects: Collection[str]) -> list[str]:
    """Return the node ids of the faults for the items bound in these subjects' suites: by themselves and in groups."""
    from pytest_deploygate.lab.faults import all_faults
    from pytest_deploygate.session import shipped

    suites = {f"{shipped.NODES}test_{subject}.py" for subject in subjects}
    items = {i for f in shipped.functions() if f.test.partition("::")[0] in suites for i in f.items}
    names = {fault.name for fault in all_faults().values() if items & set(fault.items)}
    command = [sys.executable, "-m", "pytest", "tests/faults", "--collect-only", "-q"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the faults cannot be collected:\n{done.stdout}{done.stderr}")
    ids = [line for line in done.stdout.splitlines() if "::" in line]
    return [
        i for i in ids if i.endswith("]") and names & {*i.rpartition("[")[2].removesuffix("]").split("+")}
    ]


def changed_files(root: Path, base: str = "") -> tuple[str, list[str]]:
    """Return the commit that a working tree is compared with, and the files that differ, new ones included.

    Without `base`: what is not on the main branch yet. Raises SystemExit for a revision that git does not know.
    """
    commit = _revision(root, base) if base else _merge_base(root)
    changed = _git(root, "diff", "--name-only", "--no-renames", "-z", commit, "--").split("\0")
    new = _git(root, "ls-files", "--others", "--exclude-standard", "-z").split("\0")
    return commit, sorted({*changed, *new} - {""})


def _merge_base(root: Path) -> str:
    for name in MAIN:
        done = _started(root, "merge-base", "HEAD", name)
        if done.returncode == 0:
            return done.stdout.strip()
    return _revision(root, "HEAD")


def _revision(root: Path, name: str) -> str:
    return _git(root, "rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}").strip()


def _git(root: Path, *words: str) -> str:
    done = _started(root, *words)
    if done.returncode:
        raise SystemExit(f"bin/test --changed: git {words[0]}: {done.stderr.strip()}")
    return done.stdout


def _started(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)


def main(words: list[str]) -> None:
    """Print the arguments for pytest; nothing if no test is affected. The reason goes to standard error."""
    parser = argparse.ArgumentParser(prog="bin/test --changed")
    parser.add_argument("base", nargs="?", default="", metavar="REV")
    base = parser.parse_args(words).base
    if os.environ.get("CI"):
        found, said = Selection(whole="CI"), "everything, because this is CI"
    else:
        commit, files = changed_files(ROOT, base)
        found = selected(files, Tree(ROOT))
        said = f"files that differ from {commit[:12]}: {len(files)}"
        if found.whole:
            said += f"; everything, because {found.whole}"
    chosen = arguments(found, faults_of(found.subjects) if found.subjects and not found.whole else ())
    if not found.whole:
        said += f"; paths and faults to run: {len(chosen)}"
    sys.stderr.write(f"bin/test --changed: {said}\n")
    sys.stdout.write("".join(f"{path}\n" for path in chosen))


if __name__ == "__main__":
    main(sys.argv[1:])
