"""`lab up` and `lab down`."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pytest_deploygate.fields.sources.lab import STATE_FILE
from pytest_deploygate.lab import (
    backups,
    client,
    cluster,
    jobs,
    leftovers,
    nodes,
    processes,
    programs,
    schedule,
    seed,
    services,
    sql,
    values,
)
from pytest_deploygate.lab.state import LOGINS, NODES, PRIMARY, Lab, LabError, held_for_children, load, locked

#: Called with what was done and how long it took in seconds.
Say = Callable[[str, float], None]
_LONGEST_SOCKET = 107
_LONGEST_RECREATION = 3
#: A line that says what was started fits into 80 columns.
_LONGEST_STEP = 68


def up(
    folder: Path, say: Say, hook: Callable[[Lab], None] = lambda _: None, profiles: Sequence[str] = ()
) -> tuple[Lab, bool]:
    """Start the lab in `folder` with the services of `profiles`; return it, and whether it had to be started.

    `hook` is called with the lab once it is ready, while its folder is still held; commands that it starts work on
    the lab all the same. Raises LabError, also for a lab that runs without one of the profiles; what was started is
    ended then.
    """
    found = programs.find()
    for _ in range(_LONGEST_RECREATION):
        _own_folder(folder)
        with locked(folder):
            if client.running(folder) and _is_up(folder):
                return _with(load(folder), profiles), False
            clear(folder)
        # Clearing removed the folder that was locked: lock the new one.
        _own_folder(folder)
        with locked(folder):
            if any(folder.iterdir()):
                continue
            lab = _build(folder, found, say, hook, profiles)
        return lab, True
    raise LabError(f"several commands are starting and stopping the lab in {folder} at once")


def down(folder: Path) -> bool:
    """End the lab and remove its folder; return whether there was one. Works for a lab that lost its folder."""
    there = folder.exists()
    if there:
        _check_owner(folder)
        with locked(folder):
            return clear(folder) or there
    return bool(leftovers.end_all(folder))


def clear(folder: Path) -> bool:
    """End every process of the lab in `folder` and remove the folder; return whether any ran."""
    try:
        client.ask(folder, {"do": "end"}, timeout_s=3.0)
        deadline = time.monotonic() + 8.0
        while any(p.supervisor for p in leftovers.belonging_to(folder)) and time.monotonic() < deadline:
            time.sleep(0.03)
        ended = True
    except LabError:
        ended = False
    ended = bool(leftovers.end_all(folder)) or ended
    shutil.rmtree(folder)
    return ended


def _with(lab: Lab, profiles: Sequence[str]) -> Lab:
    """Return a lab that runs. Raises LabError where it lacks one of the profiles."""
    if lacking := [name for name in profiles if name not in lab.profiles]:
        wanted = ",".join(dict.fromkeys([*lab.profiles, *profiles]))
        raise LabError(
            f"the lab runs without the profile {lacking[0]}, and profiles are chosen when it starts:"
            f" `deploygate lab down`, then `deploygate lab up --with {wanted}`"
        )
    return lab


def _is_up(folder: Path) -> bool:
    try:
        load(folder)
    except LabError:
        return False
    return True


def _build(
    folder: Path,
    found: programs.Programs,
    say: Say,
    hook: Callable[[Lab], None],
    profiles: Sequence[str],
) -> Lab:
    user = programs.servers_user()
    held, block = _reserved_block()
    with held:
        supervisor = _supervise(folder, held)
    try:
        with _step(say, f"PostgreSQL {found.version} from {found.servers}"):
            lab = _furnish(folder, found, user, profiles, block)
        beside = services.running(lab)
        begun: dict[str, Future[float]] = {}
        drilled = [service for service in beside if not service.late]
        late = [service for service in beside if service.late]
        _begin(lab, [service for service in drilled if service.alone], begun)
        with _step(say, "database: roles, extensions"):
            _first_start(lab)
        with _step(say, "schema: Alembic migrations"):
            seed.migrate(lab)
        with _step(say, "data: machines, sensors, readings by day, hourly aggregate"):
            seed.fill(lab)
        # The backup spends most of its time waiting for the server and the archive.
        _begin(lab, [service for service in late if service.alone], begun)
        with _step(say, f"backup: {'pgBackRest' if lab.pgbackrest else 'pg_basebackup'}"):
            lab = _first_backup(lab)
        with _step(say, "replicas: db2 and db3 stream from db1"):
            nodes.stop(lab, PRIMARY)
            cluster.keep_seed(lab)
            cluster.lay_out(lab)
            jobs.run(lab, "apply-retention")
            seed.work(lab)
        _begin(lab, [service for service in drilled if not service.alone], begun)
        _await(drilled, begun, say)
        lab.ready(supervisor.pid, values.of(lab, drilled))
        _begin(lab, [service for service in late if not service.alone], begun)
        with held_for_children(folder):
            hook(lab)
        _await(late, begun, say)
        lab.ready(supervisor.pid, values.of(lab, beside))
        for service in beside:
            service.once_up(lab)
        _release(supervisor)
    except BaseException:
        (folder / STATE_FILE).unlink(missing_ok=True)
        supervisor.kill()
        supervisor.wait()
        leftovers.end_all(folder)
        raise
    return lab


def _begin(lab: Lab, wanted: list[services.Service], begun: dict[str, Future[float]]) -> None:
    """Start services in parallel, each after those that it needs; `begun` gets futures of the seconds it took."""

    def start(service: services.Service) -> float:
        for name in service.after:
            begun[name].result()
        began = time.monotonic()
        service.start(lab)
        return time.monotonic() - began

    pool = ThreadPoolExecutor(max(1, len(wanted)))
    for service in wanted:
        begun[service.name] = pool.submit(start, service)
    pool.shutdown(wait=False)


def _await(wanted: list[services.Service], begun: dict[str, Future[float]], say: Say) -> None:
    for service in wanted:
        servers = "; ".join(dict.fromkeys(service.servers.values()))
        what = ": ".join(filter(None, (service.name, servers)))
        say(textwrap.shorten(what, _LONGEST_STEP, placeholder=" …"), begun[service.name].result())


@contextmanager
def _step(say: Say, what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    say(what, time.monotonic() - began)


def _furnish(
    folder: Path, found: programs.Programs, user: str | None, profiles: Sequence[str], block: range
) -> Lab:
    """Create the folders and passwords, and choose the ports."""
    tools, beside, missing = _beside(profiles)
    names = [*NODES, *(port for service in beside for port in service.ports)]
    servers = programs.reachable(found.servers, user, folder / "servers")
    lab = Lab(
        folder,
        servers,
        found.version,
        user,
        dict(zip(names, _free_ports(block, len(names)), strict=True)),
        found.pgbackrest,
        tools,
        (*found.missing, *missing),
        tuple(profiles),
    )
    for name in ("secrets", "jobs", "upcoming"):
        (folder / name).mkdir(mode=0o711)
    for name in (*LOGINS, *(secret for service in beside for secret in service.secrets)):
        with os.fdopen(os.open(lab.secret_file(name), os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(24))
    lab.private.mkdir(mode=0o700)
    if user is not None:
        shutil.chown(lab.private, user)
    makes = [str(lab.private / name) for name in ("run", *backups.FOLDERS)]
    processes.run(["/bin/mkdir", *makes], user=user)
    entries = "".join(f"*:*:*:{r}:{lab.password(r).reveal()}\n" for r in ("replicator", backups.ROLE))
    nodes.put(lab, lab.pgpass, entries)
    lab.save()
    return lab


def _beside(profiles: Sequence[str]) -> tuple[dict[str, str], list[services.Service], list[str]]:
    """Return the programs of the services, those services that can run, and a line for each that cannot."""
    tools: dict[str, str] = {}
    can: list[services.Service] = []
    missing = []
    everything = {service.name: service for service in services.all_services()}
    for service in everything.values():
        if not service.asked_for(profiles):
            continue
        found = {name: service.find(name) for name in service.programs}
        lacking = [name for name, path in found.items() if path is None]
        absent = [everything[name] for name in service.after if everything[name] not in can]
        if lacking or absent:
            what = next(iter(service.servers.values()), service.name).partition(",")[0]
            why = programs.why_not() if lacking else _absent(absent[0], profiles)
            missing.append(f"no {what} ({why}): {service.missing}")
            continue
        tools |= {name: path for name, path in found.items() if path}
        can.append(service)
    return tools, can, missing


def _absent(service: services.Service, profiles: Sequence[str]) -> str:
    """Say why a service that another one needs is not there."""
    if service.asked_for(profiles):
        return f"there is no {service.name}"
    return f"it needs {service.name}: add --with {service.profiles[0]}"


def _first_start(lab: Lab) -> None:
    with ThreadPoolExecutor(1) as pool:
        # Importing SQLAlchemy takes about as long as initialising the server.
        importing = pool.submit(__import__, "alembic.command")
        nodes.initialise(lab)
        importing.exception()
    # Segments wait until there is a repository to archive them to.
    nodes.configure(lab, PRIMARY, primary=True, synchronous=False, archiving=False)
    nodes.start(lab, PRIMARY)
    seed.create_roles(lab)


def _first_backup(lab: Lab) -> Lab:
    """Prepare the repository, with base backups as fallback, and take the first backup as the schedule does."""
    try:
        backups.prepare(lab)
    except LabError as error:
        reason = f"no pgBackRest (it cannot serve PostgreSQL {lab.version}: {error}): base backups replace it"
        lab = replace(lab, pgbackrest=None, missing=(*lab.missing, reason))
        lab.save()
    nodes.configure(lab, PRIMARY, primary=True, synchronous=False)
    nodes.create_slots(lab)
    sql.execute(lab, "SELECT pg_reload_conf()")
    schedule.write(lab)
    if jobs.run(lab, "full-backup"):
        raise LabError(str(json.loads(lab.job_status("full-backup").read_text())["error"]))
    return lab


def _supervise(folder: Path, held: socket.socket) -> subprocess.Popen[bytes]:
    """Start the process that ends the lab's servers, and that holds its block of ports as long as it lives."""
    (folder / "log").mkdir(mode=0o711)
    with (folder / "log" / "supervisor.log").open("ab") as log:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "pytest_deploygate.lab.supervisor", str(folder)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd="/",
            env=processes.environment(),
            start_new_session=True,
            pass_fds=(held.fileno(),),
        )

    def there() -> bool:
        if supervisor.poll() is not None:
            said = (folder / "log" / "supervisor.log").read_text().strip().splitlines()[-1:]
            raise LabError(f"the lab's supervisor ended at once: {' '.join(said)}")
        return client.running(folder)

    try:
        sql.wait_until("start of the supervisor", there, 30.0)
    except LabError:
        supervisor.kill()
        supervisor.wait()
        raise
    return supervisor


def _release(supervisor: subprocess.Popen[bytes]) -> None:
    """Tell the supervisor that the lab is ready: from now on it outlives us."""
    if supervisor.stdin:
        supervisor.stdin.write(b"ready")
        supervisor.stdin.close()
    # It outlives us on purpose; subprocess would warn that it is still running.
    supervisor.returncode = 0


def _own_folder(folder: Path) -> None:
    socket_path = folder / "data" / "run" / ".s.PGSQL.00000.lock"
    if len(os.fsencode(socket_path)) > _LONGEST_SOCKET:
        raise LabError(f"{folder} is too long for unix sockets; set DEPLOYGATE_LAB to a shorter path")
    try:
        folder.mkdir(mode=0o711, parents=True)
        folder.chmod(0o711)
    except FileExistsError:
        _check_owner(folder)
    except OSError as error:
        raise LabError(f"the lab's folder {folder} cannot be created: {error.strerror}") from None


def _check_owner(folder: Path) -> None:
    if folder.is_symlink() or not folder.is_dir() or folder.stat().st_uid != os.geteuid():
        raise LabError(
            f"{folder} does not belong to us; move it away or set DEPLOYGATE_LAB to another folder"
        )
    known = {*_KNOWN, *(name for service in services.all_services() for name in service.leaves)}
    strange = {p.name for p in folder.iterdir()} - known
    if strange and not (folder / "lab.json").exists():
        raise LabError(
            f"{folder} contains other files ({', '.join(sorted(strange)[:3])}); set DEPLOYGATE_LAB to another folder"
        )


#: Names in the lab's folder that belong to the cluster; a service names its own in its module.
_KNOWN = {
    "log",
    "secrets",
    "jobs",
    "data",
    "servers",
    "upcoming",
    "lab.json",
    "state.json",
    "supervisor.sock",
    "crontab",
}


#: A lab takes its ports from a block of this many: more than all profiles use, and some may be taken.
_BLOCK = 200


def _reserved_block() -> tuple[socket.socket, range]:
    """Reserve a block of ports below the range from which outgoing connections take theirs.

    Two labs that start at the same time would otherwise choose the same free port, and the second
    server to start would fail. The first port of the block is bound, never listened on: who holds
    this socket holds the block.
    """
    blocks = list(range(20000, 32000, _BLOCK))
    secrets.SystemRandom().shuffle(blocks)
    for first in blocks:
        held = socket.socket()
        try:
            held.bind(("127.0.0.1", first))
        except OSError:
            held.close()
            continue
        return held, range(first + 1, first + _BLOCK)
    raise LabError("every block of ports between 20000 and 32000 is taken: are there labs that still run?")


def _free_ports(block: range, count: int) -> list[int]:
    """Return ports of the block that no other program has."""
    found: list[int] = []
    for port in block:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise LabError(f"ports {block[0]} to {block[-1]} have only {len(found)} of {count} free")
