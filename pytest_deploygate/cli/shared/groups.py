"""Groups of commands that are folders of modules."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from pytest_deploygate import startup


class Folder(click.Group):
    """The commands of a package: each is the object in its module that has the module's name.

    The folder is the list, so a new command is a new module. Nothing is imported before it is called: the help of the
    group shows the first line of each module's docstring, read from the source. A module whose name begins with an
    underscore is a command that the help does not list. `lost_writes` is typed `lost-writes`.
    """

    def __init__(self, *args: Any, package: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self._package = package

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """Return the names of the commands that the help lists."""
        return sorted(_typed(name) for name in self._modules() if not name.startswith("_"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  click's signature
        """Import a command; None if there is none of that name."""
        named = next((name for name in self._modules() if _typed(name) == cmd_name), None)
        if named is None:
            return None
        with startup.quickly():
            module = importlib.import_module(f"{self._package}.{named}")
        found: click.Command = getattr(module, named.lstrip("_"))
        return found

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command. What it cannot read of a journal ends in a sentence, wherever it was read."""
        try:
            return super().invoke(ctx)
        except Exception:
            from pytest_deploygate.cli.shared import journals  # noqa: PLC0415 (only for commands that fail)

            with journals.plainly():
                raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  click's signature
        """Write each command with its whole summary; click would import all of them and cut the summaries."""
        shown = [name for name in self._modules() if not name.startswith("_")]
        with formatter.section("Commands"):
            formatter.write_dl([(_typed(name), summary(f"{self._package}.{name}")) for name in sorted(shown)])

    def _modules(self) -> list[str]:
        return [
            module.name for module in pkgutil.iter_modules(importlib.import_module(self._package).__path__)
        ]


def summary(module: str) -> str:
    """Return the first line of a module's docstring without importing the module."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ImportError(f"there is no source of {module}")
    documented = ast.get_docstring(ast.parse(Path(spec.origin).read_bytes()))
    return (documented or "").partition("\n")[0]


def _typed(name: str) -> str:
    return name.lstrip("_").replace("_", "-")
