"""pytest's side: options, and the waking up. Asleep (and cheap to import) unless `--inventory` is given.

Awake, `session.hooks` joins as a plugin of its own, with the fixtures and all that a run does.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_deploygate import startup

_conflicts: list[str] = []


@pytest.hookimpl(trylast=True)
def pytest_addoption(parser: pytest.Parser) -> None:
    """Add our options; another plugin that has one of them is named when ours are used."""
    _conflicts.clear()
    try:
        _add_options(parser)
    except ValueError as error:
        _conflicts.append(str(error))


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Announce our hooks."""
    from pytest_deploygate import hookspecs  # noqa: PLC0415 (its types are not needed by runs that gate nothing)

    pluginmanager.add_hookspecs(hookspecs)


def _add_options(parser: pytest.Parser) -> None:
    """Add the options. Raises ValueError when another plugin has one of the names."""
    group = parser.getgroup("deploygate", "deploygate: a deployment checklist that runs")
    group.addoption(
        "--inventory",
        metavar="NAME|PATH",
        help="the environment to gate: a name in inventories/ or a file. Example: pytest -m phase2 --inventory prod",
    )
    group.addoption(
        "--checklist",
        metavar="FILE",
        help="Markdown checklist whose items count (default: suites/checklist.md, else the one shipped)",
    )
    group.addoption(
        "--change",
        metavar="ID",
        default="local",
        help="id of the change; its runs share a folder and a journal (default: local)",
    )
    group.addoption(
        "--deploygate-out", metavar="DIR", help="folder for results (default: deploygate-out/<change>/)"
    )
    group.addoption(
        "--resume",
        action="store_true",
        help="go on with this change's last run: tests that were good in it are kept, all others run",
    )
    group.addoption(
        "--fresh", action="store_true", help="move this change's folder aside and begin a new journal"
    )
    group.addoption(
        "--allow-disruptive",
        metavar="NAME",
        help="run checks that disturb (failover drills); must repeat the inventory's name",
    )
    group.addoption(
        "--items",
        metavar="ID[,ID]",
        help="run only these items of the checklist; the decision speaks for them alone. Example: --items golive.dns",
    )
    group.addoption(
        "--rollback",
        choices=("advise", "execute"),
        default="advise",
        help="what a ROLLBACK decision does: advise (default), or execute the inventory's runbook at once",
    )
    group.addoption(
        "--override-freeze",
        metavar="ROLE:REASON",
        help="run although the inventory's schedule freezes deployments now; role and reason stand in the record",
    )
    group.addoption(
        "--ticked",
        metavar="FILE",
        help="give the checklist back to FILE with its boxes ticked and the verdicts behind them",
    )
    group.addoption(
        "--waived-exit", action="store_true", help="exit 20 instead of 0 for a GO that rests on waivers"
    )


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Wake up when `--inventory` is given: read everything that can be wrong before anything runs."""
    config.addinivalue_line("markers", "item(id, ...): binds a test to items of the deployment checklist")
    config.addinivalue_line(
        "markers", "disruptive: disturbs the platform; runs only with --allow-disruptive=NAME"
    )
    config.addinivalue_line("markers", "alone: must not be disturbed (load); no other test runs beside it")
    if not config.getoption("--inventory", None) or config.option.help or config.option.version:
        return
    if _conflicts:
        raise pytest.UsageError(
            f"another plugin owns an option of pytest-deploygate ({_conflicts[0]}); "
            "switch it off for this run, for example with -p no:ansible"
        )
    with startup.quickly():
        # Imported here: a pytest run that gates nothing must not pay for what the gate needs.
        from pytest_deploygate.session import hooks  # noqa: PLC0415

        hooks.wake(config)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse tests of a checklist without an inventory: they would all look skipped or deselected."""
    if not config.getoption("--inventory", None) and any(item.get_closest_marker("item") for item in items):
        folder = config.rootpath / "inventories"
        names = ", ".join(sorted(_names(folder))) or "none yet"
        raise pytest.UsageError(
            "these tests belong to a deployment checklist and need an inventory: "
            f"--inventory NAME (in inventories/: {names})"
        )


def _names(folder: Path) -> list[str]:
    return [file.stem for file in folder.glob("*.y*ml") if file.suffix in (".yml", ".yaml")]
