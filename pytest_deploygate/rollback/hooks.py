"""Calling the hooks of a repository's `conftest.py` outside of a pytest run, and keeping their errors in the record."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_deploygate import hookspecs
from pytest_deploygate.redaction import redact

#: Told which hook went wrong and how.
Complain = Callable[[str, str], None]


class Hooks:
    """The hooks that a repository implements. Each call returns what they answered; an error is complained of."""

    def __init__(self, plugins: pytest.PytestPluginManager, complain: Complain) -> None:
        self._plugins = plugins
        self._complain = complain

    def ask(self, name: str, **arguments: object) -> Any:
        """Call a hook. Without an implementation, or where one raised, None (a list that is empty, for hooks that gather)."""
        gathers = not getattr(hookspecs, name).pytest_spec.get("firstresult")
        try:
            return getattr(self._plugins.hook, name)(**arguments)
        except Exception as error:  # noqa: BLE001 (whatever a stranger's hook raises must not end a rollback)
            self._complain(name, redact(f"{type(error).__name__}: {error}"))
            return [] if gathers else None


def load(root: Path, complain: Complain) -> Hooks:
    """Return the hooks of `conftest.py` at the top of `root` and in its `suites` folder."""
    plugins = pytest.PytestPluginManager()
    plugins.add_hookspecs(hookspecs)
    for folder in (root, root / "suites"):
        file = folder / "conftest.py"
        if file.is_file():
            _register(plugins, file, complain)
    return Hooks(plugins, complain)


def _register(plugins: pytest.PytestPluginManager, file: Path, complain: Complain) -> None:
    name = f"deploygate_conftest_{abs(hash(str(file)))}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
        plugins.register(module, str(file))
    except Exception as error:  # noqa: BLE001 (a conftest may raise anything)
        complain(str(file.name), redact(f"cannot be loaded: {type(error).__name__}: {error}"))
