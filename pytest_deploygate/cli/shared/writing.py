"""Writers as a command: who may write where, and what became of it."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pytest_deploygate.checks.blast_radius import section as blast_section
from pytest_deploygate.checks.data_loss.facts import Written
from pytest_deploygate.checks.data_loss.probe import steady
from pytest_deploygate.checks.data_loss.probe.setup import way_through
from pytest_deploygate.checks.data_loss.section import DataLoss
from pytest_deploygate.checks.data_loss.section import InDatabase as WritesOf
from pytest_deploygate.checks.pooling.section import InDatabase as PoolingOf
from pytest_deploygate.cli.shared import folders
from pytest_deploygate.cli.shared.inventories import read
from pytest_deploygate.cli.shared.refusals import Refused
from pytest_deploygate.cli.shared.root import find_root
from pytest_deploygate.clients.budget import Budget, Ended
from pytest_deploygate.clients.ledger import Ledger
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.clients.writers import Way, ledger_file
from pytest_deploygate.judging.spending import UNBOUNDED
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell

_ITEM = "crit.data-loss"


@dataclass(frozen=True)
class Target:
    """What an inventory says of writing: the cluster, the way, and the section."""

    name: str
    cluster: Cluster
    way: Way
    criterion: DataLoss
    budget: Budget


def target(inventory: str) -> Target:
    """Read the inventory. Raises Refused (exit 4) unless it allows the writes and names a schema for them."""
    loaded = read(inventory)
    database, writes, name = loaded.inventory.database, loaded.inventory.writes, loaded.inventory.name
    if database is None:
        raise Refused(f"{loaded.file} has no `database` to write to")
    found: DataLoss = database.of(WritesOf).data_loss
    if found.allow != name:
        instead = f"`allow` is {found.allow!r}" if found.allow else "`allow` is missing"
        raise Refused(
            f"{loaded.file}: `database.data_loss` does not let `deploygate load --writes` write here: {instead}; on a staging "
            f"cluster add data_loss: {{allow: {name}}}"
        )
    if writes is None:
        raise Refused(f"{loaded.file} has no `writes: {{schema: …}}` naming a schema for the gate's tables")
    cluster = Cluster(database, writes.schema_)
    way = way_through(database.of(PoolingOf).pooling, cluster, found)
    if isinstance(way, str):
        raise Refused(f"{loaded.file}: {way}")
    blast = loaded.inventory.of(blast_section.Keys).blast_radius or blast_section.BlastRadius()
    return Target(
        name, cluster, way, found, Budget(_ITEM, Ledger(together=blast.whole), UNBOUNDED, blast.bounds)
    )


def planned(at: Target, duration: timedelta | None, writers: int | None, rate: float | None) -> steady.Plan:
    """Return the plan: the inventory's load as changed by the command line. Raises Refused above `max_per_second`."""
    plan, most = at.criterion.load, at.criterion.max_per_second
    if rate is not None and not 1 <= rate <= most:
        raise Refused(
            f"--rate {rate:g} is not from 1 to {most}, which is the inventory's `data_loss.max_per_second`"
        )
    return steady.Plan(duration or plan.duration, writers or plan.writers, int(rate or most))


def ledger_of(change: str, out: Path | None) -> Path:
    """Return a new file in the folder of the change."""
    folder = out or folders.place(change, find_root(Path.cwd()))
    return folder / f"writes-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.ledger"


def write(at: Target, plan: steady.Plan, file: Path) -> Written:
    """Write, then account for it and remove the table. Raises CannotTell, and Ended (with the counts) on a stop."""
    with at.budget.probe("writers", unwatched="it looks for the rate that the server can do") as spending:
        running, ledger = steady.begin(at.cluster, at.way, plan, file, at.name, spending)
        try:
            with _ctrl_c(running.ended):
                running.start()
                running.wait()
        except Ended as ended:
            raise Ended(
                ended.how,
                f"{ended} {running.counts['acknowledged']:,} writes were acknowledged in {running.lasted_s:.1f} s; nothing was "
                f"compared: run `deploygate load --writes --account {file}`",
            ) from None
        finally:
            ledger.close()
    found = steady.account(at.cluster, at.way, file, at.criterion.patience_s, steady.facts(running))
    _remove(at, file, found)
    return found


def account(at: Target, file: Path) -> Written:
    """Account for the ledger of an earlier load, and remove its table. Raises CannotTell."""
    about = ledger_file.about(file)
    if about.inventory != at.name:
        raise Refused(f"{file} was written on {about.inventory!r}, this inventory is {at.name!r}")
    found = steady.account(at.cluster, at.way, file, at.criterion.patience_s)
    _remove(at, file, found)
    return found


def left_behind(at: Target) -> list[str]:
    """Return the tables of loads that nobody accounted for, or that are kept because something is wrong with them."""
    try:
        return steady.left_behind(at.cluster)
    except CannotTell:
        return []


def _remove(at: Target, file: Path, found: Written) -> None:
    """Remove the table if nothing is wrong with it; else people want to look at it. `left_behind` tells what stays."""
    whole = all(p.presence and not (p.presence.lost or p.presence.phantom) for p in found.nodes)
    if whole:
        with contextlib.suppress(CannotTell):
            steady.drop(at.cluster, ledger_file.about(file))


@contextlib.contextmanager
def _ctrl_c(ended: threading.Event) -> Iterator[None]:
    """Let Ctrl-C end the writers and go on to the account; a second one ends the command."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def stop(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGINT, before)
        ended.set()

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
