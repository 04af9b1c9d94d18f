"""What the code says about the checklist: its items, the tests bound to them, what these need, and the lab's faults."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from markdown_tables import code

from pytest_deploygate.checklist.attestations import attestable
from pytest_deploygate.checklist.parser import Checklist, load
from pytest_deploygate.fields.types import Each
from pytest_deploygate.inventory import sections
from pytest_deploygate.lab.faults import Fault, all_faults
from pytest_deploygate.model import Item
from pytest_deploygate.session import fixtures, shipped
from pytest_deploygate.session.declared import Function

#: The subject whose items need no suite: people attest them, or they are judged when a run closes.
PEOPLE = "people"


@dataclass(frozen=True, slots=True)
class Test:
    """A test of a suite with the first paragraph of its docstring."""

    subject: str
    name: str
    function: Function
    docstring: str


@cache
def checklist() -> Checklist:
    """Return the shipped checklist."""
    return load(shipped.checklist())


@cache
def tests() -> tuple[Test, ...]:
    """Return the tests of the suites."""
    found = []
    for read in shipped.files():
        docstrings = {
            node.name: (ast.get_docstring(node) or "").partition("\n\n")[0]
            for node in ast.walk(ast.parse(read.file.read_bytes()))
            if isinstance(node, ast.FunctionDef)
        }
        for function in read.functions:
            short = function.test.rpartition("::")[2]
            subject = read.file.stem.removeprefix("test_")
            found.append(Test(subject, short, function, " ".join(docstrings[short].split())))
    return tuple(found)


def subjects_of(item: Item) -> list[str]:
    """Return the subjects whose suites bind an item, or `people` for one that only people or the issue log decide."""
    bound = list(dict.fromkeys(test.subject for test in tests() if item.id in test.function.items))
    return bound or ([PEOPLE] if attestable(item) or item.closing else [])


def items_of(subject: str) -> list[Item]:
    """Return the items that a subject's suite binds, in the checklist's order."""
    return [item for item in checklist().items if subject in subjects_of(item)]


def faults_of(subject: str) -> list[Fault]:
    """Return the faults of a subject: of the tests that a fault names, else of all tests bound to its items."""
    return [fault for fault in all_faults().values() if subject in set(_subjects_of_fault(fault))]


def _subjects_of_fault(fault: Fault) -> Iterator[str]:
    for item in fault.items:
        bound = [test for test in tests() if item in test.function.items]
        named = [test for test in bound if test.name in fault.tests]
        yield from (test.subject for test in named or bound)


def needs(function: Function) -> str:
    """Return the keys of the inventory that a test needs, and the permission to disrupt."""
    declared = sections.declared()
    found = [
        f"{code('.'.join(declared[name].path))}{' (once for each)' if isinstance(declared[name].said, Each) else ''}"
        for argument in function.arguments
        for name in sections_of(argument)
    ]
    if function.disruptive:
        otherwise = f"; otherwise: {function.otherwise}" if function.otherwise else ""
        found.append(f"`--allow-disruptive`{otherwise}")
    return ", ".join(dict.fromkeys(found)) or "nothing"


def sections_of(argument: str) -> Iterator[str]:
    """Yield the sections that an argument of a test leads to, through fixtures and what they ask for."""
    declared, source = sections.declared(), fixtures.declared().get(argument)
    if source is None:
        yield from (argument,) if argument in declared else ()
        return
    for taken in source.arguments:
        yield from sections_of(taken)
    yield from _needed(source.module, argument)


@cache
def _needed(module: str, fixture: str) -> tuple[str, ...]:
    """Return the names that a fixture passes to `sections.need`."""
    functions = [
        node
        for node in ast.parse(file_of(module).read_bytes()).body
        if isinstance(node, ast.FunctionDef) and node.name == fixture
    ]
    return tuple(
        str(call.args[0].value)
        for function in functions
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "need"
        if isinstance(call.args[0], ast.Constant)
    )


def file_of(module: str) -> Path:
    """Return the source file of a module."""
    found = find_spec(module)
    return Path(str(found.origin)) if found else Path()
