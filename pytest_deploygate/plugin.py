"""The pytest plugin: its options and activation. Inactive (and cheap to import) unless `--inventory` is given.

When active, it registers `session.hooks` as a plugin of its own, with the fixtures and everything a run does.
"""

from __future__ import annotations

import copy
import importlib.util
from pathlib import Path
from typing import Any

import pytest

from pytest_deploygate import startup

#: The name under which pytest-testinfra registers its plugin.
_TESTINFRA = "pytest11.testinfra"
#: In so many lines of its beginning an inventory has its name.
_LINES = 200
#: Options whose short name belongs to another plugin; ours are `--deploygate-NAME` then.
_taken: list[str] = []


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Keep two other plugins apart: pytest-ansible and the pytest plugin of testinfra both have `--ansible-inventory`.

    Where both are installed, people's tests of hosts run through ours, and nobody needs testinfra's plugin. Ours is asked
    when it is loaded. From pytest 9 on, pytest ends at the second of the two: ours must be before it (`-p deploygate`).
    """
    if importlib.util.find_spec("pytest_ansible") is None or pluginmanager.is_blocked("pytest-ansible"):
        return
    if not pluginmanager.has_plugin(_TESTINFRA):
        pluginmanager.set_blocked(_TESTINFRA)
    elif (known := getattr(parser, "optparser", None)) is not None:
        known.conflict_handler = "resolve"
    else:  # pytest 8 finds such a conflict when all plugins are loaded
        for group in parser._groups:  # noqa: SLF001 (there is no other way)
            if group.name == "testinfra":
                group.options = [one for one in group.options if "--ansible-inventory" not in one.names()]


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Register our hook specifications."""
    from pytest_deploygate import hookspecs  # noqa: PLC0415 (its types are not needed by runs that gate nothing)

    pluginmanager.add_hookspecs(hookspecs)


def _add_options(parser: pytest.Parser) -> None:
    """Add the options. Each has a second name, `--deploygate-NAME`, which is the only one if another plugin has the first.

    All plugins have added theirs by now. Those that come later, in a `conftest.py`, find ours.
    """
    group = parser.getgroup("deploygate", "deploygate: a deployment checklist that runs")
    groups = (*parser._groups, parser._anonymous)  # noqa: SLF001 (pytest tells it nowhere else)
    others = {name for one in groups for option in one.options for name in option.names()}
    _taken.clear()

    def add(name: str, **attributes: Any) -> None:
        """Add an option; `--inventory` always has both names."""
        own = name if name.startswith("--deploygate-") else f"--deploygate-{name.removeprefix('--')}"
        if name in others:
            _taken.append(name)
        names = [
            n
            for n in (name, own)
            if n not in others and (n == name or name in others or name == "--inventory")
        ]
        if names:
            group.addoption(*names, dest=_dest(name), **attributes)

    add(
        "--inventory",
        metavar="NAME|PATH",
        help="environment to gate: a name in inventories/ or the path of a file. Example: pytest -m phase2 --inventory prod",
    )
    add(
        "--checklist",
        metavar="FILE",
        help="Markdown checklist to run (default: suites/checklist.md, else the shipped one)",
    )
    add(
        "--change",
        metavar="ID",
        default="local",
        help="ID of the change; its runs share one folder and one journal (default: local)",
    )
    add(
        "--deploygate-out",
        metavar="DIR",
        help="output folder (default: deploygate-out/<change>/). A file STOP in it ends every probe within a second, and so "
        "does the signal USR1 to pytest",
    )
    add(
        "--resume",
        action="store_true",
        help="continue this change's last run: keep tests that were good in it, run all others",
    )
    add("--fresh", action="store_true", help="move this change's folder aside and start a new journal")
    add(
        "--shard",
        metavar="I/N",
        help="run part I of N, into a folder of its own; `deploygate merge` makes one record of all parts. Without this "
        "option the variables of GitLab, CircleCI and Kubernetes' Indexed Jobs are read; 1/1 runs everything",
    )
    add(
        "--shard-durations",
        metavar="PATH",
        help="balance the shards by how long each test took in this recorded change: its folder, or its journal.jsonl",
    )
    add(
        "--allow-disruptive",
        metavar="NAME",
        help="run disruptive checks, such as failover drills; NAME must be the inventory's name",
    )
    add(
        "--items",
        metavar="ID[,ID]",
        help="run only these checklist items; the decision covers only them. Example: --items golive.dns",
    )
    add(
        "--rollback",
        choices=("advise", "execute"),
        default="advise",
        help="what to do on a ROLLBACK decision: advise (default), or execute the inventory's runbook at once",
    )
    add(
        "--override-freeze",
        metavar="ROLE:REASON",
        help="run during a deployment freeze of the inventory's schedule; role and reason are recorded",
    )
    add(
        "--records-from",
        metavar="REF",
        help="take checklist, inventory, tests and records from this branch, not from the folder, and list what the folder "
        "would change in them. For pull requests: --records-from origin/main",
    )
    add(
        "--ticked",
        metavar="FILE",
        help="write the checklist to FILE with its boxes ticked and a verdict after each item",
    )
    add("--waived-exit", action="store_true", help="exit with 20 instead of 0 if a GO depends on waivers")


def _dest(name: str) -> str:
    return "deploygate_" + name.removeprefix("--").removeprefix("deploygate-").replace("-", "_")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> None:
    """Add our options, after all other plugins. With `--records-from`, run the files of that branch instead, before any
    `conftest.py` is imported.

    In `pytest_addoption` the order of loading decides who has a name: if ours came first, another plugin that has
    `--inventory` too ended every pytest run of the environment.
    """
    _add_options(parser)
    known = parser.parse_known_args(args, namespace=copy.copy(early_config.option))
    known.confcutdir = early_config.known_args_namespace.confcutdir  # pytest has set it by now
    early_config.known_args_namespace = known
    # Nothing else of these options is looked at: `addopts` of the pull request are among them.
    given = early_config.known_args_namespace
    if not given.deploygate_records_from:
        return
    from pytest_deploygate.session import base  # noqa: PLC0415 (only runs for pull requests need it)

    started = early_config.invocation_params
    if base.of(started.dir) is not None:
        return
    if not given.deploygate_inventory:
        raise pytest.UsageError("--records-from needs an inventory: --inventory NAME")
    if capture := early_config.pluginmanager.getplugin("capturemanager"):
        capture.suspend_global_capture(in_=True)
    args = [str(arg) for arg in started.args]
    paths = [str(path) for path in given.file_or_dir if str(path) in args]
    raise SystemExit(base.run(given.deploygate_records_from, args, paths, started.dir))


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """With `--records-from`, write pytest's own result files where the command was given."""
    if getattr(config.option, "deploygate_records_from", None):
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
    config.addinivalue_line(
        "markers",
        "hosts(role, ...): servers of the inventory, by role or name, that a test with `host` runs on",
    )
    config.addinivalue_line("markers", "alone: must not be disturbed (load); no other test runs meanwhile")
    if config.option.help or config.option.version:
        return
    if not _inventory(config):
        _refuse_other(config)
        return
    with startup.quickly():
        # Imported here: a pytest run without the gate must not pay for its imports.
        from pytest_deploygate.session import hooks  # noqa: PLC0415

        hooks.wake(config)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Reject checklist tests without an inventory: they would all look skipped or deselected."""
    if not _inventory(config) and any(item.get_closest_marker("item") for item in items):
        folder = config.rootpath / "inventories"
        names = ", ".join(sorted(_names(folder))) or "none yet"
        raise pytest.UsageError(
            "these tests belong to a deployment checklist and need an inventory: "
            f"{_named(config)} (in inventories/: {names})"
        )


def _inventory(config: pytest.Config) -> str | None:
    return getattr(config.option, _dest("--inventory"), None)


def _named(config: pytest.Config) -> str:
    """Return the name of our option; the short one may belong to another plugin."""
    if "--inventory" in _taken:
        return f"--deploygate-inventory NAME, since --inventory is {_whose(config)} here"
    return "--inventory NAME"


def _whose(config: pytest.Config) -> str:
    return (
        "that of pytest-ansible"
        if config.pluginmanager.hasplugin("pytest-ansible")
        else "that of another plugin"
    )


def _refuse_other(config: pytest.Config) -> None:
    """Refuse an inventory of ours that was given to another plugin's option: the run would gate nothing. Raises UsageError."""
    given = str(config.getoption("--inventory", None) or "") if "--inventory" in _taken else ""
    if not given:
        return
    places = [
        Path(given),
        *(config.rootpath / "inventories" / f"{given}{suffix}" for suffix in (".yml", ".yaml")),
    ]
    if any(place.is_file() and _is_ours(place) for place in places):
        raise pytest.UsageError(
            f"--inventory is {_whose(config)} here, so nothing would be gated; write --deploygate-inventory {given}"
        )


def _is_ours(file: Path) -> bool:
    from pytest_deploygate.files import bounded  # noqa: PLC0415 (only where another plugin has --inventory)

    try:
        lines = bounded.read(file).decode(errors="replace").split("\n", _LINES)[:_LINES]
        return any(line.startswith("name:") for line in lines)
    except OSError:
        return False


def _names(folder: Path) -> list[str]:
    return [file.stem for file in folder.glob("*.y*ml") if file.suffix in (".yml", ".yaml")]
