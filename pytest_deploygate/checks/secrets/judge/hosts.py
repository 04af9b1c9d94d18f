"""Judge what was found on hosts. A secret is named by its reference, its place by path and line, or by process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from pytest_deploygate.checks.secrets.facts import Found, KeyState, Kind, Looked, Place, Search, Seen
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.judging.silent_hosts import by_cause, listed
from pytest_deploygate.model import Judgement, Reading

if TYPE_CHECKING:
    from pytest_deploygate.checks.secrets.section import Secrets

#: What to do, by where a secret was found.
_ADVICE = {
    Kind.ARGUMENTS: "every user of the host sees it: pass it in a file or on standard input, and replace it",
    Kind.ENVIRONMENT: "pass it in a file, or name the process in `allowed_environments`",
    Kind.FILE: "every user of the host may read it: take the permission away, and replace the secret",
    Kind.LOG: "stop logging it, remove the line, and replace the secret",
    Kind.JOURNAL: "stop logging it, and replace the secret",
    Kind.IMAGE: "build the image without it (a secret of the build is not kept), and replace the secret",
    Kind.CONFIG_MAP: "move it to a Secret, and replace it",
    Kind.NAME: "rename the file, and replace the secret",
}
_PARTS = {
    "processes": "processes",
    "names": "names of files",
    "files": "world-readable files",
    "logs": "logs",
    "journal": "entries of systemd's journal",
    "images": "container images",
    "private_keys": "private keys",
}
_GROUP, _OTHERS = 0o070, 0o007
_READ_BY_OTHERS = 0o004


def judge(measurement: Search, criterion: Secrets) -> Judgement:
    """Pass if no secret lies open on the hosts, and keys are readable only by whom they are for."""
    found = Collector(most=6, confirmed=True)
    there = [host for host in measurement.hosts if host.failure is None]
    for failure, names in by_cause((h.name, h.failure) for h in measurement.hosts if h.failure).items():
        found.unknown(f"{failure.said}; whether it shows a secret is not known", where=listed(names))
    _wanted(measurement, criterion, found)
    open_to = [judge_found(host.name, host.found, criterion, found) for host in there]
    _keys(there, criterion, found)
    for host in there:
        if host.looked:
            _coverage(host.name, host.looked, criterion, found)
    _missing(there, criterion, found)
    _accepted(there, criterion, found)
    if there:
        _readings(measurement, there, sum(open_to), found)
    return found.judgement(lambda: _good(measurement, there))


def _good(measurement: Search, there: Sequence[Seen]) -> str:
    looked = [host.looked for host in there if host.looked]
    return (
        f"none of {len(measurement.wanted)} secrets of the inventory lies open on {len(there)} servers: "
        f"{sum(one.processes for one in looked)} processes, {sum(one.files for one in looked)} world-readable files and "
        f"{sum(one.logs for one in looked)} logs were looked into; keys are protected"
    )


def _readings(measurement: Search, there: Sequence[Seen], number: int, found: Collector) -> None:
    looked = [host.looked for host in there if host.looked]
    found.read(
        Reading("secrets that lie open", number, limit="0", ok=number == 0),
        Reading("servers looked into", len(there)),
        Reading("secrets of the inventory looked for", len(measurement.wanted)),
        Reading("formats looked for", measurement.rules),
        Reading("processes seen", sum(one.processes for one in looked)),
        Reading("world-readable files looked into", sum(one.files for one in looked)),
        Reading("logs looked into", sum(one.logs for one in looked)),
        Reading("names of files looked at", sum(one.names for one in looked)),
    )


def _wanted(measurement: Search, criterion: Secrets, found: Collector) -> None:
    """Tell what was not looked for."""
    for source, why in measurement.weak.items():
        found.note(
            f"{source} is not looked for: it {why}, and would be found where it is no secret; use a longer one"
        )
    for why in measurement.unusable:
        found.unknown(f"a rule of {criterion.rules} cannot be used: {why}")
    if not measurement.wanted:
        found.unknown(
            "the inventory has no secret that can be looked for: refer to those that the platform uses"
        )


def judge_found(name: str, places: Sequence[Found], criterion: Secrets, found: Collector) -> int:
    """Judge each place of a host, or of a cluster; return how many are wrong."""
    wrong = 0
    for each in places:
        said = f"{_what(each)} {_where(each.place)}"
        accepted = _accepts(each, criterion)
        if accepted is not None:
            found.note(f"{said}; accepted: {accepted}", where=name)
        elif each.place.kind is Kind.ENVIRONMENT and _allowed(each.place, criterion):
            found.note(f"{said}; allowed by `allowed_environments`", where=name)
        else:
            wrong += 1
            found.wrong(f"{said}: {_ADVICE[each.place.kind]}", where=name)
    return wrong


def _what(each: Found) -> str:
    return (
        f"the secret {each.what}"
        if each.ours
        else f"a secret ({each.what}, fingerprint {each.fingerprint[:8]})"
    )


def _where(place: Place) -> str:
    process = f"process {place.path} ({place.pid})"
    line = f" line {place.line}" if place.line else ""
    return {
        Kind.ARGUMENTS: f"stands in the arguments of {process}",
        Kind.ENVIRONMENT: f"stands in the environment of {process}",
        Kind.FILE: f"stands in the world-readable file {place.path}{line}",
        Kind.LOG: f"stands in the log {place.path}{line}",
        Kind.JOURNAL: "stands in systemd's journal",
        Kind.IMAGE: f"stands in the settings or the history of the image {place.path}",
        Kind.CONFIG_MAP: f"stands in the ConfigMap {place.path}",
        Kind.NAME: f"is part of the name {place.path}",
    }[place.kind]


def _allowed(place: Place, criterion: Secrets) -> bool:
    return any(
        (name == criterion.containers and place.contained) or fnmatchcase(place.path, name)
        for name in criterion.allowed_environments
    )


def _accepts(each: Found, criterion: Secrets) -> str | None:
    """Return why a finding is accepted; None if it is not."""
    for one in criterion.accepted:
        if one.fingerprint == each.fingerprint and fnmatchcase(each.place.path, one.where):
            return one.reason
    return None


def _accepted(there: Sequence[Seen], criterion: Secrets, found: Collector) -> None:
    """Name what is accepted and no longer there."""
    seen = [each for host in there for each in host.found]
    for one in criterion.accepted:
        if not any(e.fingerprint == one.fingerprint and fnmatchcase(e.place.path, one.where) for e in seen):
            found.note(
                f"`accepted` has {one.fingerprint[:8]}… at {one.where}, which was not found: remove the entry"
            )


def _keys(there: Sequence[Seen], criterion: Secrets, found: Collector) -> None:
    """Judge who may read files with keys."""
    states = [(host.name, state) for host in there for state in host.keys]
    if states:
        wrong = sum(not _protected(state, criterion) for _, state in states)
        found.read(Reading("keys that others may read", wrong, limit="0", ok=wrong == 0))
    for name, state in states:
        _key(name, state, criterion, found)
    for host in there:
        for path in host.no_key:
            user = host.looked.user if host.looked else ""
            found.unknown(
                f"`key_files` names {path}, which does not exist there or cannot be seen by {user or 'the login'}: correct "
                "the path, or name the roles that have it",
                where=host.name,
            )


def _protected(state: KeyState, criterion: Secrets) -> bool:
    entry = next((e for e in criterion.key_files if e.path == state.declared), None)
    if entry is not None:
        return (
            not state.mode & ~entry.allowed
            and state.owner == entry.owner
            and entry.group in (None, state.group)
        )
    return not state.mode & _READ_BY_OTHERS and (criterion.group_readable_keys or not state.mode & _GROUP)


def _key(name: str, state: KeyState, criterion: Secrets, found: Collector) -> None:
    entry = next((e for e in criterion.key_files if e.path == state.declared), None)
    mode = f"{state.mode:04o}"
    if entry is not None:
        if state.mode & ~entry.allowed:
            found.wrong(
                f"{state.path} has mode {mode}, at most {entry.allowed:04o} is allowed: run chmod {entry.allowed:04o}, and "
                "replace the key if others could read it",
                where=name,
            )
        if state.owner != entry.owner:
            found.wrong(f"{state.path} belongs to {state.owner}, expected is {entry.owner}", where=name)
        if entry.group not in (None, state.group):
            found.wrong(f"{state.path} has the group {state.group}, expected is {entry.group}", where=name)
    elif state.mode & _READ_BY_OTHERS:
        found.wrong(
            f"the private key {state.path} has mode {mode}: every user of the host may read it; run chmod 0600, and replace it",
            where=name,
        )
    elif state.mode & _GROUP:
        said = f"the private key {state.path} has mode {mode}: the group {state.group} may read it"
        if criterion.group_readable_keys:
            found.note(said, where=name)
        else:
            found.wrong(f"{said}; run chmod 0600, or name it in `key_files`", where=name)


def _coverage(name: str, looked: Looked, criterion: Secrets, found: Collector) -> None:
    """Tell what was not looked into: unknown, or a note where the inventory chooses so."""

    def say(text: str) -> None:
        if criterion.unseen_passes:
            found.note(f"{text}; `unseen_passes` accepts that", where=name)
        else:
            found.unknown(text, where=name)

    who = f"as {looked.user}" if looked.user else "by the login"
    root = "set `run_as: root` to see the rest"
    if looked.processes == 0 and "processes" not in looked.absent:
        say(f"no process could be seen {who}: {root}")
    if looked.hidepid:
        say(f"other users' processes are hidden {who} (/proc is mounted with hidepid): {root}")
    hidden = [place for place in looked.hidden_environments if not _allowed(place, criterion)]
    if looked.hidden_arguments:
        say(f"{_share(looked.hidden_arguments, looked)} show their arguments {who}: {root}")
    if hidden:
        others = f"name {listed(sorted({place.path for place in hidden}))} in `allowed_environments` if they may have secrets"
        say(
            f"{_share(len(hidden), looked)} show their environment {who}: {others if looked.user == 'root' else root}"
        )
    if looked.unread:
        say(
            f"{len(looked.unread)} files cannot be read {who}, or not unpacked, such as {looked.unread[0]}: {root}"
        )
    if looked.closed:
        say(f"{len(looked.closed)} folders cannot be listed {who}, such as {looked.closed[0]}: {root}")
    for part in looked.absent:
        say(f"{_PARTS[part]} did not arrive: the host needs head, gzip and base64")
    for part in looked.limited:
        say(
            f"{_PARTS[part]} are larger than what is looked at (`bytes_per_host`): name fewer folders, ignore some, or raise it"
        )
    for part in looked.ended:
        say(f"the search of {_PARTS[part]} was ended for taking too long: name fewer folders")
    if looked.cut:
        say(
            f"of {_files(len(looked.cut))} that everybody may read only the first {_bytes(criterion.bytes_per_file)} were looked "
            f"at: {listed(looked.cut)}; raise `bytes_per_file`, or add them to `ignored`"
        )
    if looked.cut_processes:
        say(
            f"arguments or environment of {listed(looked.cut_processes)} are longer than what is looked at: raise "
            f"`bytes_per_file` ({_bytes(criterion.bytes_per_file)})"
        )
    if looked.cut_logs:
        found.note(
            f"of {len(looked.cut_logs)} logs only the end was looked at (`bytes_per_file`), such as {looked.cut_logs[0]}",
            where=name,
        )
    if criterion.images:
        _images(name, looked, say, found)


def _images(name: str, looked: Looked, say: Callable[[str], None], found: Collector) -> None:
    if looked.no_images_by:
        say(
            f"container images cannot be listed by {' and '.join(looked.no_images_by)}: start its service, let "
            f"{looked.user or 'the login'} use it, or remove the program"
        )
    elif looked.images is None and "images" not in (*looked.ended, *looked.limited):
        found.note("there are no container images: neither podman nor docker is installed", where=name)
    if looked.more_images:
        say(
            f"{looked.more_images} container images beyond the first {looked.images} were not looked at: remove old ones"
        )


def _files(number: int) -> str:
    return "1 file" if number == 1 else f"{number} files"


def _bytes(number: int) -> str:
    """Return a size as an inventory writes it."""
    for unit, size in (("MB", 1024**2), ("kB", 1024)):
        if number % size == 0:
            return f"{number // size} {unit}"
    return f"{number} bytes"


def _share(hidden: int, looked: Looked) -> str:
    return f"only {looked.processes - hidden} of {looked.processes} processes"


def _missing(there: Sequence[Seen], criterion: Secrets, found: Collector) -> None:
    """Name folders that the inventory asks for and no host has: nothing would be looked at."""
    looked = [host.looked for host in there if host.looked]
    for field in ("files", "logs"):
        if field not in criterion.model_fields_set or not looked:
            continue
        for folder in getattr(criterion, field):
            if all(folder in one.missing for one in looked):
                found.unknown(f"`{field}` names {folder}, which no server has: correct the path")
