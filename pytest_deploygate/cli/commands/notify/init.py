"""Write the shipped templates into your repository."""

from __future__ import annotations

import json
from pathlib import Path

import click

from pytest_deploygate.cli.shared import options
from pytest_deploygate.cli.shared.refusals import Command, Refused
from pytest_deploygate.files import write_whole
from pytest_deploygate.notices import templates
from pytest_deploygate.problems import nearest


@click.command(cls=Command)
@click.argument(
    "folder", type=click.Path(file_okay=False, path_type=Path), default=Path("notices"), metavar="[DIR]"
)
@click.option("--language", "languages", multiple=True, metavar="LANGUAGE", help="Only these, such as `en`.")
@click.option("--force", is_flag=True, help="Overwrite existing files.")
@options.as_json
def init(folder: Path, languages: tuple[str, ...], force: bool, as_json: bool) -> None:
    """Copy the shipped templates to DIR (default: notices), one folder for each language, to be changed there.

    \b
    deploygate notify init
    deploygate notify init release/notices --language en
    """
    shipped = templates.shipped_folder()
    known = templates.languages(None)
    for language in languages:
        if language not in known:
            raise Refused(
                f"--language {language}: there are no shipped templates in it{nearest(language, known)}"
            )
    wanted = [language for language in known if not languages or language in languages]
    files = [path for language in wanted for path in sorted((shipped / language).glob("*.txt"))]
    files.append(shipped / templates.LAYOUT)
    targets = {folder / path.relative_to(shipped): path for path in files}
    there = [str(path) for path in targets if path.exists()]
    if there and not force:
        raise Refused(
            f"nothing was written, because these files exist already (--force overwrites them): {', '.join(there)}"
        )
    try:
        for target, source in targets.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            write_whole(target, source.read_bytes())
    except OSError as error:
        raise click.ClickException(
            f"{error.filename or folder} cannot be written: {error.strerror}"
        ) from None
    if as_json:
        click.echo(json.dumps({"folder": str(folder), "files": [str(path) for path in targets]}))
        return
    for target in targets:
        click.echo(f"  {target}")
    click.echo(f"Next: `templates: ../{folder}` in the section `notices`, then `deploygate notify preview`")
