"""The reference of the commands, made from click, and of the options and markers that pytest has with the plugin."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from functools import cache
from types import SimpleNamespace

import click
import pytest
from from_code import checklist
from markdown_tables import code, table

from pytest_deploygate import plugin
from pytest_deploygate.cli import main

FOLDER = "reference/commands"
_NAME = "deploygate"
#: What Markdown would read as markup.
_MARKUP = re.compile(r"[\\*_<>\[\]]")


def pages() -> Iterator[tuple[str, str]]:
    """Yield path and text of each page: one for each command, with the commands below it, and one for pytest."""
    top = click.Context(main, info_name=_NAME)
    names = main.list_commands(top)
    yield (
        "reference/.nav.yml",
        "nav:\n  - pytest.md\n  - Commands: commands\n  - Inventory: inventory\n",
    )
    yield "reference/pytest.md", _pytest()
    yield f"{FOLDER}/README.md", _front("Commands") + _index(top, names)
    for name in names:
        parts = [_command(command, context) for command, context in _below(name, top)]
        yield f"{FOLDER}/{name}.md", _front(name) + "\n\n".join(parts) + "\n"


@cache
def path_of(text: str) -> str:
    """Return the path of the page of a command such as `deploygate plan`; empty if there is no such command."""
    words = text.split(" ")
    return f"{FOLDER}/{words[1]}.md" if len(words) == 2 and words[0] == _NAME and words[1] in _known() else ""


@cache
def _known() -> frozenset[str]:
    return frozenset(main.list_commands(click.Context(main)))


def _front(title: str) -> str:
    return f"---\ntitle: {title}\n---\n\n"


def _index(top: click.Context, names: list[str]) -> str:
    rows = [
        (f"[{code(f'{_NAME} {name}')}]({name}.md)", _escaped(found.get_short_help_str(200)))
        for name in names
        if (found := main.get_command(top, name))
    ]
    return f"# Commands\n\n{_text(main.help or '')}\n\n{table(('command', 'what it does'), rows)}\n"


def _below(name: str, parent: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    """Yield a command and those below it."""
    group = parent.command
    command = group.get_command(parent, name) if isinstance(group, click.Group) else None
    if command is None or command.hidden:
        return
    context = click.Context(command, info_name=name, parent=parent)
    yield command, context
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            yield from _below(inner, context)


def _command(command: click.Command, context: click.Context) -> str:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    depth = context.command_path.count(" ")
    parts = [f"{'#' * depth} {code(context.command_path)}", f"    {usage}", _text(command.help or "")]
    options = (one for one in command.get_params(context) if isinstance(one, click.Option))
    records = [record for one in options if (record := one.get_help_record(context))]
    if records:
        rows = [(code(names), _escaped(meaning)) for names, meaning in records]
        parts.append(table(("option", "meaning"), rows))
    return "\n\n".join(parts)


def _text(text: str) -> str:
    """Return a help text in Markdown: paragraphs, and as code what must not be wrapped."""
    parts = []
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        verbatim = paragraph.startswith("\b")
        lines = paragraph.removeprefix("\b\n").split("\n")
        parts.append("\n".join(f"    {line}" for line in lines) if verbatim else _escaped(" ".join(lines)))
    return "\n\n".join(parts)


def _escaped(text: str) -> str:
    """Return a text without what Markdown would read as markup, other than code."""
    parts = text.split("`")
    return "`".join(
        part if i % 2 else _MARKUP.sub(lambda found: f"&#{ord(found[0])};", part)
        for i, part in enumerate(parts)
    )


def _pytest() -> str:
    options = [
        (
            code(", ".join(option.names()) + _value(option.attrs())),
            _escaped(str(option.attrs()["help"]).replace("%%", "%")),
        )
        for option in _options()
    ]
    phases = [(code(phase.id), _escaped(phase.title)) for phase in checklist().phases]
    areas = sorted({item.area for item in checklist().items if item.area})
    return (
        f"{_front('pytest')}# pytest\n\nA run of the checklist is a run of pytest: `pytest -m phase2 --inventory prod`."
        f" The plugin does nothing unless `--inventory` is given.\n\n## Options\n\n{table(('option', 'meaning'), options)}"
        "\n\nEach has a second name that begins with `--deploygate-`, which is the only one where another plugin has the"
        f" first.\n\n## Phases\n\nEach is a marker for `-m`.\n\n{table(('marker', 'heading'), phases)}\n\n## Areas\n\nMarkers,"
        f' too: {", ".join(map(code, areas))}. Both together: `pytest -m "preflight and database" --inventory prod`.\n\n'
        f"## Markers of tests\n\n{table(('marker', 'meaning'), _markers())}\n"
    )


def _options() -> list[pytest.Argument]:  # type: ignore[name-defined]
    """Return the plugin's options, as it adds them to pytest."""
    parser = pytest.Parser(_ispytest=True)
    plugin._add_options(parser)  # noqa: SLF001 (nothing public lists them)
    return parser.getgroup("deploygate").options


def _value(attributes: dict[str, object]) -> str:
    if choices := attributes.get("choices"):
        return " " + "|".join(map(str, choices))
    return f" {attributes['metavar']}" if attributes.get("metavar") else ""


def _markers() -> list[tuple[str, str]]:
    """Return the markers that the plugin registers, as it tells pytest about them."""
    lines: list[str] = []
    config = SimpleNamespace(
        addinivalue_line=lambda _name, line: lines.append(line),
        option=SimpleNamespace(help=True, version=False),
    )
    plugin.pytest_configure(config)
    split = (line.partition(": ") for line in lines)
    return [(code(name), _escaped(meaning)) for name, _, meaning in split]
