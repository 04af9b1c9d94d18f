"""What the command line says about a run. What cannot be is refused with a sentence: pytest.UsageError (exit 4)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_deploygate.checklist.parser import Checklist
from pytest_deploygate.inventory.loader import Loaded
from pytest_deploygate.problems import nearest
from pytest_deploygate.session import scope, shipped
from pytest_deploygate.session.sharding import Shard, read_shard

_CHANGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def given(config: pytest.Config) -> tuple[str, ...]:
    """Return what says which platform, checklist and folder are meant. A path is joined to its option: see `check_project`."""
    found = [(name, config.getoption(name)) for name in ("--inventory", "--checklist", "--deploygate-out")]
    return tuple(
        word
        for name, value in found
        if value
        for word in ((f"{name}={value}",) if "/" in str(value) else (name, str(value)))
    )


def checklist_file(config: pytest.Config) -> Path:
    """Return the file that `--checklist` names, that of the project, or the shipped one."""
    if named := config.getoption("deploygate_checklist"):
        path = Path(str(named))
        return path if path.is_absolute() else config.invocation_params.dir / path
    own = config.rootpath / "suites" / "checklist.md"
    return own if own.is_file() else shipped.checklist()


def expression(config: pytest.Config) -> str:
    """Return the expression of `-m`; empty where there is none."""
    return str(config.getoption("markexpr") or "").strip()


def wanted(config: pytest.Config, checklist: Checklist) -> frozenset[str]:
    """Return the items in scope. Raises pytest.UsageError for a `-m` that cannot be read."""
    text = expression(config)
    try:
        return frozenset(scope.item_ids(text, checklist, only(config, checklist)))
    except SyntaxError as error:
        raise pytest.UsageError(
            f"-m {text!r} cannot be read: {error.msg}; write for example -m 'phase2 and database'"
        ) from None


def change(config: pytest.Config) -> str:
    """Return the change that `--change` names. Raises pytest.UsageError for a name that is no folder's."""
    name = str(config.getoption("deploygate_change"))
    if not _CHANGE.fullmatch(name):
        raise pytest.UsageError(f"--change {name!r}: use letters, digits, dot, dash and underscore")
    return name


def only(config: pytest.Config, checklist: Checklist) -> tuple[str, ...]:
    """Return the items that `--items` names. Raises pytest.UsageError with the nearest match for an unknown one."""
    listed = config.getoption("deploygate_items")
    if listed is None:
        return ()
    known = [item.id for item in checklist.items]
    named = tuple(dict.fromkeys(word.strip() for word in str(listed).split(",") if word.strip()))
    if not named:
        raise pytest.UsageError("--items is empty; write for example --items phase2.replication,golive.dns")
    for name in named:
        if name not in known:
            raise pytest.UsageError(
                f"--items: no item {name!r} in {checklist.file.name}{nearest(name, known)}"
            )
    return named


def allowed(config: pytest.Config, name: str) -> bool:
    """Tell whether disruptive checks are allowed on the inventory called so. Raises pytest.UsageError for another name."""
    named = config.getoption("deploygate_allow_disruptive")
    if named is not None and named != name:
        raise pytest.UsageError(
            f"--allow-disruptive={named}: the inventory is called {name!r}; "
            f"to allow disruptive checks on it, use --allow-disruptive={name}"
        )
    return named is not None


def shard(config: pytest.Config, here: Path, loaded: Loaded) -> Shard | None:
    """Return which shard this run is. Raises pytest.UsageError for options that only a whole run can have."""
    durations = config.getoption("deploygate_shard_durations")
    found = read_shard(
        config.getoption("deploygate_shard"), here / str(durations) if durations else None, loaded
    )
    if found is None:
        return None
    for option, is_given, instead in (
        (
            "--rollback execute",
            config.getoption("deploygate_rollback") == "execute",
            "`deploygate rollback execute`",
        ),
        ("--ticked", config.getoption("deploygate_ticked"), "`deploygate merge --ticked`"),
        ("--records-from", config.getoption("deploygate_records_from"), "a whole run"),
    ):
        if is_given:
            raise pytest.UsageError(
                f"{option} is not for a shard ({found.words} by {found.said_by}), which decides nothing: use {instead}"
            )
    return found


def check_project(root: Path, here: Path) -> None:
    """Refuse a root of pytest's that is another project than where it was called. Raises pytest.UsageError."""
    if not here.is_relative_to(root) or _is_above_the_project(root, here):
        # pytest takes the word after an option that is not registered yet for a path to collect.
        raise pytest.UsageError(
            f"pytest took {root} for the project, because an option is followed by a path outside it: write it with an "
            "equals sign, --inventory=PATH, --deploygate-out=DIR, --ticked=FILE"
        )


def _is_above_the_project(root: Path, here: Path) -> bool:
    between = [folder for folder in (here, *here.parents) if folder != root and folder.is_relative_to(root)]
    return not (root / "inventories").is_dir() and any((f / "inventories").is_dir() for f in between)
