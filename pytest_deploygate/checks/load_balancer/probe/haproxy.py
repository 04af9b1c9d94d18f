"""HAProxy: states and last check results by `show stat`, the checks themselves by its configuration."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from pytest_deploygate.checks.load_balancer import facts
from pytest_deploygate.checks.load_balancer.facts import Kind, State
from pytest_deploygate.checks.load_balancer.probe import haproxy_config as configs
from pytest_deploygate.checks.load_balancer.probe.asking import TIMEOUT_S
from pytest_deploygate.checks.load_balancer.section import CsvAt, Haproxy
from pytest_deploygate.clients import haproxy
from pytest_deploygate.clients.host import commands
from pytest_deploygate.clients.http import sending
from pytest_deploygate.model import CannotTell
from pytest_deploygate.problems import nearest

PROGRAM = "HAProxy"
#: What a check's last result tells of its kind (management guide, 9.1, `check_status`). A failed one may have stopped before.
_KINDS = {"L4OK": Kind.TCP, "L6OK": Kind.TLS, "PROCOK": Kind.HTTP}


def read(name: str, settings: Haproxy) -> facts.Control:
    """Return what HAProxy knows of a backend's servers. Raises CannotTell."""
    table = _table(settings)
    rows = [row for row in table if row.get("pxname") == settings.backend]
    if not rows:
        known = sorted({row["pxname"] for row in table if row.get("svname") == "BACKEND"})
        raise CannotTell(f"HAProxy knows no backend {settings.backend!r}{nearest(settings.backend, known)}")
    servers = [row for row in rows if row.get("svname") not in ("FRONTEND", "BACKEND")]
    section, verified, lacking = None, True, []
    if settings.config or settings.config_command:
        text = _configuration(settings)
        section, verified = configs.backend(text, settings.backend), configs.verifies_by_default(text)
        if section is None:
            lacking.append(f"the configuration has no backend {settings.backend!r}")
    else:
        lacking.append("its configuration was not read: add `config`")
    lines = {server.name: server for server in section.servers} if section else {}
    found = []
    for row in servers:
        line = lines.get(row["svname"])
        if section is not None and line is None:
            lacking.append(f"the configuration has no server {row['svname']!r}")
        found.append(_member(row, section, line, verified=verified))
    return facts.Control(
        name, PROGRAM, tuple(found), lacking=tuple(dict.fromkeys(lacking)), group=settings.backend
    )


def _table(settings: Haproxy) -> list[dict[str, str]]:
    where = settings.socket or (settings.statistics.url if settings.statistics else "")
    try:
        text = (
            _page(settings.statistics)
            if settings.statistics
            else haproxy.ask(settings.socket or "", "show stat")
        )
    except OSError as error:
        why = sending.why(error) if settings.statistics else error.strerror or str(error)
        raise CannotTell(
            f"HAProxy at {where} cannot be asked: {why}; see whether it runs and the gate may use it"
        ) from None
    if not text.startswith("# pxname,"):
        raise CannotTell(f"what HAProxy at {where} answers is no statistics: it begins with {text[:40]!r}")
    return list(csv.DictReader(io.StringIO(text.removeprefix("# "))))


def _page(page: CsvAt) -> str:
    limit_s = page.timeout.total_seconds() if page.timeout else TIMEOUT_S
    answer = sending.get(page, page.url, limit_s)
    if answer.status_code != 200:
        raise CannotTell(
            f"HAProxy's statistics at {page.url} answer {answer.status_code}: look at `stats auth`"
        )
    return answer.text


def _configuration(settings: Haproxy) -> str:
    if settings.config_command:
        return commands.printed(settings.config_command)
    path = Path(str(settings.config))
    try:
        return path.read_text(errors="replace")
    except OSError as error:
        raise CannotTell(f"HAProxy's configuration {path} cannot be read: {error.strerror}") from None


def _member(
    row: Mapping[str, str], section: configs.Section | None, line: configs.Server | None, *, verified: bool
) -> facts.Member:
    options = line.options if line else {}
    slow_s = configs.seconds(options.get("slowstart", "0")) if line else None
    changed_s = _number(row.get("lastchg"))
    return facts.Member(
        row["svname"],
        _state(row),
        row.get("status", ""),
        # Without a unit the weight in force; slow start lowers it meanwhile.
        _number(row.get("weight")),
        _check(row, section, line),
        configs.tls(line, verified=verified) if line else None,
        slow_s,
        None if (count := _number(row.get("stot"))) is None else int(count),
        options.get("on-marked-down") == "shutdown-sessions",
        bool(slow_s and changed_s is not None and changed_s <= slow_s),
    )


def _state(row: Mapping[str, str]) -> State:
    said = row.get("status", "")
    if said.startswith("MAINT"):
        return State.MAINT
    if said.startswith(("DRAIN", "NOLB")):
        return State.DRAIN
    if said.startswith("DOWN"):
        return State.DOWN
    if _number(row.get("weight")) == 0:
        return State.DRAIN
    if said.startswith("UP") or said == "no check":
        return State.BACKUP if row.get("bck") == "1" else State.IN
    return State.UNKNOWN


def _check(
    row: Mapping[str, str], section: configs.Section | None, line: configs.Server | None
) -> facts.Check | None:
    code = row.get("check_code", "")
    says = " ".join(part for part in (row.get("check_status", "").lstrip("* "), code) if part)
    if row.get("status") == "no check":
        return facts.Check(Kind.NONE, says=says)
    if section is not None and line is not None:
        found = configs.check(section, line)
        return facts.Check(found.kind, found.path, found.accepts_errors, found.always, says or found.says)
    last = row.get("check_status", "").lstrip("* ")
    if last in _KINDS:
        return facts.Check(_KINDS[last], says=says)
    if not last.startswith("L7"):
        return None
    # A check that counts an error as good shows it.
    accepts = (int(code),) if last.startswith("L7OK") and code.isdigit() and int(code) >= 500 else ()
    return facts.Check(Kind.HTTP, accepts_errors=accepts, says=says)


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
