"""Named faults: each breaks one thing in the lab for real, says which items and tests must notice, and can be healed.

A fault is a `Fault` value at the top of any module of this package, which are named after the subjects of the checks;
nothing else has to be edited to add one.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pytest_deploygate.lab import client, cluster, schedule, services, sql, way_back
from pytest_deploygate.lab.state import PRIMARY, Lab, LabError
from pytest_deploygate.lazy import dataclass

#: A change of the lab; what it returns does not matter.
Change = Callable[[Lab], object]


@dataclass(frozen=True)
class Fault:
    """One thing that can be wrong. `items` maps exactly those items that change to the verdict they must get.

    `breaks` and `heals` take the running lab; healing twice, or healing what is not broken, does no harm. `says` is what
    one of the reasons must contain, so that a tired person knows where to look. `tests` are the test functions of the
    suites that must have a finding which is not good; an item that only one test is bound to needs no name here. `needs`
    are servers of the lab without which the fault cannot be injected. `scope` is a narrower `-m` than the phases of its
    items, for a test of it; `inventory` is the one that measures them, where that is not the lab's own.
    """

    name: str
    what: str
    items: Mapping[str, str]
    breaks: Change
    heals: Change
    says: str
    tests: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    scope: str = ""
    inventory: str = "lab"


def all_faults() -> dict[str, Fault]:
    """Return every fault of this package by name, in the order of modules and lines."""
    found: dict[str, Fault] = {}
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, Fault):
                if value.name in found:
                    raise LabError(f"two faults are called {value.name}")
                found[value.name] = value
    return found


def by_sql(*statements: str, node: str = PRIMARY) -> Change:
    """Return a change that runs statements as superuser, each in a transaction of its own."""
    return lambda lab: sql.execute(lab, *statements, node=node)


def keep_aside(file: Path) -> None:
    """Copy a file, so that `put_back` finds it; one that is not there, or that another fault has changed, needs no copy."""
    if file.exists() and not aside(file).exists():
        aside(file).write_bytes(file.read_bytes())


def put_back(file: Path) -> None:
    """Replace a file, or a missing folder, by what was kept aside; nothing happens where nothing was."""
    if aside(file).exists():
        aside(file).replace(file)


def aside(file: Path) -> Path:
    """Return where a file or folder is kept meanwhile."""
    return file.with_name(f"{file.name}.aside")


def silence(lab: Lab, job: str) -> None:
    """Comment out a job's line in the crontab and wait until a run that has begun is over."""
    schedule.switch_off(lab, job)
    wait_for_job(lab, job)


def wait_for_job(lab: Lab, job: str) -> None:
    """Wait until no run of a job is active: it could undo what is broken next."""
    sql.wait_until(
        f"end of the running job {job}",
        lambda: not any(c.endswith(f" {job}") for c in client.status(lab.folder)["jobs"]),
    )


def put_in(lab: Lab, fault: Fault, *, also: bool = False) -> None:
    """Inject a fault. Raises LabError when the lab has one already, unless `also`."""
    present = lab.faults()
    if lacking := [name for name in fault.needs if name not in lab.ports]:
        raise LabError(
            f"the fault {fault.name} needs {', '.join(lacking)}, which this lab does without{_how_to_add(lab, lacking)}"
        )
    if fault.name in present:
        raise LabError(f"the fault {fault.name} is in the lab already; `deploygate lab heal` removes it")
    if present and not also:
        raise LabError(
            f"the lab has the fault {', '.join(present)} already; run `deploygate lab heal` first, or add --also"
        )
    if fault.inventory == way_back.INVENTORY and not way_back.guards(lab)["cutover"].exists():
        raise LabError(f"the fault {fault.name} is about the way back: run `deploygate lab rehearse` first")
    # Recorded first: a fault that fails half way must be healed too.
    lab.record_faults([*present, fault.name])
    fault.breaks(lab)


def _how_to_add(lab: Lab, lacking: Sequence[str]) -> str:
    """Say with which profiles the lab would have these servers; nothing where no profile adds them."""
    wanted = [
        s for s in services.all_services() if not s.asked_for(lab.profiles) and set(s.ports) & set(lacking)
    ]
    profiles = dict.fromkeys([*lab.profiles, *(service.profiles[0] for service in wanted)])
    return f": `deploygate lab up --with {','.join(profiles)}`" if wanted else ""


def heal(lab: Lab, name: str | None = None) -> list[str]:
    """Heal one fault, or all that are in the lab, the newest first; then make sure that the cluster is whole.

    Returns the names of those healed. What cannot be healed by itself is healed by resetting the lab.
    """
    known = all_faults()
    present = lab.faults()
    wanted = [name] if name is not None else list(reversed(present))
    for each in wanted:
        try:
            known[each].heals(lab)
        except LabError:
            cluster.reset(lab)
        left = [n for n in lab.faults() if n != each]
        lab.record_faults(left)
        for other in left if name is not None else ():
            if known[other].heals == known[each].heals:  # which has healed it, too
                known[other].breaks(lab)
    if not lab.faults():
        cluster.repair(lab)
    return wanted
