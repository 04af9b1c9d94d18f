"""Write what your own repository needs to start."""

from __future__ import annotations

import json
import os
from importlib import resources
from pathlib import Path

import click

from pytest_deploygate.checklist import parser
from pytest_deploygate.checklist.identified import identified
from pytest_deploygate.checklist.parser import ChecklistError
from pytest_deploygate.cli.shared import code_owners, options
from pytest_deploygate.cli.shared.refusals import Refused
from pytest_deploygate.inventory.schema import json_schema
from pytest_deploygate.session import shipped

_STARTER = {
    "pytest.ini": "pytest.ini",
    "conftest.py": "conftest.py",
    "suites/test_own.py": "test_own.py",
    "inventories/staging.example.yml": "staging.example.yml",
    "allowed_signers.example": "allowed_signers.example",
    ".github/workflows/deploygate.yml": "deploygate.github.yml",
    "ci/deploygate.gitlab-ci.yml": "deploygate.gitlab.yml",
}
_EMPTY = ("attestations/.gitkeep", "waivers/.gitkeep", "issues/.gitkeep")
_IGNORED = "deploygate-out/\n"
#: The item of `suites/test_own.py`.
_OWN = "own.free-disk"


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), metavar="[DIR]", default=Path())
@click.option(
    "--from-checklist",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Your own checklist: each of its items gets an id, and the example's item is added at its end.",
)
@click.option("--force", is_flag=True, help="Overwrite existing files.")
@options.as_json
def init(folder: Path, from_checklist: Path | None, force: bool, as_json: bool) -> None:
    """Write a checklist, an example inventory and check, a conftest.py and CI files into DIR (default: here).

    The shipped suites are not copied: they run from the package, beside the tests in DIR/suites.

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
        owners = code_owners.add(folder)
    except OSError as error:
        raise click.ClickException(
            f"{error.filename or folder} cannot be written: {error.strerror}"
        ) from None
    written = [*files, ".gitignore"]
    if owners is not None:
        written.append(Path(os.path.relpath(owners, folder)).as_posix())
    if as_json:
        click.echo(json.dumps({"folder": str(folder), "files": written}))
        return
    for name in written:
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
    text = shipped.checklist().read_text(encoding="utf-8")
    if from_checklist is not None:
        try:
            text = identified(from_checklist.read_bytes().decode())
        except ChecklistError as error:
            said = "\n".join(str(problem) for problem in error.problems)
            raise Refused("\n" + said.replace("checklist:", f"{from_checklist}:")) from None
        except UnicodeDecodeError:
            raise Refused(f"{from_checklist} is not UTF-8 text") from None
    if not any(phase.id == "phase2" for phase in parser.parse(text, Path("checklist")).phases):
        files = {name: content.replace("pytest -m phase2 ", "pytest ") for name, content in files.items()}
    files["suites/checklist.md"] = _with_own_item(
        text, (starter / "own_items.md").read_text(encoding="utf-8")
    )
    return files | dict.fromkeys(_EMPTY, "")


def _with_own_item(text: str, own: str) -> str:
    """Add the example's item at the end of a checklist: in phase2 where there is one, so that the CI files run it.

    Raises Refused where what is added would not be read, because a block of code or a comment is not closed.
    """
    known = parser.parse(text, Path("checklist"))
    if known.get(_OWN):
        return text
    end = "\r\n" if "\r\n" in text else "\n"
    phase = "phase2" if any(phase.id == "phase2" for phase in known.phases) else "own"
    added = own.replace("PHASE", phase).replace("\n", end)
    longer = text + ("" if text.endswith("\n") else end) + added
    if parser.parse(longer, Path("checklist")).get(_OWN) is None:
        raise Refused(
            "the checklist ends within a block of code or a comment, so no item can be added: close it"
        )
    return longer


def _ignore(path: Path) -> None:
    """Add the folder of results to .gitignore, once."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if _IGNORED.strip() not in text.splitlines():
        path.write_text(text + ("" if not text or text.endswith("\n") else "\n") + _IGNORED, encoding="utf-8")
