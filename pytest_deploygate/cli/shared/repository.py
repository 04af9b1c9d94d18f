"""The repository that a command works in, with the checklist as its runs see it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pytest_deploygate.checklist import comparison, parser
from pytest_deploygate.checklist.parser import Checklist, ChecklistError
from pytest_deploygate.checklist.records import RecordsError
from pytest_deploygate.cli.shared import options, pytest_configuration
from pytest_deploygate.cli.shared.refusals import Refused
from pytest_deploygate.cli.shared.root import find_root
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.redaction import redact
from pytest_deploygate.session import shipped, suites
from pytest_deploygate.session.declared import Function


def repository(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `root` and `checklist`, from the current folder and `--checklist`."""

    @options.checklist
    @functools.wraps(command)
    def inner(*args: Any, file: Path | None, **given: Any) -> None:
        root = find_root(Path.cwd())
        with plainly():
            command(*args, root=root, checklist=resolved(root, file), **given)

    return inner


def resolved(root: Path, file: Path | None) -> Checklist:
    """Return the checklist as a run of this repository sees it: an item without a test is attested by a person."""
    return tested(root, file).checklist


@dataclass(frozen=True)
class Tested:
    """A checklist as a run sees it, with the test functions of the repository and the shipped ones.

    `checks` are the ids of the shipped checklist and tests. `without` says in one line which shipped items the checklist
    does without.
    """

    checklist: Checklist
    functions: tuple[Function, ...]
    checks: frozenset[str]
    without: str


def tested(root: Path, file: Path | None) -> Tested:
    """Read a repository's checklist and tests."""
    told = pytest_configuration.read(root)
    own = root / "suites" / "checklist.md"
    ours = shipped.parsed()
    given = parser.load(file or own) if file or own.is_file() else ours
    bound = suites.functions(root, told.places, told.patterns)
    found = comparison.resolved(given, ours, {item for function in bound for item in function.items})
    missing = comparison.left_out(found, ours)
    without = comparison.without(missing, ours) if missing else ""
    return Tested(found, tuple(bound), frozenset(shipped.checks(ours, bound)), without)


@contextmanager
def plainly() -> Iterator[None]:
    """Turn problems in files into one message and exit 4, as a run does."""
    try:
        yield
    except (RecordsError, ChecklistError) as error:
        raise Refused(redact(str(error))) from None
