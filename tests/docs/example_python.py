"""Examples in Python: compiled, run in an empty module, and compared with what they name."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
from example_commands import WrongError
from page_examples import Block

from pytest_deploygate import hookspecs
from pytest_deploygate.fields.types import Section
from pytest_deploygate.inventory import sections
from pytest_deploygate.session import fixtures, shipped

#: What the pages say around an example: these names are there.
_AROUND = {"pytest": pytest, "Section": Section, "ClassVar": ClassVar, "Mapping": Mapping}
#: Fixtures of plugins that come with us.
_OF_PLUGINS = {"host", "page"}


def as_python(block: Block) -> None:
    """Try an example. Raises WrongError."""
    try:
        code = compile(block.text, str(block), "exec", dont_inherit=True)
    except SyntaxError as error:
        raise WrongError(f"not Python: {error}") from None
    namespace: dict[str, Any] = dict(_AROUND)
    exec(code, namespace)
    _hooks(namespace)
    for function in ast.parse(block.text).body:
        if isinstance(function, ast.FunctionDef) and function.name.startswith("test_"):
            _test(function)


def _hooks(namespace: dict[str, Any]) -> None:
    """Look at the functions that implement hooks: their names and arguments must be those of a specification."""
    hooks = {name: found for name, found in namespace.items() if name.startswith("pytest_")}
    for name, function in hooks.items():
        specified = getattr(hookspecs, name, None)
        if specified is None:
            raise WrongError(f"there is no hook {name}")
        arguments = set(inspect.signature(function).parameters)
        if unknown := arguments - set(inspect.signature(specified).parameters):
            raise WrongError(f"{name} has no argument {', '.join(unknown)}")


def _test(function: ast.FunctionDef) -> None:
    """A test has arguments that are fixtures. If it is one of a suite's, it is that, word for word."""
    arguments = {argument.arg for argument in function.args.args}
    given = set(fixtures.declared()) | set(sections.declared()) | _OF_PLUGINS
    if unknown := arguments - given:
        raise WrongError(f"{function.name}: there is no fixture {', '.join(sorted(unknown))}")
    shown = ast.dump(_plain(function))
    same = [node for node in _shipped() if node.name == function.name]
    if same and all(ast.dump(_plain(node)) != shown for node in same):
        raise WrongError(f"{function.name} is another one in the suites")


def _plain(function: ast.FunctionDef) -> ast.FunctionDef:
    """Return a function without its annotations."""
    copied = ast.parse(ast.unparse(function)).body[0]
    assert isinstance(copied, ast.FunctionDef)
    copied.returns = None
    for argument in copied.args.args:
        argument.annotation = None
    return copied


def _shipped() -> list[ast.FunctionDef]:
    trees = (ast.parse(read.file.read_bytes()) for read in shipped.files())
    return [node for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)]
