"""Watch for a day whether the platform is up, and keep a record.

The check of `crit.uptime` reads the record.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from pytest_deploygate.checks.uptime import judge as availability
from pytest_deploygate.checks.uptime import section as uptime_section
from pytest_deploygate.checks.uptime.probe import record
from pytest_deploygate.checks.uptime.probe import uptime as probe
from pytest_deploygate.checks.uptime.probe.record import RecordError, Writer
from pytest_deploygate.checks.uptime.probe.watcher import Ask, Clock, Plan, Watcher
from pytest_deploygate.checks.uptime.section import Uptime, WatchTarget
from pytest_deploygate.cli.shared import options, stops
from pytest_deploygate.cli.shared.inventories import read
from pytest_deploygate.cli.shared.refusals import Refused
from pytest_deploygate.cli.show.watch import Lines, Picture, clock, show_status
from pytest_deploygate.clients import stopping
from pytest_deploygate.inventory.loader import Loaded
from pytest_deploygate.model import CannotTell, Judgement, Verdict, parse_duration, words_for

_PATIENCE_S = 15.0
_LOOKS_EVERY_S = 0.1


def _span(_context: click.Context, _option: click.Parameter, text: str | None) -> timedelta | None:
    """Read a duration such as 24h or 5s."""
    if text is None:
        return None
    try:
        span = parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if span <= timedelta(0):
        raise click.BadParameter(f"{text}: give a duration longer than zero")
    return span


@click.command()
@options.inventory
@click.option(
    "--for",
    "span",
    metavar="DURATION",
    callback=_span,
    help="How long to watch, from t0. Default: the inventory's window (24h).",
)
@click.option(
    "--every",
    metavar="DURATION",
    callback=_span,
    help="How often each target is asked. Default: the inventory's interval (5s).",
)
@click.option("--t0", metavar="now|TIME", help="When the window begins, if the inventory does not say.")
@click.option("--vantage", metavar="NAME", help="The name of this vantage point. Default: the host's name.")
@click.option(
    "--record",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The record. Default: the inventory's, or one for this vantage point.",
)
@click.option("--detach", is_flag=True, help="Continue in the background.")
@click.option("--status", is_flag=True, help="Show the result so far and whether a watch is running.")
@click.option("--stop", is_flag=True, help="Stop the watch that writes the record on this host.")
@options.change
@options.out
@click.option("--json", "as_json", is_flag=True, help="With --status: print JSON.")
def watch(
    inventory: str,
    span: timedelta | None,
    every: timedelta | None,
    t0: str | None,
    vantage: str | None,
    file: Path | None,
    detach: bool,
    status: bool,
    stop: bool,
    change: str,
    out: Path | None,
    as_json: bool,
) -> None:
    """Ask the targets of the inventory's `uptime` section at a fixed interval, and record every answer.

    The record survives a kill and a reboot: the same command continues it, and the time between counts as unknown.
    The stop file of --change, `deploygate stop` and the signal USR1 end it within a second.
    To watch from other places too, run the command there with another --vantage and copy its record beside this one.

    Exit 1: with --status, no watch was started and there is no record; with --stop, no watch runs.

    \b
    deploygate watch --inventory prod --t0 now --detach
    deploygate watch --inventory prod --for 24h --every 5s
    deploygate watch --inventory prod --status
    deploygate watch --inventory prod --stop
    """
    loaded = read(inventory)
    uptime = loaded.inventory.of(uptime_section.Keys).uptime
    if uptime is None:
        raise Refused(
            f"{loaded.file} has no `uptime` section; add `uptime: {{targets: [{{name: front, url: https://…/healthz}}]}}`"
        )
    place = _place(vantage)
    target_file = file or _file(loaded, uptime, place)
    if status:
        # The status is that of the record that was named, not of the inventory's records.
        about = uptime.model_copy(update={"records": [file]}) if file else uptime
        _status(loaded, about, target_file, as_json)
    elif stop:
        _stop(target_file)
    elif detach:
        _detach(target_file)
    else:
        with stops.obeyed(change, out):
            _watch(loaded, uptime, span, every, t0, place, target_file)


def _file(loaded: Loaded, uptime: Uptime, place: str) -> Path:
    """Return the record that the inventory names, if it names exactly one; else one for this vantage point."""
    named = uptime.records[0]
    if len(uptime.records) == 1 and not any(sign in str(named) for sign in "*?["):
        return named
    return loaded.file.parent / "watch" / f"{loaded.inventory.name}.{place}.watch"


def _place(vantage: str | None) -> str:
    name = vantage or socket.gethostname() or "here"
    if not all(c.isalnum() or c in "._-" for c in name):
        raise click.UsageError(f"--vantage {name!r}: use letters, digits, dots, dashes and underscores")
    return name


def _watch(
    loaded: Loaded,
    uptime: Uptime,
    span: timedelta | None,
    every: timedelta | None,
    t0: str | None,
    place: str,
    file: Path,
) -> None:
    # Imported here, before the clock is read: aiohttp is slow to import, and --status and --stop do not need it.
    from pytest_deploygate.checks.uptime.probe.ask import Answer, ask  # noqa: PLC0415

    targets = [target for target in uptime.targets if not target.prometheus]
    if not targets:
        raise Refused(f"{loaded.file}: Prometheus already watches all targets of `uptime`")
    every_s, window = (every or uptime.every).total_seconds(), span or uptime.window
    _warn(uptime, every_s, window)
    header = {
        "inventory": loaded.inventory.name,
        "vantage": place,
        "t0": _t0(t0, uptime, file),
        "targets": {target.name: target.what for target in targets},
    }
    if said := stopping.stopped():
        raise Refused(f"no watch begins: {said}")
    try:
        with Writer(file, header) as writer:
            plan = Plan(targets, every_s, writer.t0 + window.total_seconds())
            timeout_s = min(uptime.timeout_s, every_s)

            async def question(target: WatchTarget) -> Answer:
                return await ask(target, timeout_s, uptime.control)

            complete = _run(plan, writer, uptime, question)
    except RecordError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror}") from None
    click.echo(
        f"the watch is over: {file}"
        if complete
        else f"the watch was stopped; the same command continues it: {file}"
    )


def _warn(uptime: Uptime, every_s: float, window: timedelta) -> None:
    if uptime.too_long(every_s, uptime.budget_s):
        click.echo(
            f"asking every {every_s:g} s can never pass: a single failed answer may stand for {2 * every_s:g} s of"
            f" downtime, and the budget is {uptime.budget_s:g} s",
            err=True,
        )
    if window < uptime.window:
        click.echo(
            f"--for {words_for(window)} ends before the window of {words_for(uptime.window)}: the rest will be unknown",
            err=True,
        )


def _t0(given: str | None, uptime: Uptime, file: Path) -> float:
    """Return when the window begins: as the inventory says, else as the record to continue says, else as given."""
    if uptime.t0 is not None:
        if given:
            raise click.UsageError("the inventory says when the window begins (`uptime.t0`): omit --t0")
        return uptime.t0.timestamp()
    if file.exists() and file.stat().st_size:
        try:
            return record.read(file).t0
        except RecordError as error:
            if b"\n" in file.read_bytes():
                raise click.ClickException(str(error)) from None
    if given is None:
        raise Refused(
            "it is not known when the window begins: write `uptime: {t0: 2026-12-01T02:30:00-05:00}` into the inventory,"
            " or start the watch with `--t0 now` once the announced interruption is over"
        )
    return round(time.time(), 3) if given == "now" else _moment(given)


def _moment(text: str) -> float:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(f"--t0 {text}: write `now` or for example 2026-12-01T02:30:00-05:00") from None
    if found.tzinfo is None:
        raise click.UsageError(f"--t0 {text} has no time zone; write for example {text}+00:00")
    return found.timestamp()


def _run(plan: Plan, writer: Writer, uptime: Uptime, question: Ask) -> bool:
    title = f"watching every {plan.every_s:g} s into {writer.file}"
    picture = (
        Picture(uptime, [target.name for target in plan.targets], title, writer.t0, plan.until)
        if sys.stdout.isatty()
        else None
    )
    if picture is None:
        click.echo(f"{title} until {clock(plan.until)} UTC")

    async def main() -> bool:
        watcher = Watcher(plan, writer, question, picture or Lines(), Clock())
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, watcher.stopped.set)
        looking = loop.create_task(_look_for_a_stop(watcher.stopped))
        try:
            return await watcher.run()
        finally:
            looking.cancel()

    with picture or nullcontext():
        return asyncio.run(main())


async def _look_for_a_stop(stopped: asyncio.Event) -> None:
    """Stop a watch when the change's stop file is there; the signal USR1 makes it."""
    while not stopping.stopped():  # noqa: ASYNC110 (a file has no event)
        await asyncio.sleep(_LOOKS_EVERY_S)
    click.echo(stopping.stopped(), err=True)
    stopped.set()


def _detach(file: Path) -> None:
    """Start the same command without --detach in a session of its own, and wait until it has begun to watch."""
    words = [word for word in sys.argv[1:] if word != "--detach"]
    log = file.with_suffix(".log")
    before = _runs(file)
    if pid := record.running(file):
        raise click.ClickException(
            f"{file} is being watched by process {pid}; `deploygate watch --stop` ends it"
        )
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        began = output.tell()
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest_deploygate", *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    deadline = time.monotonic() + _PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        if _runs(file) > before:
            process.returncode = 0  # it outlives us on purpose; subprocess would warn that it still runs
            click.echo(f"watching in the background as process {process.pid}: {file}")
            click.echo(
                f"its output: {log}; `deploygate watch --status` shows the result so far, `--stop` ends it"
            )
            return
        time.sleep(0.05)
    said = log.read_bytes()[began:].decode(errors="replace").strip()
    if process.poll() is None:
        process.terminate()
    raise click.ClickException(
        f"the watch did not start: {said or 'it printed nothing'}".replace("Error: ", "")
    )


def _runs(file: Path) -> int:
    try:
        return len(record.read(file).runs)
    except RecordError:
        return 0


def _stop(file: Path) -> None:
    pid = record.running(file)
    if pid is None:
        raise click.ClickException(f"no watch writes {file} on this host")
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _PATIENCE_S
    while record.running(file) is not None:
        if time.monotonic() > deadline:
            raise click.ClickException(f"process {pid} does not end; find out why before you kill it")
        time.sleep(0.05)
    click.echo(f"the watch has ended; the same command continues {file}")


def _status(loaded: Loaded, uptime: Uptime, file: Path, as_json: bool) -> None:
    judged = [(target.name, _judged(uptime, target, loaded.inventory.name)) for target in uptime.targets]
    pid = record.running(file)
    watched_elsewhere = any(target.prometheus for target in uptime.targets)
    if not as_json and pid is None and not (file.exists() or uptime.files or watched_elsewhere):
        raise click.ClickException(
            f"no watch was started for {loaded.inventory.name} here: there is no record {file}; start it at t0 with "
            f"`deploygate watch --inventory {loaded.inventory.name} --detach`, or copy the records of other hosts there"
        )
    if as_json:
        click.echo(json.dumps(_as_json(judged, file, pid), indent=1))
        return
    console = Console(highlight=False)
    running = f"watched by process {pid}" if pid else "no watch runs on it here"
    console.print(f"{file}: {running}", soft_wrap=True)
    show_status(console, judged)


def _judged(uptime: Uptime, target: WatchTarget, inventory: str) -> Judgement:
    try:
        return availability.judge(probe.measure(uptime, target, inventory), uptime)
    except CannotTell as unknown:
        return Judgement(Verdict.INCONCLUSIVE, f"{target.name}: {unknown}")


def _as_json(judged: list[tuple[str, Judgement]], file: Path, pid: int | None) -> dict[str, Any]:
    targets = [
        {
            "name": name,
            "verdict": judgement.verdict.value,
            "reason": judgement.reason,
            "readings": {reading.name: reading.value for reading in judgement.readings},
            "notes": list(judgement.notes),
        }
        for name, judgement in judged
    ]
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return {"record": str(file), "running": pid is not None, "pid": pid, "at": at, "targets": targets}
