"""Where messages arrive: files of the aggregator, or a log store. Both give the lines with a mark of this run."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from pytest_deploygate.checks.hosts.section import Host
from pytest_deploygate.checks.log_delivery.facts import Place
from pytest_deploygate.checks.log_delivery.probe import records
from pytest_deploygate.checks.log_delivery.probe.records import Record
from pytest_deploygate.checks.log_delivery.section import HOST, Aggregator, LogDelivery
from pytest_deploygate.clients import log_stores
from pytest_deploygate.clients.host import tail
from pytest_deploygate.clients.host.asking import Told, ask
from pytest_deploygate.clients.host.tail import Tail
from pytest_deploygate.judging.silent_hosts import Failure
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import Secret

#: Entries are looked for from this long before and after: clocks differ, by hours where a zone is wrong.
_AROUND_S = 14 * 3600


@dataclass(frozen=True)
class Found:
    """A line with a mark of this run: where it is, the text, and what it tells (None: it has another form than declared)."""

    place: str
    text: str
    record: Record | None


class Arrivals(Protocol):
    """What is read until all messages have arrived."""

    def begin(self) -> None:
        """Note what is there before anything is sent."""

    def poll(self) -> Iterable[Found]:
        """Return what is new and has a mark of this run."""
        ...

    def facts(self) -> tuple[Place, ...]:
        """Return the places, and what could not be read."""
        ...


def arrivals(section: LogDelivery, hosts: dict[str, Host], names: Sequence[str], run: str) -> Arrivals:
    """Return what reads the aggregator; `names` are those that the senders log under."""
    if section.aggregator.file is None:
        return _Store(section.aggregator, run, section.timeout.total_seconds())
    return _Files(section, hosts, names, run)


class _Store:
    """Loki, or OpenSearch."""

    def __init__(self, section: Aggregator, run: str, timeout_s: float) -> None:
        self._section, self._run, self._timeout_s = section, run, timeout_s
        self._name = "Loki" if section.loki else "OpenSearch"
        self._began = time.time()
        self._taken: set[str] = set()
        self._problem = ""

    def begin(self) -> None:
        """Ask once: what cannot be asked now is said before anything is sent."""
        self._began = time.time()
        list(self.poll())

    def poll(self) -> Iterable[Found]:
        """Return the entries that are there by now."""
        if self._problem:
            return []
        try:
            entries = list(self._entries())
        except CannotTell as error:
            self._problem = str(error)
            return []
        new = [entry for entry in entries if entry.key not in self._taken]
        self._taken |= {entry.key for entry in new}
        # A store that logs the questions that it is asked has the beginning of our marks in them, and no whole mark.
        return [
            Found(self._name, f"{entry.line}\n{entry.fields}", records.of_entry(entry, self._section))
            for entry in new
        ]

    def _entries(self) -> Iterator[log_stores.Entry]:
        since_s, until_s = self._began - _AROUND_S, time.time() + _AROUND_S
        if self._section.loki is not None:
            return log_stores.loki(self._section.loki, [self._run], since_s, until_s, self._timeout_s)
        if self._section.opensearch is not None:
            return log_stores.opensearch(
                self._section.opensearch, [self._run], since_s, until_s, self._timeout_s
            )
        return iter(())

    def facts(self) -> tuple[Place, ...]:
        """Return the store."""
        return (Place(self._name, self._problem),)


class _File:
    """One file of the aggregator."""

    def __init__(self, name: str, path: str) -> None:
        self.name, self.path = name, path
        self.tail: Tail | None = None
        self.problem, self.missing, self.others = "", "", 0


class _Files:
    """The files of an aggregator, read over one connection."""

    def __init__(self, section: LogDelivery, hosts: dict[str, Host], names: Sequence[str], run: str) -> None:
        where = section.aggregator
        host = hosts.get(where.host or "")
        self._connection = host.connection if host else where.connection or ""
        self._run_as = host.run_as if host else where.run_as
        self._password: Secret | None = host.run_as_password if host else None
        self._timeout_s = section.timeout.total_seconds()
        self._run, self._read = run, records.reader(where)
        place = host.name if host else self._connection.partition("://")[2].partition("?")[0] or "this host"
        path = where.file or ""
        paths = [path.replace(HOST, name) for name in names] if HOST in path else [path]
        self._files = [_File(f"{place}:{each}", each) for each in dict.fromkeys(paths)]

    def begin(self) -> None:
        """Note where each file ends now."""
        commands = {"now": "date -u +%s"}
        for number, file in enumerate(self._files):
            name = shlex.quote(file.path)
            commands[f"stat_{number}"] = (
                f"stat -L -c '%i %s %Y %n' -- {name} 2>&1; [ -r {name} ] && echo readable; [ -d {name} ] && echo folder"
            )
        told = self._ask(commands)
        if told is None:
            return
        now = told.parts.get("now", "")
        for number, file in enumerate(self._files):
            said = told.parts.get(f"stat_{number}", "")
            seen = tail.seen(said)
            if "No such file" in said:
                file.missing = "there is no such file"
                file.tail = Tail(file.path, None, int(now) if now.isdigit() else 0)
            elif not seen or "Permission denied" in said:
                file.problem = "permission to enter its folder is denied, or stat does not tell what it is"
            elif said.endswith("folder"):
                file.problem = "it is a folder: name the file in it"
            elif "readable" not in said:
                file.problem = "permission to read it is denied: let the gate's user read it, or set `run_as`"
            else:
                file.tail = Tail(file.path, seen[0], int(now) if now.isdigit() else 0)

    def poll(self) -> Iterable[Found]:
        """Return the new lines with a mark."""
        files = [file for file in self._files if file.tail is not None and not file.problem]
        if not files:
            return []
        told = self._ask({f"list_{n}": tail.listing(file.path) for n, file in enumerate(files)})
        if told is None:
            return []
        reads = [
            (file, key, command)
            for number, file in enumerate(files)
            if file.tail is not None
            for key, command in file.tail.reads(tail.seen(told.parts.get(f"list_{number}", "")))
        ]
        if not reads:
            return []
        commands = {f"read_{n}": command for n, (_, _, command) in enumerate(reads)}
        told = self._ask({"encoder": tail.ENCODER} | commands)
        found: list[Found] = []
        for number, (file, key, _) in enumerate(reads if told else []):
            text = told.parts.get(f"read_{number}", "") if told else ""
            found += self._taken(file, key, text, told.parts.get("encoder", "") if told else "")
        return found

    def _taken(self, file: _File, key: str, text: str, encoder: str) -> list[Found]:
        if file.tail is None:
            return []
        try:
            read = tail.decoded(text, encoder)
        except ValueError:
            file.problem = "what was read of it arrived cut off"
            return []
        file.missing = ""
        lines = file.tail.take(key, read)
        ours = [line for line in lines if self._run in line]
        file.others += len(lines) - len(ours)
        if file.tail.taken >= tail.MOST:
            file.problem = (
                f"more than {tail.MOST >> 20} MB were written to it meanwhile; not all of it was read"
            )
        return [Found(file.name, line, self._read(line)) for line in ours]

    def _ask(self, commands: dict[str, str]) -> Told | None:
        told = ask(self._connection, self._run_as, commands, self._timeout_s, self._password)
        if isinstance(told, Failure):
            for file in self._files:
                file.problem = file.problem or f"the host cannot be asked: {told.said}"
            return None
        return told

    def facts(self) -> tuple[Place, ...]:
        """Return the files."""
        return tuple(Place(file.name, file.problem, file.missing, file.others) for file in self._files)
