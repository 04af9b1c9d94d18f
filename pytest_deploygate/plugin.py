"""The pytest plugin: its options and activation. Inactive (and cheap to import) unless `--inventory` is given.

When active, it registers `session.hooks` as a plugin of its own, with the fixtures and everything a run does.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_deploygate import startup

_conflicts: list[str] = []


@pytest.hookimpl(trylast=True)
def pytest_addoption(parser: pytest.Parser) -> None:
    """Add our options; a conflict with another plugin is reported only when ours are used."""
    _conflicts.clear()
    try:
        _add_options(parser)
    except ValueError as error:
        _conflicts.append(str(error))


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Register our hook specifications."""
    from pytest_deploygate import hookspecs  # noqa: PLC0415 (its types are not needed by runs that gate nothing)

    pluginmanager.add_hookspecs(hookspecs)


def _add_options(parser: pytest.Parser) -> None:
    """Add the options. Raises ValueError if another plugin already defines one of them."""
    group = parser.getgroup("deploygate", "deploygate: a deployment checklist that runs")
    group.addoption(
        "--inventory",
        metavar="NAME|PATH",
        help="environment to gate: a name in inventories/ or the path of a file. Example: pytest -m phase2 --inventory prod",
    )
    group.addoption(
        "--checklist",
        metavar="FILE",
        help="Markdown checklist to run (default: suites/checklist.md, else the shipped one)",
    )
    group.addoption(
        "--change",
        metavar="ID",
        default="local",
        help="ID of the change; its runs share one folder and one journal (default: local)",
    )
    group.addoption(
        "--deploygate-out", metavar="DIR", help="output folder (default: deploygate-out/<change>/)"
    )
    group.addoption(
        "--resume",
        action="store_true",
        help="continue this change's last run: keep tests that were good in it, run all others",
    )
    group.addoption(
        "--fresh", action="store_true", help="move this change's folder aside and start a new journal"
    )
    group.addoption(
        "--allow-disruptive",
        metavar="NAME",
        help="run disruptive checks, such as failover drills; NAME must be the inventory's name",
    )
    group.addoption(
        "--items",
        metavar="ID[,ID]",
        help="run only these checklist items; the decision covers only them. Example: --items golive.dns",
    )
    group.addoption(
        "--rollback",
        choices=("advise", "execute"),
        default="advise",
        help="what to do on a ROLLBACK decision: advise (default), or execute the inventory's runbook at once",
    )
    group.addoption(
        "--override-freeze",
        metavar="ROLE:REASON",
        help="run during a deployment freeze of the inventory's schedule; role and reason are recorded",
    )
    group.addoption(
        "--records-from",
        metavar="REF",
        help="take checklist, inventory, tests and records from this branch, not from the folder, and list what the folder "
        "would change in them. For pull requests: --records-from origin/main",
    )
    group.addoption(
        "--ticked",
        metavar="FILE",
        help="write the checklist to FILE with its boxes ticked and a verdict after each item",
    )
    group.addoption(
        "--waived-exit", action="store_true", help="exit with 20 instead of 0 if a GO depends on waivers"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """With `--records-from`, run the files of that branch instead, before any `conftest.py` is imported."""
    # Nothing else of these options is looked at: `addopts` of the pull request are among them.
    given = early_config.known_args_namespace
    if not getattr(given, "records_from", None):
        return
    from pytest_deploygate.session import base  # noqa: PLC0415 (only runs for pull requests need it)

    started = early_config.invocation_params
    if base.of(started.dir) is not None:
        return
    if not given.inventory:
        raise pytest.UsageError("--records-from needs an inventory: --inventory NAME")
    if capture := early_config.pluginmanager.getplugin("capturemanager"):
        capture.suspend_global_capture(in_=True)
    args = [str(arg) for arg in started.args]
    paths = [str(path) for path in given.file_or_dir if str(path) in args]
    raise SystemExit(base.run(given.records_from, args, paths, started.dir))


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """With `--records-from`, write pytest's own result files where the command was given."""
    if getattr(config.option, "records_from", None):
        from pytest_deploygate.session import base  # noqa: PLC0415 (only runs for pull requests need it)

        if branch := base.of(config.invocation_params.dir):
            base.place_outputs(config, branch)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Activate if `--inventory` is given: read and check all input before anything runs."""
    config.addinivalue_line("markers", "item(id, ...): binds a test to items of the deployment checklist")
    config.addinivalue_line(
        "markers", "disruptive: disrupts the platform; runs only with --allow-disruptive=NAME"
    )
    config.addinivalue_line("markers", "alone: must not be disturbed (load); no other test runs meanwhile")
    if not config.getoption("--inventory", None) or config.option.help or config.option.version:
        return
    if _conflicts:
        raise pytest.UsageError(
            f"another plugin already defines an option of pytest-deploygate ({_conflicts[0]}); "
            "disable it for this run, for example with -p no:ansible"
        )
    with startup.quickly():
        # Imported here: a pytest run without the gate must not pay for its imports.
        from pytest_deploygate.session import hooks  # noqa: PLC0415

        hooks.wake(config)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Reject checklist tests without an inventory: they would all look skipped or deselected."""
    if not config.getoption("--inventory", None) and any(item.get_closest_marker("item") for item in items):
        folder = config.rootpath / "inventories"
        names = ", ".join(sorted(_names(folder))) or "none yet"
        raise pytest.UsageError(
            "these tests belong to a deployment checklist and need an inventory: "
            f"--inventory NAME (in inventories/: {names})"
        )


def _names(folder: Path) -> list[str]:
    return [file.stem for file in folder.glob("*.y*ml") if file.suffix in (".yml", ".yaml")]
