"""Send the inventory's load now, or write, and judge what came of it."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from pytest_deploygate.checks.blast_radius import section as blast_section
from pytest_deploygate.checks.data_loss.judge import writes as judge_writes
from pytest_deploygate.checks.load import section as load_section
from pytest_deploygate.checks.load.facts import LoadRun
from pytest_deploygate.checks.load.judge import load as judge_load
from pytest_deploygate.checks.load.judge import regression
from pytest_deploygate.checks.load.probe import baselines
from pytest_deploygate.checks.load.probe.engine import Engine
from pytest_deploygate.checks.load.probe.k6 import k6 as k6_run
from pytest_deploygate.checks.load.probe.measure import send
from pytest_deploygate.checks.load.section import Load, allowed
from pytest_deploygate.checks.load.tally import WHOLE
from pytest_deploygate.cli.shared import load_parts, options, stops, writing
from pytest_deploygate.cli.shared.inventories import read
from pytest_deploygate.cli.shared.refusals import Refused
from pytest_deploygate.cli.show import writes as show_writes
from pytest_deploygate.cli.show.load import Live, text
from pytest_deploygate.clients import stopping
from pytest_deploygate.clients.budget import Budget, Ended
from pytest_deploygate.clients.ledger import Ledger
from pytest_deploygate.files import write_whole
from pytest_deploygate.model import CannotTell, Judgement, Verdict, parse_duration, worst
from pytest_deploygate.problems import nearest
from pytest_deploygate.redaction import redact_values
from pytest_deploygate.session.gate import plain

_EXITS = {Verdict.PASS: 0, Verdict.FAIL: 1}
_NOT_KNOWN = 21
#: The item whose budget a load draws on.
_ITEM = "crit.p50"
Judged = tuple[str, str, Judgement]


@click.command()
@options.inventory
@click.option("--rate", type=float, metavar="N", help="Requests per second. Default: the inventory's.")
@click.option("--duration", metavar="DURATION", help="How long, e.g. 30s. Default: the inventory's.")
@click.option(
    "--endpoint", "endpoints", multiple=True, metavar="NAME", help="Only this endpoint; repeatable."
)
@click.option("--cold", is_flag=True, help="Open a new connection for every request.")
@click.option(
    "--baseline",
    type=click.Path(path_type=Path),
    metavar="FILE|DIR",
    help="Compare with this saved run, or with the run in the folder of an earlier change.",
)
@click.option(
    "--save",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Save the run, as a baseline for later.",
)
@click.option(
    "--part", metavar="I/N", help="Send only every N-th request: others send the rest, at the same time."
)
@click.option(
    "--merge",
    "parts",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Send nothing: judge the saved parts of one load; repeatable.",
)
@click.option(
    "--k6",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Send nothing: judge what k6 measured, from its --out json=FILE.",
)
@click.option("--writes", is_flag=True, help="Write to the database in place of requests.")
@click.option("--writers", type=click.IntRange(1, 256), metavar="N", help="Connections that write.")
@click.option(
    "--account",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="With --writes: account for the ledger of a load that was killed or stopped.",
)
@options.change
@options.out
@options.as_json
def load(
    inventory: str,
    rate: float | None,
    duration: str | None,
    endpoints: tuple[str, ...],
    cold: bool,
    baseline: Path | None,
    save: Path | None,
    part: str | None,
    parts: tuple[Path, ...],
    k6: Path | None,
    writes: bool,
    writers: int | None,
    account: Path | None,
    change: str,
    out: Path | None,
    as_json: bool,
) -> None:
    """Send load at a fixed rate and judge p50 and p99 from counts of requests.

    Requests are sent by the clock (open loop) and timed from when they were due, so a stall counts in full. Nothing
    is sent unless the inventory says `load: {allow: ITS-NAME}`. Ctrl-C stops at once and shows the results so far.
    It draws on the budget of crit.p50. The stop file of --change, `deploygate stop` and the signal USR1 end it within
    a second. Exit 0: pass. 1: fail. 21: inconclusive or stopped. 4: refused.

    Where one machine is not enough, several send a part each, and the saved parts are judged as one load. A part alone is
    judged too; its limits are those of the whole.

    With --writes it inserts rows, up to `data_loss.max_per_second`, through the pooler, keeps account of each answer in
    a ledger in the change's folder, and then looks for every acknowledged row on each node. It needs
    `database: {data_loss: {allow: ITS-NAME}}`. A ledger is whole after `kill -9`: --account compares it later.

    \b
    deploygate load --inventory staging
    deploygate load --inventory staging --rate 500 --duration 60s --save before.json
    deploygate load --inventory staging --baseline before.json
    deploygate load --inventory staging --baseline deploygate-out/CHG-1200 --json
    deploygate load --inventory staging --part 1/2 --save part-1.json
    deploygate load --inventory staging --merge part-1.json --merge part-2.json
    deploygate load --inventory staging --k6 result.json --rate 500 --duration 60s
    deploygate load --inventory staging --writes --duration 1h --rate 5000 --writers 16
    deploygate load --inventory staging --writes --account deploygate-out/local/writes-20261130T010000Z.ledger
    """
    if writes or account is not None:
        others: dict[str, object] = {"--endpoint": endpoints, "--cold": cold, "--baseline": baseline}
        others |= {"--save": save, "--part": part, "--merge": parts, "--k6": k6}
        if wrong := [name for name, value in others.items() if value]:
            raise Refused(f"{wrong[0]} is about requests and does not go with --writes")
        at = writing.target(inventory)
        raise SystemExit(_write(at, (duration, writers, rate), account, (change, out), as_json=as_json))
    if writers is not None:
        raise Refused("--writers goes with --writes only")
    name, plan, budget = _plan(inventory, rate, duration, endpoints, cold=cold, baseline=baseline)
    if sum(map(bool, (part, parts, k6))) > 1:
        raise Refused(
            "--part sends a part, --merge judges parts, and --k6 judges what k6 sent: give one of them"
        )
    try:
        with stops.obeyed(change, out), stopping.ending():
            run = (
                load_parts.merge(parts)
                if parts
                else k6_run(k6, plan)
                if k6
                else _run(plan, name, budget, load_parts.of(part), live=not as_json)
            )
    except CannotTell as unknown:
        raise click.ClickException(str(unknown)) from None
    except Ended as ended:
        click.echo(f"Error: {ended}", err=True)
        raise SystemExit(_NOT_KNOWN) from None
    judged = list(_judged(run, plan))
    if save is not None:
        _save(run, save)
    if as_json:
        click.echo(json.dumps(_as_json(run, judged), indent=2))
    else:
        click.echo(text(run, judged))
    verdict = worst(judgement.verdict for _, _, judgement in judged)
    raise SystemExit(_EXITS.get(verdict, _NOT_KNOWN))


def _write(
    at: writing.Target,
    plan: tuple[str | None, int | None, float | None],
    account: Path | None,
    folder: tuple[str, Path | None],
    *,
    as_json: bool,
) -> int:
    """Write and account, or only account; print it, and write it beside the ledger. Return the exit code."""
    duration, writers, rate = plan
    file = account or writing.ledger_of(*folder)
    try:
        with contextlib.closing(at.cluster), stops.obeyed(*folder), stopping.ending():
            if account is not None:
                found = writing.account(at, account)
            else:
                wanted = writing.planned(at, _duration(duration) if duration else None, writers, rate)
                found = writing.write(at, wanted, file)
            left = writing.left_behind(at)
    except CannotTell as unknown:
        raise click.ClickException(str(unknown)) from None
    except Ended as ended:
        click.echo(f"Error: {ended}", err=True)
        return _NOT_KNOWN
    judged = judge_writes.judge_nodes(found, at.criterion)
    whole = json.dumps(show_writes.as_json(found, judged, file, left), indent=2)
    try:
        write_whole(file.with_suffix(".json"), whole + "\n")
    except OSError as error:
        raise click.ClickException(
            f"{file.with_suffix('.json')} cannot be written: {error.strerror}"
        ) from None
    click.echo(whole if as_json else show_writes.text(found, judged, file, left))
    return _EXITS.get(judged.verdict, _NOT_KNOWN)


def _plan(
    inventory: str,
    rate: float | None,
    duration: str | None,
    endpoints: tuple[str, ...],
    *,
    cold: bool,
    baseline: Path | None,
) -> tuple[str, Load, Budget]:
    """Return the inventory's name, its load as changed by the command line, and its budget. Raises Refused (exit 4)."""
    loaded = read(inventory)
    found, name = loaded.inventory.of(load_section.Keys).load, loaded.inventory.name
    if found is None or found.target is None:
        raise Refused(
            f"{loaded.file} has no `load` with a `target`; add load: {{allow: {name}, target: …, endpoints: …}}"
        )
    if refused := allowed(found, name):
        raise Refused(refused)
    changes: dict[str, Any] = {}
    if rate is not None or duration is not None:
        changes |= {"profile": None, "rate_per_second": rate or found.greatest_rate}
        changes["duration"] = _duration(duration) if duration else found.duration
    if endpoints:
        labels = [e.label for e in found.endpoints]
        if unknown := [e for e in endpoints if e not in labels]:
            raise Refused(f"the inventory has no endpoint {unknown[0]!r}{nearest(unknown[0], labels)}")
        changes["endpoints"] = [e for e in found.endpoints if e.label in endpoints]
    if cold:
        changes["connections"] = "cold"
    if baseline is not None:
        changes["baseline"] = baseline
    # The inventory sets the cap; if it names none, its own plan is the cap.
    cap = found.max_per_second or found.greatest_rate
    try:
        given = {key: getattr(found, key) for key in type(found).model_fields}
        plan = Load.model_validate(given | {"max_per_second": cap} | changes)
    except ValidationError as error:
        said = "; ".join(detail["msg"].removeprefix("Value error, ") for detail in error.errors())
        raise Refused(f"this load is refused: {said}; the inventory's `max_per_second` is the cap") from None
    blast = loaded.inventory.of(blast_section.Keys).blast_radius or blast_section.BlastRadius()
    return name, plan, Budget(_ITEM, Ledger(together=blast.whole), blast.limits(_ITEM), blast.bounds)


def _duration(given: str) -> timedelta:
    try:
        return parse_duration(given)
    except ValueError as error:
        raise Refused(f"--duration: {error}") from None


def _run(plan: Load, name: str, budget: Budget, part: tuple[int, int] | None, *, live: bool) -> LoadRun:
    picture = Live(plan) if live and sys.stderr.isatty() else None
    started: list[Engine] = []

    def watch(engine: Engine) -> None:
        started.append(engine)
        if picture is not None:
            picture.start(engine)

    with _stopping(started):
        try:
            return send(plan, name, look=judge_load.look(plan), watch=watch, budget=budget, part=part)
        finally:
            if picture is not None:
                picture.close()


@contextmanager
def _stopping(engines: list[Engine]) -> Iterator[None]:
    """Let Ctrl-C end the load at once and keep the results so far; a second Ctrl-C ends the command."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def stop(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGINT, before)
        if not engines:
            raise KeyboardInterrupt
        engines[0].abandon()

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _judged(run: LoadRun, plan: Load) -> Iterator[Judged]:
    for criterion in judge_load.latency_criteria(run, plan):
        yield (
            criterion.endpoint,
            criterion.name,
            judge_load.judge_latency(run.only(criterion.endpoint), criterion),
        )
    if plan.baseline is not None:
        pair = regression.Pair(run.only(WHOLE), baselines.baseline(plan.baseline, WHOLE))
        for against in regression.regression_criteria(plan):
            yield "baseline", against.name, regression.judge_regression(pair, against)


def _save(run: LoadRun, file: Path) -> None:
    try:
        write_whole(file, json.dumps({"measurement": redact_values(plain(run))}, indent=1) + "\n")
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror}") from None


def _as_json(run: LoadRun, judged: list[Judged]) -> dict[str, Any]:
    """Return stable keys: verdict, criteria, and the run as evidence has it."""
    found: dict[str, Any] = {
        "verdict": worst(judgement.verdict for _, _, judgement in judged).value,
        "criteria": [
            {
                "endpoint": e,
                "criterion": q,
                "verdict": j.verdict.value,
                "reason": j.reason,
                "notes": list(j.notes),
            }
            for e, q, j in judged
        ],
        "run": plain(run),
    }
    masked: dict[str, Any] = redact_values(found)
    return masked
