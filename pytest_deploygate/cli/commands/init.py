"""Write what your own repository needs to start."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import click

from pytest_deploygate.checklist.identified import identified
from pytest_deploygate.checklist.parser import ChecklistError
from pytest_deploygate.cli.shared import options
from pytest_deploygate.cli.shared.refusals import Refused
from pytest_deploygate.inventory.schema import json_schema
from pytest_deploygate.session import shipped

_STARTER = {
    "pytest.ini": "pytest.ini",
    "inventories/staging.example.yml": "staging.example.yml",
    "allowed_signers.example": "allowed_signers.example",
    ".github/workflows/deploygate.yml": "deploygate.github.yml",
    "ci/deploygate.gitlab-ci.yml": "deploygate.gitlab.yml",
}
_EMPTY = ("attestations/.gitkeep", "waivers/.gitkeep", "issues/.gitkeep")
_IGNORED = "deploygate-out/\n"


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), metavar="[DIR]", default=Path())
@click.option(
    "--from-checklist",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Your own checklist: each of its items gets an id; nothing else in it changes.",
)
@click.option("--force", is_flag=True, help="Overwrite existing files.")
@options.as_json
def init(folder: Path, from_checklist: Path | None, force: bool, as_json: bool) -> None:
    """Write suites, checklist, an example inventory and CI files into DIR (default: the current folder).

    \b
    deploygate init
    deploygate init release --from-checklist docs/release-checklist.md
    """
    files = _files(from_checklist)
    present = [name for name in files if (folder / name).exists()]
    if present and not force:
        raise Refused(
            f"nothing was written, because these files exist already (--force overwrites them): {', '.join(present)}"
        )
    try:
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8", newline="")
        _ignore(folder / ".gitignore")
    except OSError as error:
        raise click.ClickException(
            f"{error.filename or folder} cannot be written: {error.strerror}"
        ) from None
    if as_json:
        click.echo(json.dumps({"folder": str(folder), "files": [*files, ".gitignore"]}))
        return
    for name in [*files, ".gitignore"]:
        click.echo(f"  {folder / name}")
    place = "" if folder == Path() else f"cd {folder} && "
    click.echo("Next:")
    click.echo(
        f"  {place}cp inventories/staging.example.yml inventories/staging.yml   # then name your servers in it"
    )
    click.echo("  deploygate plan --inventory staging")


def _files(from_checklist: Path | None) -> dict[str, str]:
    """Return the files' contents by path. Raises Refused for a checklist that cannot be used."""
    starter = resources.files("pytest_deploygate.cli") / "starter"
    files = {name: (starter / source).read_text(encoding="utf-8") for name, source in _STARTER.items()}
    files["inventories/inventory.schema.json"] = (
        json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    )
    files["suites/checklist.md"] = shipped.checklist().read_text()
    if from_checklist is not None:
        try:
            files["suites/checklist.md"] = identified(from_checklist.read_bytes().decode())
        except ChecklistError as error:
            text = "\n".join(str(problem) for problem in error.problems)
            raise Refused("\n" + text.replace("checklist:", f"{from_checklist}:")) from None
        except UnicodeDecodeError:
            raise Refused(f"{from_checklist} is not UTF-8 text") from None
    return files | dict.fromkeys(_EMPTY, "")


def _ignore(path: Path) -> None:
    """Add the folder of results to .gitignore, once."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if _IGNORED.strip() not in text.splitlines():
        path.write_text(text + ("" if not text or text.endswith("\n") else "\n") + _IGNORED, encoding="utf-8")
