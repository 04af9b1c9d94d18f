"""Go through one journey once and show its steps."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType

import click

from pytest_deploygate.checks.journeys import judge
from pytest_deploygate.checks.journeys.facts import Attempt
from pytest_deploygate.checks.journeys.probe import walked
from pytest_deploygate.checks.journeys.probe.journey import Journey
from pytest_deploygate.checks.journeys.section import Journeys, Keys
from pytest_deploygate.cli.shared import options
from pytest_deploygate.cli.shared.inventories import read
from pytest_deploygate.cli.shared.refusals import Command, Refused
from pytest_deploygate.clients.browser.running import Browser
from pytest_deploygate.clients.budget import Budget, unrecorded
from pytest_deploygate.model import CannotTell, Judgement, NotCovered, Verdict, words_for
from pytest_deploygate.problems import nearest

_EXITS = {Verdict.PASS: 0, Verdict.FAIL: 1}
_NOT_KNOWN = 21
_GIVEN = {"page", "journey"}


@click.command(cls=Command)
@click.argument("name")
@options.inventory
@click.option("--show", is_flag=True, help="Open a window. It needs a display.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("deploygate-out/journey"),
    show_default=True,
    help="Where pictures and the trace are kept.",
)
def run(name: str, inventory: str, show: bool, folder: Path) -> None:
    """Go through one journey once and show its steps.

    NAME is that of a journey in the inventory, or a test: FILE or FILE::TEST. Nothing is recorded for the checklist.
    Exits with 0 if it passes, 1 if it fails, 21 if that is unknown, 4 for a mistake.

    \b
    deploygate journey run "sees the plant" --inventory staging
    deploygate journey run suites/test_plant.py --inventory staging --show
    """
    keys = read(inventory).inventory.of(Keys)
    if keys.browser is None:
        raise Refused("the inventory has no `browser`; add `browser: {url: https://app.example.com}`")
    journeys = keys.journeys or Journeys()
    with closing(Browser(keys.browser, folder, headless=not show)) as browser:
        try:
            found, judged = _gone_through(name, browser, journeys, unrecorded("journey"))
        except NotCovered as lacking:
            raise Refused(str(lacking)) from None
        except CannotTell as unknown:
            click.echo(f"inconclusive: {unknown}")
            sys.exit(_NOT_KNOWN)
    _print(found, judged, folder)
    sys.exit(_EXITS.get(judged.verdict, _NOT_KNOWN))


def _gone_through(
    name: str, browser: Browser, journeys: Journeys, budget: Budget
) -> tuple[Attempt, Judgement]:
    file, _, test = name.partition("::")
    if file.endswith(".py"):
        function = _function(Path(file), test)
        journey = Journey(
            function.__name__.removeprefix("test_").replace("_", " "), browser, journeys, budget
        )
        wanted = inspect.signature(function).parameters
        found = journey.attempt(lambda: function(**{k: _given(journey, k) for k in wanted}))
        return found, judge.judge(found, judge.Walk.of(journeys))
    declared = next((each for _, each in journeys.all if each.name == name), None)
    if declared is None:
        known = [each.name for _, each in journeys.all]
        there = f"; there are {', '.join(map(repr, known))}" if known else ""
        raise Refused(f"the inventory has no journey {name!r}{nearest(name, known)}{there}")
    found = walked(browser, journeys, declared, budget)
    return found, judge.judge(found, judge.Walk.of(journeys, declared))


def _given(journey: Journey, name: str) -> object:
    return journey.page if name == "page" else journey


def _function(file: Path, test: str) -> Callable[..., object]:
    """Return the test of a file, the only one unless it is named. Raises Refused."""
    if not file.is_file():
        raise Refused(f"there is no file {file}")
    tests = dict(_tests(_imported(file)))
    if not test and len(tests) == 1:
        test = next(iter(tests))
    if test not in tests:
        said = ", ".join(f"{file}::{name}" for name in tests) or "none takes `journey`"
        raise Refused(f"{file} has no journey {test!r}; its journeys: {said}")
    if others := set(inspect.signature(tests[test]).parameters) - _GIVEN:
        raise Refused(
            f"{test} takes {', '.join(sorted(others))}, too: run it with `pytest {file}::{test} --inventory …`"
        )
    return tests[test]


def _imported(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise Refused(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # noqa: BLE001 (a file of the user's)
        raise Refused(f"{file} cannot be imported: {type(error).__name__}: {error}") from None
    return module


def _tests(module: ModuleType) -> Iterator[tuple[str, Callable[..., object]]]:
    for name, value in vars(module).items():
        is_test = name.startswith("test") and inspect.isfunction(value)
        if is_test and "journey" in inspect.signature(value).parameters:
            yield name, value


def _print(found: Attempt, judged: Judgement, folder: Path) -> None:
    for step in found.steps:
        sign = "✗" if step.problem else "✓"
        click.echo(f"  {sign} {step.name}  {words_for(step.took_s)}  {step.url}")
    click.echo(f"{judged.verdict.value}: {judged.reason}")
    for note in judged.notes:
        click.echo(f"  note: {note}")
    for path in (*(picture.path for picture in found.pictures), found.trace):
        if path:
            click.echo(f"  {folder / path}")
    if found.trace:
        click.echo(f"look at the trace:  playwright show-trace {folder / found.trace}")
