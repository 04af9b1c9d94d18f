"""Calling the hooks of a repository's `conftest.py` outside of a pytest run, and recording their errors."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_deploygate import hookspecs
from pytest_deploygate.redaction import redact

#: Called with the hook that failed and its error.
Complain = Callable[[str, str], None]


#: What a repository's hook may raise; `pytest.fail` and the like do not derive from Exception.
_RAISED = (Exception, pytest.fail.Exception, pytest.skip.Exception, pytest.exit.Exception, SystemExit)


class Hooks:
    """The hooks that a repository implements. Each implementation is called separately: an error in one stops no other."""

    def __init__(self, plugins: pytest.PytestPluginManager, complain: Complain) -> None:
        self._plugins = plugins
        self.complain = complain
        #: Files with hooks that could not be loaded, each with the reason.
        self.unloaded: list[str] = []

    def ask(self, name: str, **arguments: object) -> Any:
        """Call a hook. Without an answer: None, or an empty list for hooks that collect."""
        answers, _ = self.answers(name, **arguments)
        return answers if _gathers(name) else next(iter(answers), None)

    def answers(self, name: str, **arguments: object) -> tuple[list[Any], list[str]]:
        """Call a hook; return the answers that are not None (only the first for `firstresult`), and the errors."""
        found: list[Any] = []
        wrong: list[str] = []
        for implementation in reversed(getattr(self._plugins.hook, name).get_hookimpls()):
            try:
                answer = implementation.function(*(arguments[given] for given in implementation.argnames))
            except _RAISED as error:
                wrong.append(redact(f"{type(error).__name__}: {error}"))
                self.complain(name, wrong[-1])
                continue
            if answer is not None:
                found.append(answer)
                if not _gathers(name):
                    break
        return found, wrong


def _gathers(name: str) -> bool:
    return not getattr(hookspecs, name).pytest_spec.get("firstresult")


def load(root: Path, complain: Complain) -> Hooks:
    """Return the hooks of `conftest.py` at the top of `root` and in its `suites` folder."""
    plugins = pytest.PytestPluginManager()
    plugins.add_hookspecs(hookspecs)
    found = Hooks(plugins, complain)
    for file in (root / "conftest.py", root / "suites" / "conftest.py"):
        if file.is_file() and (why := _register(plugins, file)):
            found.unloaded.append(f"{file.relative_to(root)} {why}")
            complain(file.name, why)
    return found


def _register(plugins: pytest.PytestPluginManager, file: Path) -> str:
    """Load a file and register its hooks. Return why that failed."""
    name = f"deploygate_conftest_{abs(hash(str(file)))}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        return "is not a Python file"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
        plugins.register(module, str(file))
    except _RAISED as error:
        return redact(f"cannot be loaded: {type(error).__name__}: {error}")
    return ""
