"""The story of a rollback on real servers: version 2 goes live, breaks, the gate says ROLLBACK, and version 1 comes back.

Every decision is made with the commands that people use (`pytest`, `deploygate decide`, `deploygate rollback`); their
output is in `story.log`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pytest_deploygate.inventory import loader
from pytest_deploygate.lab import disturbance, releases, sql, up, users
from pytest_deploygate.lab.app import NEW_REPLICAS, NEW_VERSION, OLD_VERSION
from pytest_deploygate.lab.services import front
from pytest_deploygate.lab.state import HOST, PRIMARY, Lab, LabError
from pytest_deploygate.lab.telling import Kill, Telling
from pytest_deploygate.lab.users import Users

BEFORE, CHANGE = "version-1", "version-2"
ITEM = "crit.p50"
#: What is wrong with version 2: every request takes this much longer.
_DELAY_S = 0.4
#: The story's load, whatever the inventory's is: it shares the machine with its users, two versions and a restore.
_LIGHTER = {"peak_per_second": "60", "duration": "6s"}
_BOUND_S = 300.0
_GO, _HOLD_FAILED, _ROLLBACK, _BACK = 0, 1, 22, 23
_NOT_KNOWN, _MEASURED_AGAIN = 21, 4


def tell(
    folder: Path, root: Path, inventory: str, out: Path, drills: Callable[[Lab], None], *, keep: bool,
    interrupt: bool = False,
) -> None:  # fmt: skip
    """Run the story on the lab in `folder`, which is started if necessary; `out` is emptied first. Raises LabError.

    `drills` runs on a lab that was started here: without their records replication cannot be verified.
    With `interrupt` the rollback is killed (SIGKILL) three times and continued each time by the same command.
    """
    with _empty(out):
        _tell(folder, root, inventory, out, drills, keep=keep, interrupt=interrupt)


@contextlib.contextmanager
def _empty(out: Path) -> Iterator[None]:
    """Empty the story's folder and hold it: another story would take away what this one records. Raises LabError."""
    with contextlib.ExitStack() as closing:
        try:
            out.mkdir(parents=True, exist_ok=True)
            held = os.open(out, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            closing.callback(os.close, held)
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for path in out.iterdir():
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        except BlockingIOError:
            raise LabError(f"another story is being told in {out}: wait for its end") from None
        except OSError as error:
            raise LabError(f"the story's folder {out} cannot be emptied: {error.strerror}") from None
        yield


def _tell(
    folder: Path, root: Path, inventory: str, out: Path, drills: Callable[[Lab], None], *, keep: bool, interrupt: bool
) -> None:  # fmt: skip
    inventory = lighter_inventory(root, inventory, out)
    telling = Telling(project(out), inventory, out, lab=folder)
    telling.console.print(
        f"A rollback on real servers. Commands and their output: {out / 'story.log'}",
        style="bold",
        soft_wrap=True,
    )
    lab = _lab(telling, folder, drills)
    try:
        with Users(lab) as busy:
            _go_live(telling, lab, busy)
            roll_back(telling, lab, busy, interrupt=interrupt)
    finally:
        if not keep:
            with telling.waiting("the lab to be as it was"):
                releases.forget(lab)
    if not keep:
        telling.say("the lab is as it was before the story")
    telling.say("for the change ticket:", "bold")
    telling.console.print(f"       {out / CHANGE / 'signoff.html'}", soft_wrap=True, markup=False)


def project(out: Path) -> Path:
    """Make the story's folder a project of its own: tests and records that are around it are not the story's."""
    (out / "pytest.ini").write_text("[pytest]\n")
    return out


def lighter_inventory(root: Path, name: str, out: Path) -> str:
    """Write the inventory with a lighter load into the story's folder; return its path. Raises LabError."""
    try:
        file = loader.locate(name, root)
        text = file.read_text()
    except (loader.InventoryError, OSError) as error:
        raise LabError(str(error)) from None
    for key, lighter in _LIGHTER.items():
        text, found = re.subn(
            rf"^(load:\n(?:  .*\n)*?  {key}: *)\S+", rf"\g<1>{lighter}", text, count=1, flags=re.MULTILINE
        )
        if not found:
            raise LabError(f"{file} has no line `  {key}:` below `load:`, which the story makes lighter")
    text = text.replace("snapshot: lab.tables.json", f"snapshot: {file.resolve().parent / 'lab.tables.json'}")
    (out / "lab.yml").write_text(text)
    return str(out / "lab.yml")


def _lab(telling: Telling, folder: Path, drills: Callable[[Lab], None]) -> Lab:
    if not (folder / "state.json").exists():
        telling.say("the lab is not running: starting it (half a minute)")
    with telling.waiting("the lab's servers and drills") as wait:

        def started(what: str, _seconds: float) -> None:
            wait.what = f"the lab: the last to be ready was {what}"

        lab, _ = up.up(folder, started, drills)
    if lab.faults():
        raise LabError(f"the lab has the fault {', '.join(lab.faults())}: `deploygate lab heal` first")
    if releases.cutover_file(lab).exists():
        telling.say("an earlier story is still in the lab: removing it")
        with telling.waiting("the lab to be as it was"):
            releases.forget(lab)
    return lab


def _go_live(telling: Telling, lab: Lab, busy: Users) -> None:
    """Measure a baseline with version 1, deploy version 2, let it break, and let the gate decide on ROLLBACK."""
    with telling.waiting(f"version {OLD_VERSION} to serve users"):
        releases.start_before(lab)
    telling.say(f"version {OLD_VERSION} serves users at {front.OLD_HOST}; the gate measures the baseline")
    telling.detail(
        f"{telling.gate(BEFORE, ITEM, _GO)[0]}: {ITEM} (median response time) is green before the change"
    )
    with telling.waiting(f"version {NEW_VERSION} to serve users"):
        releases.deploy_new(lab, CHANGE)
    telling.say(
        f"version {NEW_VERSION} is deployed: restore point {releases.point(CHANGE)}, migration, HAProxy, DNS to {HOST}"
    )
    disturbance.write(lab, {name: {"delay_s": _DELAY_S} for name in NEW_REPLICAS})
    telling.say(f"users write to it; a fault appears: every request takes {_DELAY_S * 1000:.0f} ms longer")
    telling.say("the gate measures")
    _decided(telling, telling.gate(CHANGE, ITEM, _HOLD_FAILED))
    telling.say("an incident is open, 15 minutes to decide; what is red is measured again")
    _decided(telling, telling.gate(CHANGE, ITEM, _ROLLBACK))
    telling.detail(f"users wrote {busy.accepted.get(HOST, 0)} readings to version 2 so far")
    reason = "users wait too long for everything, and the gate advises it"
    words = ["decide", "rollback", "--role=deployment-lead", "--name=the lab's deployment lead"]
    words.append(f"--reason={reason}")
    telling.run(["pytest_deploygate", *words, *of_change(telling)], _ROLLBACK)
    telling.say("the deployment lead decides: ROLLBACK; the executive sponsor accepts the loss")


def of_change(telling: Telling) -> list[str]:
    """Return the options that name the story's change and its folder."""
    return [f"--change={CHANGE}", f"--out={telling.out / CHANGE}"]


def _decided(telling: Telling, said: Sequence[str]) -> None:
    telling.say(said[0], "bold red" if said[0] == "ROLLBACK" else "bold yellow")
    for reason in said[1:]:
        telling.detail(reason)


def roll_back(telling: Telling, lab: Lab, busy: Users, *, interrupt: bool) -> None:
    """Execute the runbook, check where users are afterwards, and write the follow-up."""
    began = time.monotonic()
    words = [
        "rollback",
        "execute",
        "--confirm=lab",
        f"--inventory={telling.inventory}",
        *of_change(telling),
    ]
    words += ["--accept-loss", "--role=executive-sponsor", "--name=the lab's executive sponsor"]
    telling.follow(["pytest_deploygate", *words], _BACK, _kills(lab) if interrupt else [])
    took = time.monotonic() - began
    address = users.where(lab)
    version = users.version(lab, address)
    if version != OLD_VERSION:
        raise LabError(f"users reach {version} at {address}, expected version {OLD_VERSION}")
    before = busy.accepted.get(front.OLD_HOST, 0)
    what = "a reading of a user at the old address"
    with telling.waiting(what):
        sql.wait_until(what, lambda: busy.accepted[front.OLD_HOST] > before, 20.0)
    said = f"ROLLED BACK and verified in {took:.0f} s: users write to version {version} at {address} again"
    telling.say(said, "bold green")
    telling.detail(
        f"{busy.accepted.get(HOST, 0)} readings of version 2 were rolled back and saved, {busy.refused} were refused"
    )
    retry = f"--retry={datetime.now(UTC) + timedelta(days=7):%Y-%m-%dT20:00Z}"
    after = ["rollback", "after", retry, f"--inventory={telling.inventory}", *of_change(telling)]
    telling.run(["pytest_deploygate", *after], _GO)


def _kills(lab: Lab) -> list[Kill]:
    """Return where the rollback is killed: between two steps, during the restore, and during a command of a step."""
    beside = lab.data(PRIMARY).with_name(f"{PRIMARY}.restoring") / "data" / "PG_VERSION"
    return [
        Kill("new side fenced: done", "between two steps"),
        Kill("database back: begun", "in the middle of the restore", beside.exists),
        Kill("replicas again: begun", "while the replicas are rebuilt"),
    ]
