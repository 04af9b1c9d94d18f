"""Commands in examples, read by the parsers that would read them: nothing is run.

`deploygate` by click, `pytest` by the parser of the pytest that runs these tests, `pip install` by the extras of this
project, `bin/…` and `python …` by the files that are there. Other programs are not ours to know.
"""

from __future__ import annotations

import inspect
import re
import shlex
import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from unittest import mock

import click
import example_templates
import pytest
from mkdocs.__main__ import cli as mkdocs
from page_examples import ROOT

from pytest_deploygate.checklist.parser import load
from pytest_deploygate.cli import main
from pytest_deploygate.lab.faults import all_faults
from pytest_deploygate.session import shipped

#: What ends a command, and what only redirects it.
_ENDS = {";", "|", "||", "&&", "&", "(", ")", "<", ">", ">>"}
#: Words that stand for a value which the reader has: NAME, ID, DIR, FILE.md, `…`, and those of CI files.
_PLACEHOLDER = re.compile(r"[A-Z][A-Z0-9_-]*(\.\w+)?|.*…|.*\$.*")
#: What stands for the rest of a command.
_REST = {"…", "..."}
_WORDS_OF_MARKS = {"and", "or", "not", "PHASE"}
#: Inventories of the lab.
_LAB = re.compile(r"lab(-\w+)*")


class WrongError(Exception):
    """A command that its program would refuse, with the reason."""


def commands(text: str) -> Iterator[list[str]]:
    """Yield the commands of a script, or those after the prompts of a session, as words."""
    joined = re.sub(r"\\\n\s*", " ", text)
    lines = joined.splitlines()
    if any(line.startswith("$ ") for line in lines):
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    for line in lines:
        yield from _split(line)


def _split(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError:  # an apostrophe in what is no command
        return
    command: list[str] = []
    for word in [*words, ";"]:
        if word in _ENDS:
            if command:
                yield command
            command = []
        elif command or not re.match(r"\w+=", word):
            command.append(word)


def known(words: Sequence[str]) -> bool:
    """Tell whether `tried` knows the program of a command."""
    if words[0] in ("deploygate", "pytest", "pip", "python", "mkdocs", "locust") or example_templates.known(
        words
    ):
        return True
    return words[0].startswith(("bin/", ".venv/bin/"))


def tried(words: Sequence[str], config: pytest.Config, *, in_part: bool = False) -> None:
    """Have a command read by its program's parser. Raises WrongError if it is refused; `in_part` may lack what is required."""
    program, rest = words[0].removeprefix(".venv/bin/"), list(words[1:])
    match program:
        case "deploygate":
            _by_click(rest, in_part=in_part or bool(_REST & set(rest)))
        case "mkdocs":
            _by_click(rest, in_part=in_part, command=mkdocs, name="mkdocs")
        case "pytest":
            _by_pytest(rest, config)
        case "pip":
            if rest != ["wheel", "--no-deps", "-w", "dist", "."]:
                _by_extras(rest)
        case "locust":
            _by_locust(rest)
        case _ if example_templates.known(words):
            if wrong := example_templates.of_command(program, rest):
                raise WrongError(wrong)
        case "python":
            script = next((word for word in rest if word.endswith(".py")), "")
            if not (ROOT / script).is_file():
                raise WrongError(f"there is no {script}")
        case _:
            _by_script(program, rest)


def _by_click(
    words: list[str], *, in_part: bool, command: click.Command = main, name: str = "deploygate"
) -> None:
    words = [word for word in words if word not in _REST]
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        inner = command.get_command(click.Context(command), words[0])
        if inner is None:
            raise WrongError(f"{name} has no command {words[0]}")
        name, command, words = f"{name} {words[0]}", inner, words[1:]
    with mock.patch.object(click.Path, "convert", _as_it_is):
        try:
            command.make_context(name, list(words))
        except (click.exceptions.Exit, click.exceptions.NoArgsIsHelpError):
            return
        except click.ClickException as error:
            if not _only_in_part(error, words, in_part=in_part):
                raise WrongError(f"{name}: {error.format_message()}") from None
    _names_there(name, words)


def _as_it_is(_type: click.Path, value: object, *_given: object) -> object:
    """Take a path that nobody has here."""
    return value


def _only_in_part(error: click.ClickException, words: Sequence[str], *, in_part: bool) -> bool:
    """Tell whether a command is refused only for what its reader puts in: the rest of it, or a value for NAME."""
    cause = error.__context__ if isinstance(error.__context__, click.UsageError) else error
    if isinstance(cause, click.MissingParameter | click.BadOptionUsage):
        return in_part
    stands_for = [one for word in words for one in word.split(",") if _PLACEHOLDER.fullmatch(one)]
    return isinstance(cause, click.BadParameter) and any(repr(word) in cause.message for word in stands_for)


def _names_there(name: str, words: Sequence[str]) -> None:
    """Compare the names of faults and items with those that there are."""
    first = words[0] if words and not words[0].startswith("-") else ""
    if not first or _PLACEHOLDER.fullmatch(first):
        return
    if name == "deploygate lab fault" and first not in all_faults():
        raise WrongError(f"there is no fault {first}")
    if name in ("deploygate attest", "deploygate waive") and first not in _items():
        raise WrongError(f"there is no item {first}")


def _by_pytest(words: list[str], config: pytest.Config) -> None:
    try:
        found = config._parser.parse([word for word in words if word not in _REST])
    except (pytest.UsageError, SystemExit) as error:
        raise WrongError(f"pytest: {error}") from None
    marks = set(re.findall(r"[\w.-]+", found.markexpr or "")) - _WORDS_OF_MARKS
    ids = set((found.deploygate_items or "").split(",")) - {""}
    lab = str(found.deploygate_inventory or "")
    for wrong in sorted(marks - _markers() - {m for m in marks if "$" in m}):
        raise WrongError(f"there is no marker {wrong}")
    for wrong in sorted(i for i in ids - _items() if not _PLACEHOLDER.fullmatch(i)):
        raise WrongError(f"there is no item {wrong}")
    if _LAB.fullmatch(lab) and not (ROOT / f"pytest_deploygate/lab/inventories/{lab}.yml").is_file():
        raise WrongError(f"there is no inventory {lab} of the lab")


@cache
def _items() -> frozenset[str]:
    return frozenset(item.id for item in load(shipped.checklist()).items)


@cache
def _markers() -> frozenset[str]:
    read = load(shipped.checklist())
    return frozenset({phase.id for phase in read.phases} | {item.area for item in read.items})


def _by_extras(words: Sequence[str]) -> None:
    named = [re.fullmatch(r"pytest-deploygate(?:\[([\w,]+)\])?", word) for word in words]
    if not any(named):
        raise WrongError("pip does not install this project")
    extras = {extra for found in named if found and found[1] for extra in found[1].split(",")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    if unknown := extras - set(project["optional-dependencies"]):
        raise WrongError(f"there is no extra {', '.join(sorted(unknown))}")


#: Options of Locust itself, which is not installed here.
LOCUST = {"--master", "--worker", "--headless", "--expect-workers", "--master-host", "-u", "-r", "-t"}


def _by_locust(words: Sequence[str]) -> None:
    """Ours are those that the module for Locust adds to its parser."""
    ours = (ROOT / "pytest_deploygate/checks/load/locust.py").read_text(encoding="utf-8")
    for word in words:
        if word.startswith("-") and word not in LOCUST and f'"{word}"' not in ours:
            raise WrongError(f"locust knows no {word}")


def _by_script(program: str, words: Sequence[str]) -> None:
    file = ROOT / program
    if program in ("ruff", "mypy", "lint-imports"):
        return
    if not file.is_file():
        raise WrongError(f"there is no {program}")
    text = file.read_text(encoding="utf-8")
    for word in words:
        if word.startswith("--") and word not in text:
            raise WrongError(f"{program} knows no {word}")
        if word.startswith("tests/") and not (ROOT / word).exists():
            raise WrongError(f"there is no {word}")


@cache
def options(config: pytest.Config) -> frozenset[str]:
    """Return every long option of `deploygate` and of pytest with this project's plugins."""
    groups = [*config._parser._groups, config._parser._anonymous]
    found = {name for group in groups for option in group.options for name in option.names()}
    return frozenset(found | set(_options_below(main)) | {"--collect-only", "--version"})


def _options_below(command: click.Command) -> Iterator[str]:
    context = click.Context(command)
    for parameter in command.get_params(context):
        yield from (*parameter.opts, *parameter.secondary_opts)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            yield from _options_below(inner) if inner else ()


def help_examples(command: click.Command = main, name: str = "deploygate") -> Iterator[tuple[str, str]]:
    """Yield the examples in the help of each command: what must not be wrapped."""
    context = click.Context(command)
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        if paragraph.startswith("\b"):
            yield name, paragraph.removeprefix("\b\n")
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            if found := command.get_command(context, inner):
                yield from help_examples(found, f"{name} {inner}")
