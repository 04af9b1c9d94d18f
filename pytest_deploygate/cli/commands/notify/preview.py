"""Show notices as their recipients will see them."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from pytest_deploygate.cli.shared import noticing, options
from pytest_deploygate.cli.shared.noticing import Work
from pytest_deploygate.cli.shared.refusals import Command, Refused
from pytest_deploygate.files import write_whole
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.notices import preparing, recipients, templates
from pytest_deploygate.notices.recipients import Recipient
from pytest_deploygate.notices.templates import Rendered, UnrenderableError
from pytest_deploygate.problems import Problem

_MOST_WIDTH = 100


@dataclass(frozen=True)
class _Shown:
    name: str
    recipient: Recipient
    rendered: Rendered


@click.command(cls=Command)
@click.argument("notices", nargs=-1, metavar="[NOTICE]...")
@options.inventory
@options.change
@options.out
@click.option("--to", metavar="AUDIENCE", help="As the first one of this audience gets it.")
@click.option("--language", metavar="LANGUAGE", help="Only in this language. Default: all that there are.")
@click.option("--set", "given", multiple=True, metavar="NAME=TEXT", help="A further value.")
@click.option("--html", is_flag=True, help="Print the HTML.")
@click.option(
    "--write", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Write files, too."
)
@options.as_json
def preview(
    *,
    notices: tuple[str, ...],
    inventory: str,
    change: str,
    out: Path | None,
    to: str | None,
    language: str | None,
    given: tuple[str, ...],
    html: bool,
    write: Path | None,
    as_json: bool,
) -> None:
    """Show NOTICE, or all notices, as text or as HTML; `--write` makes files of both. Nothing is sent.

    Everything that is missing, and every placeholder that is left, is listed with its file and line (exit 4).

    \b
    deploygate notify preview --inventory prod
    deploygate notify preview incident --set 'summary=Orders are slow.' --inventory prod --html
    deploygate notify preview pre-deployment --to customers --inventory prod --write /tmp/notices
    """
    work = noticing.work(inventory, change, out, given)
    problems: list[Problem] = []
    with noticing.plainly():
        shown = list(_all(work, notices, to, language, problems))
        files = _write(write, shown) if write else []
    if as_json:
        plain = [
            {"notice": one.name, "language": one.recipient.language, **_parts(one.rendered)} for one in shown
        ]
        said = {
            "notices": plain,
            "files": [str(file) for file in files],
            "problems": [str(p) for p in problems],
        }
        click.echo(noticing.as_json(said))
    else:
        for one in shown:
            click.echo(_html(one) if html else _text(one))
        for file in files:
            click.echo(f"wrote {file}")
    if problems:
        listed = "\n".join(f"  {problem}" for problem in dict.fromkeys(problems))
        raise Refused(f"some notices cannot be sent as they are:\n{listed}")


def _all(
    work: Work, names: Sequence[str], to: str | None, language: str | None, problems: list[Problem]
) -> Iterator[_Shown]:
    section = work.section
    audience = to or next((one.name for one in section.audiences), "customers")
    if to is not None:
        first = recipients.of(section, work.audiences([to])[0], work.contacts)[0]
        someone = [first]
    else:
        spoken = [language] if language else templates.languages(section.templates)
        someone = [Recipient("mail", "", "", "", each, section.zone) for each in spoken]
    for one in someone:
        for name in names or templates.names(section.templates, one.language):
            try:
                template = templates.load(section.templates, one.language, name)
                rendered = preparing.rendered_for(work.said, template, audience, one)
            except UnrenderableError as error:
                problems += error.problems
            else:
                yield _Shown(name, one, rendered)


def _write(folder: Path, shown: Sequence[_Shown]) -> list[Path]:
    found = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for one in shown:
            name = f"{one.name}.{one.recipient.language}"
            for end, text in (
                ("txt", f"Subject: {one.rendered.subject}\n\n{one.rendered.text}"),
                ("html", one.rendered.html),
            ):
                write_whole(folder / f"{name}.{end}", text)
                found.append(folder / f"{name}.{end}")
    except OSError as error:
        raise Refused(f"{error.filename or folder} cannot be written: {error.strerror}") from None
    return found


def _parts(rendered: Rendered) -> dict[str, str]:
    return {"subject": rendered.subject, "text": rendered.text, "html": rendered.html}


def _text(one: _Shown) -> str:
    width = min(_MOST_WIDTH, max(40, shutil.get_terminal_size((80, 24)).columns))
    head = f"── {one.name}, {one.recipient.language}, {one.recipient.zone} "
    lines = [head.ljust(width, "─"), *textwrap.wrap(f"Subject: {one.rendered.subject}", width), ""]
    for line in one.rendered.text.splitlines():
        indent = "  " if line.startswith("- ") else ""
        lines += textwrap.wrap(line, width, subsequent_indent=indent, drop_whitespace=True) or [""]
    return "\n".join([*lines, ""])


def _html(one: _Shown) -> str:
    return one.rendered.html
