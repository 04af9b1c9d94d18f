"""`--help`: every command once, with its complete summary and an example, quickly."""

from __future__ import annotations

import os
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import pytest_deploygate.cli.commands
import pytest_deploygate.cli.commands.lab
import pytest_deploygate.cli.commands.rollback
from pytest_deploygate.cli import main
from pytest_deploygate.cli.shared.groups import Folder, summary

GROUPS = {
    (): pytest_deploygate.cli.commands,
    ("lab",): pytest_deploygate.cli.commands.lab,
    ("rollback",): pytest_deploygate.cli.commands.rollback,
}
#: Each takes a tenth of a second or more to import.
SLOW = ("aiohttp", "jinja2", "OpenSSL", "psycopg", "pydantic", "pytest", "requests", "rich", "testinfra")


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name in group.list_commands(click.Context(group)):
        found = group.get_command(click.Context(group), name)
        assert found is not None
        yield (*path, name)
        if isinstance(found, click.Group):
            yield from commands(found, (*path, name))


def modules(path: tuple[str, ...]) -> list[str]:
    return [module.name for module in pkgutil.iter_modules(GROUPS[path].__path__)]


def help_of(path: tuple[str, ...]) -> str:
    return CliRunner(env={"COLUMNS": "80"}).invoke(main, [*path, "--help"], prog_name="deploygate").output


@pytest.mark.parametrize("path", list(commands(main)), ids=" ".join)
def test_help_has_an_example(path: tuple[str, ...]) -> None:
    text = help_of(path)
    examples = [line for line in text.splitlines() if f"deploygate {' '.join(path)}" in line]
    assert [line for line in examples if not line.startswith("Usage:")], text


@pytest.mark.parametrize("path", list(commands(main)), ids=" ".join)
def test_every_option_has_a_help_text(path: tuple[str, ...]) -> None:
    found: click.Command = main
    for name in path:
        assert isinstance(found, click.Group)
        found = found.get_command(click.Context(found), name)
    options = [option for option in found.params if isinstance(option, click.Option)]
    assert [o.opts for o in options if not re.fullmatch(r"[A-Z].*\.", o.help or "", re.DOTALL)] == []


@pytest.mark.parametrize("path", GROUPS, ids=" ".join)
def test_each_module_has_the_command_of_its_name(path: tuple[str, ...]) -> None:
    group: click.Command = main
    for name in path:
        assert isinstance(group, click.Group)
        group = group.get_command(click.Context(group), name)
    assert isinstance(group, Folder)
    for module in modules(path):
        typed = module.lstrip("_").replace("_", "-")
        found = group.get_command(click.Context(group), typed)
        assert isinstance(found, click.Command), module
        assert found.name == typed


@pytest.mark.parametrize("path", GROUPS, ids=" ".join)
def test_each_command_is_listed_once_with_its_whole_summary_on_one_line(path: tuple[str, ...]) -> None:
    lines = help_of(path).splitlines()
    for module in modules(path):
        listed = [line for line in lines if re.match(rf"  {module.lstrip('_')}\s", line)]
        if module.startswith("_"):
            assert listed == []
            continue
        said = summary(f"{GROUPS[path].__name__}.{module}")
        assert re.fullmatch(r"[A-Z]((?!\. ).)*\.", said), f"{module}: {said!r} is not one sentence"
        assert [line.split(maxsplit=1)[1] for line in listed] == [said]
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["rollback", "--help"], ["lab", "--help"]])
def test_help_imports_nothing_slow(words: list[str]) -> None:
    """The commands' modules are read, not imported: those of all commands take seconds."""
    code = f"""
import sys
from pytest_deploygate.cli import main
try:
    main({words!r})
finally:
    print("imported:", *sorted({set(SLOW)!r} & sys.modules.keys()), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "imported:\n"
    assert done.stdout


@pytest.mark.parametrize("command", ["diff", "history", "outcome", "report", "sign", "trace", "verify"])
def test_what_only_reads_a_record_needs_no_pytest_and_no_client(command: str) -> None:
    code = f"import sys, pytest_deploygate.cli.commands.{command}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"aiohttp", "OpenSSL", "psycopg", "pytest", "requests", "testinfra"} & {
        *done.stdout.split()
    } == set()


def test_a_new_module_is_a_new_command(tmp_path, monkeypatch) -> None:
    folder = tmp_path / "toy_commands"
    folder.mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    (folder / "__init__.py").touch()
    command = "import click\n\n@click.command()\ndef {0}():\n    click.echo('{0}')\n"
    (folder / "say_hello.py").write_text('"""Say hello."""\n' + command.format("say_hello"))
    (folder / "_whisper.py").write_text('"""Whisper."""\n' + command.format("whisper"))
    (folder / "broken.py").write_text('"""Cannot be imported."""\nraise RuntimeError\n')
    group = Folder(name="toy", package="toy_commands")

    def run(*words: str) -> str:
        return CliRunner().invoke(group, words).output

    assert "  broken     Cannot be imported.\n  say-hello  Say hello.\n" in run("--help")
    assert "hisper" not in run("--help")
    assert (run("say-hello"), run("whisper")) == ("say_hello\n", "whisper\n")
    assert "No such command 'say'" in run("say")


@pytest.mark.parametrize(("typed", "offered"), [("deploygate pl", "plan"), ("deploygate lab fa", "fault")])
def test_a_shell_completes_commands(typed: str, offered: str) -> None:
    """As docs/getting-started.md says."""
    shell = {
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split()) - 1),
        "_DEPLOYGATE_COMPLETE": "bash_complete",
    }
    done = subprocess.run(
        [Path(sys.executable).parent / "deploygate"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | shell,
    )
    assert done.stdout.split() == [f"plain,{offered}"]
