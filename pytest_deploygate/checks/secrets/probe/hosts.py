"""Look into all hosts side by side, each asked once. What they show is searched here and kept nowhere."""

from __future__ import annotations

import re
import secrets as randomness
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from functools import partial

from pytest_deploygate.checks.hosts.section import Host, Hosts
from pytest_deploygate.checks.secrets.facts import Found, KeyState, Kind, Looked, Place, Search, Seen
from pytest_deploygate.checks.secrets.probe import frames, processes, seeking
from pytest_deploygate.checks.secrets.probe.commands import MOST_IMAGES, bytes_of_process, commands
from pytest_deploygate.checks.secrets.section import Secrets
from pytest_deploygate.clients import budget as budgets
from pytest_deploygate.clients.budget import Budget, Spending
from pytest_deploygate.clients.host.asking import ask
from pytest_deploygate.judging.silent_hosts import Failure

#: Exit codes of `timeout`, and of a command that it had to kill.
_TIMED_OUT = (124, 137)
#: What `find` says, in the language that the script asks for.
_CLOSED = re.compile(r"find: .?(/.*?)'?: Permission denied")
_STATE = re.compile(r"([0-7]{1,4}) (\S+) (\S+) (/.*)")
#: Kinds of processes that are hidden. Source: proc(5).
_HIDEPID = re.compile(r"hidepid=(?!0|off)\w+")
_KEPT_NAMES = 50
#: An image may have many names.
_NAME = 120
#: Hosts that are searched at the same time: what each shows is held in memory.
_AT_ONCE = 4
_ITEM = "sec.secrets"
_UNWATCHED = "hosts are searched at low priority; a command beside it would time our own machine"
_PACKED_PARTS = ("processes", "names", "files", "logs")


def look(hosts: Hosts, secrets: Secrets, budget: Budget | None = None) -> Search:
    """Look for the inventory's secrets, and for formats, on every host, on `budget`. Why one did not answer is a value."""
    wanted, weak = seeking.wanted(secrets)
    at_once = min(_AT_ONCE, hosts.at_once, len(hosts.servers))
    with (
        (budget or budgets.unrecorded(_ITEM)).probe("sweep of hosts", unwatched=_UNWATCHED) as spending,
        ThreadPoolExecutor(spending.at_once(at_once), "secrets") as pool,
    ):
        search = partial(_look_into, secrets=secrets, wanted=wanted, spending=spending)
        seen = tuple(pool.map(search, hosts.servers))
    return Search(
        seen,
        tuple(sorted(wanted.secrets)),
        weak,
        sum(len(some.usable) for some in wanted.rules),
        tuple(why for some in wanted.rules for why in some.unusable),
    )


def _look_into(host: Host, secrets: Secrets, wanted: seeking.Wanted, spending: Spending) -> Seen:
    mark = randomness.token_hex(8)
    paths = [key.path for key in secrets.key_files if not key.roles or set(key.roles) & set(host.roles)]
    asked = commands(secrets, paths, mark)
    with spending.request(sum(map(len, asked.values()))) as answer:
        told = ask(host.connection, host.run_as, asked, secrets.timeout.total_seconds(), host.run_as_password)
        if not isinstance(told, Failure):
            answer.answered(sum(map(len, told.parts.values())))
    spending.check()
    if isinstance(told, Failure):
        return Seen(host.name, tuple(host.roles), failure=told)
    parts = {name: frames.unpacked(told.parts.get(name)) for name in (*_PACKED_PARTS, "journal", "images")}
    running = processes.read(frames.frames(parts["processes"] or "", mark))
    material = _Material(secrets, mark, parts)
    found = [
        *_in_processes(running, wanted),
        *material.in_files(wanted),
        *material.in_names(wanted),
        *material.in_images(wanted),
    ]
    declared = list(_declared(told.parts.get("key_files", "")))
    keys = {
        state.path: state
        for state in (*_states(told.parts.get("private_keys", "")), *(s for s in declared if s))
    }
    return Seen(
        host.name,
        tuple(host.roles),
        _looked(told.parts, running, material, secrets, wanted),
        tuple(found),
        tuple(keys.values()),
        tuple(path for path in paths if all(state is None or state.declared != path for state in declared)),
    )


def _in_processes(running: Sequence[processes.Process], wanted: seeking.Wanted) -> Iterator[Found]:
    """Yield what stands in arguments and environments, without our own, and without the environments that ours came from."""
    ancestors, ours = processes.lineage(running, processes.own())
    for process in running:
        if process.pid in ours:
            continue
        shown = [(Kind.ARGUMENTS, process.arguments)]
        if process.pid not in ancestors:
            shown.append((Kind.ENVIRONMENT, process.environment))
        for kind, text in shown:
            for match in seeking.search(wanted, text or "", ""):
                name = seeking.without(wanted, _as_text(process.name))
                place = Place(kind, name, None, process.pid, process.contained)
                yield Found(match.what, match.ours, place, match.fingerprint)


class _Material:
    """What a host sent of its files: searched once, then only counts and places are left."""

    def __init__(self, secrets: Secrets, mark: str, parts: Mapping[str, str | None]) -> None:
        self._secrets = secrets
        self._mark = mark
        self._parts = parts
        self.files: set[str] = set()
        self.logs: set[str] = set()
        self.names: list[str] = []
        self.cut: list[str] = []
        self.cut_logs: list[str] = []
        self.unread: list[str] = []
        self.closed: list[str] = []
        self.images: int | None = None
        self.more_images = 0
        self.no_images_by: tuple[str, ...] = ()
        self.late: set[str] = set()
        self._until = time.monotonic() + secrets.timeout.total_seconds()
        self._read_names()

    def _frames(self, part: str) -> Iterator[frames.Frame]:
        return frames.frames(self._parts[part] or "", self._mark)

    def _ignored(self, path: str) -> bool:
        return any(fnmatchcase(path, pattern) for pattern in self._secrets.ignored)

    def _read_names(self) -> None:
        for frame in self._frames("names"):
            for line in frame.content.split("\n") if frame.kind == "N" else ():
                if line.startswith("/"):
                    self.names.append(line)
                elif closed := _CLOSED.match(line):
                    self.closed.append(_as_text(closed[1]))

    def in_names(self, wanted: seeking.Wanted) -> Iterator[Found]:
        """Yield what stands in names of files and folders."""
        names = [name for name in dict.fromkeys(self.names) if not self._ignored(_as_text(name))]
        for match in seeking.search(wanted, "\n".join(names), ""):
            path = seeking.without(wanted, _as_text(names[match.line - 1]))
            yield Found(match.what, match.ours, Place(Kind.NAME, path), match.fingerprint)

    def in_files(self, wanted: seeking.Wanted) -> Iterator[Found]:
        """Yield what stands in logs, and in files that everybody may read."""
        for part, kind in (("logs", Kind.LOG), ("files", Kind.FILE), ("journal", Kind.JOURNAL)):
            for frame in self._frames(part):
                path = _as_text(frame.words)
                if time.monotonic() > self._until:
                    self.late.add(part)
                    break
                if self._ignored(path) or (kind is Kind.FILE and self._is_log(path)):
                    continue
                if frame.kind == "U":
                    self.unread.append(seeking.without(wanted, path))
                elif frame.kind in "FLJ":
                    yield from self._in(frame.content, path, kind, wanted)

    def in_images(self, wanted: seeking.Wanted) -> Iterator[Found]:
        """Yield what stands in the settings and the history of container images."""
        codes: dict[str, str] = {}
        for frame in self._frames("images"):
            if frame.kind == "E":
                code, _, program = frame.words.partition(" ")
                codes[program] = code
            elif frame.kind == "M" and frame.words.isdigit():
                self.more_images += int(frame.words) - MOST_IMAGES
            elif frame.kind == "I":
                self.images = (self.images or 0) + 1
                names, _, shown = frame.content.partition("\n")
                name = seeking.without(wanted, _as_text(names.strip() or frame.words)[:_NAME])
                for match in seeking.search(wanted, shown, ""):
                    yield Found(match.what, match.ours, Place(Kind.IMAGE, name), match.fingerprint)
        # Often `docker` is installed beside podman, and its daemon does not run.
        if "0" in codes.values():
            self.images = self.images or 0
        elif any(int(code) in _TIMED_OUT for code in codes.values() if code.isdigit()):
            self.late.add("images")
        else:
            self.no_images_by = tuple(codes)

    def _is_log(self, path: str) -> bool:
        return any(path.startswith(f"{folder.rstrip('/')}/") for folder in self._secrets.logs)

    def _in(self, content: str, path: str, kind: Kind, wanted: seeking.Wanted) -> Iterator[Found]:
        {Kind.FILE: self.files, Kind.LOG: self.logs}.get(kind, set()).add(path)
        most = self._secrets.bytes_per_file
        cut = len(content) > most
        shown = seeking.without(wanted, path)
        if cut:
            (self.cut if kind is Kind.FILE else self.cut_logs).append(shown)
            content = content[:most] if kind is Kind.FILE else content[-most:]
        for match in seeking.search(wanted, content, path):
            # Of a log only the end was sent, of the journal too: which line it is there is not known.
            line = match.line if kind is Kind.FILE or (kind is Kind.LOG and not cut) else None
            yield Found(match.what, match.ours, Place(kind, shown, line), match.fingerprint)

    def ends(self, part: str) -> tuple[bool, bool]:
        """Return whether a part reached the limit of size, and whether it reached that of time."""
        codes = [
            int(frame.words) for frame in self._frames(part) if frame.kind == "E" and frame.words.isdigit()
        ]
        whole = len(codes) == (2 if part == "names" else 1)
        return not whole, any(code in _TIMED_OUT for code in codes)

    def is_cut_off(self, part: str) -> bool:
        """Tell whether a part that the host sent reached the limit of size."""
        if part == "images":
            return all(frame.kind != "D" for frame in self._frames(part))
        return self.ends(part)[0]

    def has(self, part: str) -> bool:
        """Tell whether the host sent a part at all."""
        return self._parts[part] is not None


def _looked(
    parts: Mapping[str, str],
    running: Sequence[processes.Process],
    material: _Material,
    secrets: Secrets,
    wanted: seeking.Wanted,
) -> Looked:
    there = parts.get("folders", "").split("\n")
    sent = [part for part in _PACKED_PARTS if material.has(part)]
    return Looked(
        user=parts.get("user", ""),
        processes=len(running),
        hidden_arguments=sum(process.arguments is None for process in running),
        hidden_environments=tuple(
            Place(Kind.ENVIRONMENT, _as_text(process.name), pid=process.pid, contained=process.contained)
            for process in running
            if process.environment is None
        ),
        hidepid=parts.get("user") != "root" and _HIDEPID.search(parts.get("proc", "")) is not None,
        files=len(material.files),
        logs=len(material.logs),
        names=len(material.names),
        images=material.images,
        more_images=material.more_images,
        no_images_by=material.no_images_by,
        cut=tuple(material.cut),
        cut_logs=tuple(material.cut_logs),
        cut_processes=tuple(
            seeking.without(wanted, f"{_as_text(process.name)} ({process.pid})")
            for process in running
            if process.longest > bytes_of_process(secrets)
        ),
        unread=tuple(material.unread),
        closed=tuple(dict.fromkeys(material.closed))[:_KEPT_NAMES],
        missing=tuple(folder for folder in (*secrets.files, *secrets.logs) if folder not in there),
        limited=tuple(
            part for part in (*sent, "journal", "images") if material.has(part) and material.is_cut_off(part)
        ),
        ended=(
            *(part for part in (*sent, "images") if material.ends(part)[1] or part in material.late),
            *(["private_keys"] if _timed_out(parts.get("private_keys", "")) else []),
        ),
        absent=tuple(part for part in _PACKED_PARTS if part not in sent),
    )


def _timed_out(text: str) -> bool:
    """Tell whether a search was ended, by the last frame of its part."""
    words = text.rpartition("\n")[2].split()
    return words[1:2] == ["E"] and words[-1] in map(str, _TIMED_OUT)


def _states(text: str, declared: str | None = None) -> Iterator[KeyState]:
    for line in text.split("\n"):
        if state := _STATE.fullmatch(line):
            yield KeyState(state[4], int(state[1], 8), state[2], state[3], declared)


def _declared(text: str) -> Iterator[KeyState | None]:
    """Yield the files of each entry of `key_files`; the entry stands before them."""
    entry = None
    for line in text.split("\n"):
        if line.startswith("= "):
            entry = line[2:]
        else:
            yield from _states(line, entry)


def _as_text(path: str) -> str:
    """Return a name of which each character is a byte as people read it."""
    return path.encode("latin-1", errors="replace").decode(errors="replace")
