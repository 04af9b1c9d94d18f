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
from pytest_deploygate.cli.shared import ci_files, code_owners, options, profiles, pytest_configuration
from pytest_deploygate.cli.shared.refusals import Refused
from pytest_deploygate.files import bounded
from pytest_deploygate.files.bounded import OddTextError
from pytest_deploygate.inventory.loader import BESIDE
from pytest_deploygate.inventory.schema import json_schema
from pytest_deploygate.session import shipped

_EXAMPLE = "inventories/staging.example.yml"
_STARTER = {
    "pytest.ini": "pytest.ini",
    "conftest.py": "conftest.py",
    "suites/test_own.py": "test_own.py",
    _EXAMPLE: "staging.example.yml",
    "allowed_signers.example": "allowed_signers.example",
}
_EMPTY = ("attestations/.gitkeep", "waivers/.gitkeep", "issues/.gitkeep")
_CHECKLIST = "suites/checklist.md"
_WORKFLOW = ".github/workflows/deploygate.yml"
_IGNORED = "deploygate-out/\n"
#: Where tests show, a level deep: a bare `pytest` would no longer run them with our pytest.ini beside them.
_TESTS = (
    *("conftest.py", "tests", "test", "tests.py", "test_*.py"),
    *("*/conftest.py", "*/tests", "*/test", "*/tests.py", "*/test_*.py"),
)
#: The item of `suites/test_own.py`.
_OWN = "own.free-disk"
#: Lines of a checklist that are shown; a table may have hundreds.
_MOST_REMARKS = 20


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), metavar="[DIR]", default=Path())
@click.option(
    "--profile",
    type=click.Choice(list(profiles.PROFILES)),
    help="The shipped checklist for a kind of platform: what it does not have is left out. Default: full.",
)
@click.option(
    "--from-checklist",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Your own checklist: each of its items gets an id, and the example's item is added at its end.",
)
@click.option(
    "--install-from",
    metavar="VERSION|ADDRESS",
    help="What CI installs: a version, or git+https://…@TAG. Default: what is installed here.",
)
@click.option("--force", is_flag=True, help="Overwrite existing files that `init` wrote.")
@options.as_json
def init(
    folder: Path,
    profile: str | None,
    from_checklist: Path | None,
    install_from: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write a checklist, an example inventory and check, a conftest.py and CI files into DIR (default: here).

    The shipped suites are not copied: they run from the package, beside the tests in DIR/suites. Where DIR has tests or
    a pytest configuration of its own, the files go to DIR/deploygate. GitHub's workflow goes to the top of the git
    repository.

    \b
    deploygate init --profile web
    deploygate init release --from-checklist docs/release-checklist.md
    deploygate init --install-from git+https://git.example.com/pytest-deploygate.git@v1.0
    """
    if profile and from_checklist:
        raise click.UsageError(
            "--profile and --from-checklist are mutually exclusive: each names the checklist"
        )
    origin = ci_files.installed(install_from)
    own = _own_tests(folder)
    place = folder / BESIDE if own else folder
    files = _files(place, _checklist(profile or "full", from_checklist), origin.requirement)
    present = [str(path) for path in files if path.exists()]
    if present and not force:
        raise Refused(
            f"nothing was written, because these files exist already (--force overwrites them): {', '.join(present)}"
        )
    try:
        for path, content in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8", newline="")
        _ignore(place / ".gitignore")
        owners = code_owners.add(place)
    except OSError as error:
        raise click.ClickException(
            f"{error.filename or folder} cannot be written: {error.strerror}"
        ) from None
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    remarks = _remarks(place / _CHECKLIST, files[place / _CHECKLIST]) if from_checklist else []
    written = [*files, place / ".gitignore"]
    if owners is not None:
        written.append(Path(os.path.relpath(owners)))
    if as_json:
        names = [Path(os.path.relpath(path, place)).as_posix() for path in written]
        click.echo(json.dumps({"folder": str(place), "files": names, "remarks": remarks}))
        return
    for path in written:
        click.echo(f"  {path}")
    if own:
        click.echo(f"{folder / own} is yours, so the files are in {place}: run pytest and deploygate there.")
    if remarks:
        click.echo(f"Lines of {place / _CHECKLIST} to look at ({len(remarks)}):")
        for remark in remarks[:_MOST_REMARKS]:
            click.echo(f"  {remark}")
        if len(remarks) > _MOST_REMARKS:
            click.echo("  … `deploygate plan` lists them all")
    if origin.doubt:
        click.echo(f"CI: {origin.doubt}")
    click.echo("Next:")
    step = "" if place == Path() else f"cd {place} && "
    click.echo(
        f"  {step}cp inventories/staging.example.yml inventories/staging.yml   # then name your servers in it"
    )
    click.echo("  deploygate plan --inventory staging")


def _remarks(file: Path, text: str) -> list[str]:
    """Return what a run will remark about a checklist: lines that look like items or roles and are none."""
    return [str(remark) for remark in parser.parse(text, file).remarks]


def _own_tests(folder: Path) -> str:
    """Return what shows that a folder has tests that are not ours; empty if it has none."""
    if (folder / _CHECKLIST).exists():  # written by an earlier `init`
        return ""
    found = (path for pattern in _TESTS for path in sorted(folder.glob(pattern)))
    there = (path.relative_to(folder).as_posix() for path in found)
    return pytest_configuration.file(folder) or next((name for name in there if name[0] != "."), "")


def _files(place: Path, checklist: str, requirement: str) -> dict[Path, str]:
    """Return the files' contents by path."""
    files = {name: _starter(source) for name, source in _STARTER.items()}
    files["inventories/inventory.schema.json"] = (
        json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    )
    files[_CHECKLIST] = checklist
    files |= dict.fromkeys(_EMPTY, "")
    top = ci_files.top(place)
    project = Path(os.path.relpath(top, place.resolve() / "inventories")).as_posix()
    files[_EXAMPLE] = files[_EXAMPLE].replace("@PROJECT@", project)
    phases = [phase.id for phase in parser.parse(checklist, Path("checklist")).phases]
    below = Path(os.path.relpath(place.resolve(), top)).as_posix()
    files["ci/deploygate.gitlab-ci.yml"] = ci_files.gitlab(phases, below, requirement)
    workflow = Path(os.path.relpath(top, Path.cwd())) / _WORKFLOW
    return {place / name: content for name, content in files.items()} | {
        workflow: ci_files.github(phases, below, requirement)
    }


def _checklist(profile: str, file: Path | None) -> str:
    """Return the checklist to write. Raises Refused for one that cannot be used."""
    if file is None:
        tested = {item for function in shipped.functions() for item in function.items}
        text = profiles.text(profile, shipped.checklist().read_text(encoding="utf-8"), tested)
        return _with_own_item(text, _starter("own_items.md"))
    try:
        text = identified(bounded.text(file))
    except OSError as error:
        raise Refused(f"{file} cannot be read: {error.strerror}") from None
    except ChecklistError as error:
        said = "\n".join(str(problem) for problem in error.problems)
        raise Refused("\n" + said.replace("checklist:", f"{file}:")) from None
    except OddTextError as error:
        raise Refused(f"{file}:{error.line}: {error}") from None
    return _with_own_item(text, _starter("own_items.md"))


def _starter(name: str) -> str:
    return (resources.files("pytest_deploygate.cli") / "starter" / name).read_text(encoding="utf-8")


def _with_own_item(text: str, own: str) -> str:
    """Add the example's item at the end of a checklist: in phase2 where there is one.

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
    text = code_owners.text_of(path)
    if _IGNORED.strip() not in text.splitlines():
        path.write_text(text + ("" if not text or text.endswith("\n") else "\n") + _IGNORED, encoding="utf-8")
