"""Read the logs of one host: files and systemd's journal, a few commands at a time over one connection."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import UTC, datetime

from pytest_deploygate.checks.access_logs import facts
from pytest_deploygate.checks.access_logs.probe import rotation
from pytest_deploygate.checks.access_logs.probe.kept import Kept
from pytest_deploygate.checks.access_logs.section import Hop
from pytest_deploygate.clients.host import tail
from pytest_deploygate.clients.host.asking import Told, ask
from pytest_deploygate.clients.host.tail import Tail
from pytest_deploygate.judging.silent_hosts import Failure
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.redaction import Secret

_CLOCK = "date -u +%s.%N"
#: A file's first line may be this long.
_FIRST = 4096
_UNSEEN = "there is no such file"


@dataclass()
class Followed:
    """A file or a unit of the journal that is followed on a host. `hop` is None for a file with no form of its own."""

    kept: Kept
    hop: Hop | None = None
    path: str = ""
    unit: str = ""
    tail: Tail | None = None
    cursor: str = ""
    since: int = 0


@dataclass()
class HostLogs:
    """The logs of one host, asked over one connection."""

    connection: str
    run_as: str | None
    timeout_s: float
    password: Secret | None = None
    logs: list[Followed] = field(default_factory=list)

    def begin(self) -> None:
        """Note where each log ends now, and what the host says of its file. What cannot be read is said in the log itself."""
        commands = {"clock": _CLOCK, "encoder": tail.ENCODER}
        for number, log in enumerate(self.logs):
            commands |= _file(number, log) if log.path else _journal_there(number)
        configs = sorted({log.hop.rotation.logrotate for log in self.logs if log.hop and log.path})
        commands |= {f"rotation_{n}": rotation.command(config) for n, config in enumerate(configs)}
        commands["clock_after"] = _CLOCK
        told = self._ask(commands, self.logs)
        if told is None:
            return
        began, clock = _clock(told)
        for number, log in enumerate(self.logs):
            log.kept.clock = clock or facts.Clock()
            if began is None:
                log.kept.problem = "its clock cannot be read: `date -u +%s` printed no number"
            elif log.path:
                said = {config: told.parts.get(f"rotation_{n}", "") for n, config in enumerate(configs)}
                _begin_file(log, number, told.parts, began, said)
            else:
                _begin_journal(log, number, told.parts, began)

    def poll(self) -> None:
        """Read what is new in each log."""
        logs = [log for log in self.logs if not log.kept.problem and (log.tail or log.unit)]
        for log in logs:
            log.kept.polling()
        commands = {f"list_{n}": tail.listing(log.path) for n, log in enumerate(logs) if log.path}
        commands |= {f"lines_{n}": _lines(log) for n, log in enumerate(logs) if log.unit}
        if not commands or (told := self._ask(commands, logs)) is None:
            return
        for number, log in enumerate(logs):
            if log.unit:
                _take_journal(log, told.parts.get(f"lines_{number}", ""))
        reads = [
            (log, key, command)
            for number, log in enumerate(logs)
            if log.tail
            for key, command in log.tail.reads(tail.seen(told.parts.get(f"list_{number}", "")))
        ]
        commands = {f"read_{n}": command for n, (_, _, command) in enumerate(reads)}
        if not reads or (told := self._ask({"encoder": tail.ENCODER} | commands, logs)) is None:
            return
        for number, (log, key, _) in enumerate(reads):
            _take(log, key, told.parts.get(f"read_{number}", ""), told.parts.get("encoder", ""))

    def _ask(self, commands: Mapping[str, str], logs: Sequence[Followed]) -> Told | None:
        told = ask(self.connection, self.run_as, commands, self.timeout_s, self.password)
        if isinstance(told, Failure):
            for log in logs:
                log.kept.problem = log.kept.problem or f"the host cannot be asked: {told.said}"
            return None
        return told


def _file(number: int, log: Followed) -> dict[str, str]:
    name = shlex.quote(log.path)
    folders = (
        f'f={name}; set --; while [ -n "${{f%/*}}" ]; do f=${{f%/*}}; set -- "$@" "$f"; done; '
        'stat -L -c %a -- "$@" /'
    )
    return {
        f"stat_{number}": f"stat -L -c '%i %s %Y %a %U %F' -- {name} 2>&1; [ -r {name} ] && echo readable",
        f"list_{number}": tail.listing(log.path),
        f"folders_{number}": folders,
        f"first_{number}": f"[ -f {name} ] && head -c {_FIRST} -- {name} | $E",
    }


def _clock(told: Told) -> tuple[int | None, facts.Clock | None]:
    """Return the host's time in whole seconds, and the bounds of its clock's offset from ours."""
    try:
        first, last = (
            told.parts[name].removesuffix(".N").removesuffix(".%N") for name in ("clock", "clock_after")
        )
        resolution = 0.0 if "." in first else 1.0
        low, high = float(last) - told.answered_s, float(first) + resolution - told.asked_s
    except (KeyError, ValueError):
        return None, None
    return int(float(first)), facts.Clock(round(min(low, high), 3), round(max(low, high), 3))


def _begin_file(
    log: Followed, number: int, parts: Mapping[str, str], began: int, logrotate: Mapping[str, str]
) -> None:
    """Note where a file ends now, and what it is. `logrotate` is what it said, by its configuration."""
    said = parts.get(f"stat_{number}", "")
    words = said.splitlines()[0].split(" ", 5) if said else []
    if len(words) < 6 or not words[0].isdigit():
        if "No such file" in said:
            log.kept.missing = _UNSEEN
            log.tail = Tail(log.path, None, began)
        elif "Permission denied" in said:
            log.kept.problem = f"permission to enter its folder is denied{_as_whom(log)}"
        else:
            log.kept.problem = "stat does not tell what it is: a host with GNU's or busybox's tools is needed"
        return
    if "regular" not in words[5]:
        log.kept.problem = (
            f"it is no file that can be read again, but a {words[5]}: name where its lines are kept"
        )
        return
    if not said.endswith("readable"):
        log.kept.problem = f"permission to read it is denied{_as_whom(log)}"
        return
    beside = tail.seen(parts.get(f"list_{number}", ""))
    log.tail = Tail(log.path, tail.Seen(words[0], int(words[1]), int(words[2]), log.path), began)
    if log.hop is None:
        return
    folders = parts.get(f"folders_{number}", "").split()
    rotated = [file.changed for file in beside if tail.is_rotated(log.path, file.name)]
    log.kept.file = facts.File(
        mode=int(words[3], 8),
        owner=words[4],
        size=int(words[1]),
        in_open_folders=all(int(folder, 8) & 0o001 for folder in folders),
        now=datetime.fromtimestamp(began, UTC),
        first=_first(log, parts.get(f"first_{number}", ""), parts.get("encoder", "")),
        rotated=datetime.fromtimestamp(max(rotated), UTC) if rotated else None,
        rule=rotation.rule(log.path, logrotate[log.hop.rotation.logrotate]),
    )


def _as_whom(log: Followed) -> str:
    return ": let the gate's user read it, for example with the group adm, or set `run_as`" if log.hop else ""


def _first(log: Followed, text: str, encoder: str) -> facts.Stamp | None:
    try:
        line, newline, _ = tail.decoded(text, encoder).partition(b"\n")
    except ValueError:
        return None
    return log.kept.stamp_of(line.decode(errors="backslashreplace")) if newline else None


def _take(log: Followed, key: str, text: str, encoder: str) -> None:
    if log.tail is None:
        return
    try:
        read = tail.decoded(text, encoder)
    except ValueError:
        log.kept.problem = "what was read of it arrived cut off"
        return
    log.kept.missing = ""
    log.kept.take_all(log.tail.take(key, read))
    log.kept.rest(log.tail.rest)
    if log.tail.taken >= tail.MOST:
        log.kept.problem = (
            f"more than {tail.MOST >> 20} MB were written to it meanwhile; not all of it was read"
        )


def _journal_there(number: int) -> dict[str, str]:
    return {
        f"journal_{number}": "if command -v journalctl >/dev/null; then $T journalctl -n 1 -o json --no-pager 2>&1; else echo none; fi"
    }


def _begin_journal(log: Followed, number: int, parts: Mapping[str, str], began: int) -> None:
    """Source: journalctl(1): what it says if there is no journal, or none that we may read."""
    said = parts.get(f"journal_{number}", "")
    log.since = began
    if said == "none":
        log.kept.problem = "it has no journalctl: name the `file`, or the log store, instead"
    elif "insufficient permissions" in said or "not seeing messages" in said:
        log.kept.problem = "its journal may not be read: add the gate's user to the group systemd-journal"
    elif not any(line.startswith("{") for line in said.splitlines()):
        log.kept.problem = "its journal is empty, or there is none"


def _lines(log: Followed) -> str:
    after = f"--after-cursor={shlex.quote(log.cursor)}" if log.cursor else f"--since=@{log.since}"
    return f"$T journalctl -u {shlex.quote(log.unit)} {after} -o json --all --no-pager -q | head -c {4 << 20}"


def _take_journal(log: Followed, text: str) -> None:
    """Source: https://systemd.io/JOURNAL_EXPORT_FORMATS, JSON: bytes that are no text are a list of numbers."""
    for line in text.split("\n"):
        try:
            entry = json.loads(line)
        except ValueError:  # the end of what was cut off comes again
            continue
        if not isinstance(entry, dict):
            continue
        log.cursor = str(entry.get("__CURSOR", log.cursor))
        said = entry.get("MESSAGE")
        if isinstance(said, list):
            numbers = [each for each in said if isinstance(each, int) and 0 <= each < 256]
            said = bytes(numbers).decode(errors="backslashreplace")
        if isinstance(said, str):
            log.kept.take(said)
