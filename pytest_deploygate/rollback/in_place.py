"""A data folder restored beside the one in use, recovered there in isolation, and then swapped in.

A folder `D.restoring` is created beside the data folder `D`. The backup goes into its `data`; a server reachable only
through a unix socket recovers it to the wanted moment, is promoted and shut down. Then two renames swap the folders;
the old one stays as `D.before-rollback-TIME`. The files on disk show how far a crashed restore got, so `state` is all
that is needed to resume. A restored folder contains a note (`deploygate-restored.json`) that identifies the restore.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime

from pytest_deploygate.checks.backups.probe.scratch import Programs
from pytest_deploygate.clients.host.place import Done, Place
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell

NOTE = "deploygate-restored.json"
_SUFFIX = ".restoring"
_LONGEST_SOCKET = 107
# The pattern is assembled in the script: the search must not find its own shell in the process list.
_STATE = """
data={} suffix={} note={}
printf 'data %s\\n' "$(test -f "$data/PG_VERSION" && echo yes)"
printf 'note %s\\n' "$(cat "$data/$note" 2>/dev/null)"
printf 'ready %s\\n' "$(cat "$data$suffix/data/$note" 2>/dev/null)"
printf 'beside %s\\n' "$(test -e "$data$suffix" && echo yes)"
printf 'ours %s\\n' "$(test -f "$data$suffix/.deploygate" && echo yes)"
printf 'links %s\\n' "$(ls "$data/pg_tblspc" 2>/dev/null | tr '\\n' ' ')$([ -L "$data/pg_wal" ] && echo pg_wal)"
printf 'fixed %s\\n' "$([ -L "$data" ] && echo a link; mountpoint -q "$data" 2>/dev/null && echo a mount point)"
pid=$(head -n 1 "$data/postmaster.pid" 2>/dev/null)
tr '\\0' '\\n' <"/proc/${pid:-none}/cmdline" 2>/dev/null | grep -q postgres || pid=''
printf 'pid %s\\n' "$pid"
"""
_CLEAR = """
data={} suffix={}
root="$data$suffix"
[ -e "$root" ] || [ -L "$root" ] || exit 0
[ -f "$root/.deploygate" ] && [ ! -L "$root" ] || { echo "$root exists and was not created by deploygate: move it away" >&2; exit 9; }
for signal in QUIT KILL; do
  for each in $(grep -lsF -- "$root/" /proc/[0-9]*/cmdline); do
    pid=${each#/proc/} pid=${pid%/cmdline}
    kill -$signal "$pid" 2>/dev/null
  done
  for try in 1 2 3 4 5 6 7 8 9 10; do
    grep -qsF -- "$root/" /proc/[0-9]*/cmdline || break
    sleep 0.2
  done
done
rm -rf "$root"
"""
_MAKE = """
umask 077
mkdir {} && : >{} && mkdir {} {} && echo 'local all all trust' >{} && : >{}
"""
# The server's configuration is not rolled back: it stays as it is now.
_CONFIGURE = """
umask 077
from={} to={}
rm -f "$to"/standby.signal "$to"/recovery.signal "$to"/postmaster.pid "$to"/postmaster.opts "$to"/deploygate-restored.json
for each in "$from"/*.conf "$from"/conf.d "$from"/server.crt "$from"/server.key; do
  [ -e "$each" ] || continue
  rm -rf "$to/${each##*/}" && cp -a "$each" "$to/" || exit 1
done
: >"$to/recovery.signal"
"""
_WAIT = """
end=$(( $(date +%s) + {} ))
pid=$(head -n 1 {}/postmaster.pid 2>/dev/null)
while [ "$(date +%s)" -lt "$end" ]; do
  said=$({} -X -q -A -t -h {} -p 5432 -U {} -d {} -c 'SELECT pg_is_in_recovery()' 2>&1)
  [ "$said" = f ] && exit 0
  [ -n "$pid" ] || pid=$(head -n 1 {}/postmaster.pid 2>/dev/null)
  [ -z "$pid" ] || kill -0 "$pid" 2>/dev/null || { sleep 0.3; kill -0 "$pid" 2>/dev/null || exit 7; }
  sleep 0.2
done
echo "$said"; exit 8
"""
_SWAP = """
data={} restored={} aside={}
if [ -e "$data" ]; then
  [ ! -e "$aside" ] || { echo "$aside already exists" >&2; exit 9; }
  mv "$data" "$aside" || exit 1
fi
mv "$restored" "$data" || exit 1
sync -f "$(dirname "$data")" 2>/dev/null || sync
"""


@dataclass(frozen=True)
class Note:
    """The note in a restored folder. `key` names the restore that it belongs to."""

    key: str
    backup: str
    target: str
    aside: str
    timeline: int
    system: int
    at: str


@dataclass(frozen=True)
class State:
    """The state on disk. `note` is that of the folder in use, `ready` that of one recovered beside it; None if missing.

    `foreign` is true if the folder beside exists but was not created by the gate. `links` are tablespaces, and pg_wal if
    it is a link; `fixed` says why the folder cannot be renamed. `pid` is 0 if no server runs.
    """

    there: bool
    note: Note | None
    ready: Note | None
    foreign: bool
    links: tuple[str, ...]
    fixed: str
    pid: int


@dataclass(frozen=True)
class Folder:
    """A data folder on a host, as the OS user that its server runs as."""

    place: Place
    data: str

    @property
    def beside(self) -> str:
        """The folder in which the new data is prepared."""
        return f"{self.data}{_SUFFIX}"

    def state(self) -> State:
        """Read the state on disk. Raises CannotTell."""
        done = self.place.run(_STATE, self.data, _SUFFIX, NOTE)
        if done.code:
            raise CannotTell(f"{self.data} on {self.place.name} cannot be inspected: {done.said}")
        said = dict(line.split(" ", 1) for line in done.output.splitlines() if " " in line)
        return State(
            there=said.get("data") == "yes",
            note=_note(said.get("note", "")),
            ready=_note(said.get("ready", "")),
            foreign=said.get("beside") == "yes" and said.get("ours") != "yes",
            links=tuple(said.get("links", "").split()),
            fixed=said.get("fixed", "").strip(),
            pid=int(said["pid"]) if said.get("pid", "").strip().isdigit() else 0,
        )

    def clear(self) -> None:
        """Stop what a crash left running in the folder beside and remove it. Raises CannotTell if it is not ours."""
        done = self.place.run(_CLEAR, self.data, _SUFFIX, timeout_s=600)
        if done.code:
            raise CannotTell(f"{self.beside} on {self.place.name} cannot be removed: {done.said}")

    def make(self) -> str:
        """Create the folder beside; return the empty one for the backup's files. Raises CannotTell."""
        root = self.beside
        if len(os.fsencode(f"{root}/s/.s.PGSQL.5432.lock")) > _LONGEST_SOCKET:
            raise CannotTell(f"the path {root} is too long for a unix socket: restore with a command (`run`)")
        words = (root, f"{root}/.deploygate", f"{root}/data", f"{root}/s", f"{root}/hba", f"{root}/ident")
        done = self.place.run(_MAKE, *words)
        if done.code:
            raise CannotTell(f"{root} on {self.place.name} cannot be created: {done.said}")
        return f"{root}/data"

    def recover(
        self,
        programs: Programs,
        target: Mapping[str, str],
        config: str,
        who: tuple[str, str],
        within_s: float,
    ) -> str:
        """Recover the restored files to the target in isolation and promote. Return what went wrong, empty if it is up.

        `who` is the role and the database to connect with. `config` is the configuration file, empty if it
        is in the data folder.
        """
        root, data = self.beside, f"{self.beside}/data"
        done = self.place.run(_CONFIGURE, self.data, data)
        if done.code:
            return f"the configuration cannot be copied: {done.said}"
        settings = _isolated(root, data) | dict(target)
        options = " ".join(f"-c {name}={_quoted(value)}" for name, value in settings.items())
        if config:
            options += f" -c config_file={_quoted(config)}"
        done = self.place.run(
            "{} -D {} -s -W -l {} -o {} start </dev/null",
            f"{programs.folder}/pg_ctl", data, f"{root}/log", options,
        )  # fmt: skip
        if done.code:
            return f"the restored server does not start: {self._log() or done.said}"
        role, database = who
        done = self.place.run(
            _WAIT, str(int(within_s)), data, f"{programs.folder}/psql", f"{root}/s", role, database, data,
            timeout_s=within_s + 30,
        )  # fmt: skip
        if done.code:
            what = "ended" if done.code == 7 else f"did not reach its target within {within_s:.0f} s"
            return f"recovery {what}: {self._log() or done.said}"
        return ""

    def finish(self, programs: Programs, key: str, backup: str, target: str, now: datetime) -> Note:
        """Shut the recovered server down cleanly and write its note. Raises CannotTell."""
        data = f"{self.beside}/data"
        done = self.place.run(
            "{} -D {} -s -w -t 300 -m fast stop", f"{programs.folder}/pg_ctl", data, timeout_s=320
        )
        if done.code:
            raise CannotTell(f"the restored server does not shut down: {self._log() or done.said}")
        shown = self.place.run("{} {}", f"{programs.folder}/pg_controldata", data).output
        if _control(shown, "Database cluster state") != "shut down":
            raise CannotTell(f"the restored data in {data} was not shut down cleanly")
        note = Note(
            key, backup, target, f"{self.data}.before-rollback-{now:%Y%m%dT%H%M%SZ}",
            int(_control(shown, "Latest checkpoint's TimeLineID") or 0),
            int(_control(shown, "Database system identifier") or 0), f"{now:%Y-%m-%dT%H:%M:%SZ}",
        )  # fmt: skip
        script = "umask 077; printf %s {} >{} && mv {} {} && sync -f {}"
        part = f"{data}/{NOTE}.part"
        done = self.place.run(script, json.dumps(asdict(note)), part, part, f"{data}/{NOTE}", data)
        if done.code:
            raise CannotTell(f"{data} cannot be written: {done.said}")
        return note

    def swap(self, note: Note) -> Done:
        """Swap the restored folder in: two renames. The server must be down."""
        return self.place.run(_SWAP, self.data, f"{self.beside}/data", note.aside, timeout_s=120)

    def _log(self) -> str:
        done = self.place.run("grep -hE 'FATAL|PANIC|could not' {} | tail -n 3", f"{self.beside}/log")
        return " / ".join(line.strip() for line in done.output.splitlines())[-400:]


def _isolated(root: str, data: str) -> dict[str, str]:
    """Return the settings that isolate the recovering server. What it has to archive waits until it is in place.

    archive_command is empty and archive_mode unchanged: history file and segments stay marked as ready to archive.
    """
    return {
        "data_directory": data,
        "hba_file": f"{root}/hba",
        "ident_file": f"{root}/ident",
        "external_pid_file": "",
        "unix_socket_directories": f"{root}/s",
        "unix_socket_permissions": "0700",
        "listen_addresses": "",
        "port": "5432",
        "ssl": "off",
        "archive_command": "",
        "primary_conninfo": "",
        "primary_slot_name": "",
        "synchronous_standby_names": "",
        "shared_buffers": "128MB",
        "huge_pages": "off",
        "logging_collector": "off",
        "log_destination": "stderr",
        "hot_standby": "on",
        "cluster_name": "deploygate restore",
        "recovery_target_timeline": "latest",
        "recovery_target_action": "promote",
    }


def _quoted(value: str) -> str:
    """Quote a value for pg_ctl's `-o`, which goes through a shell."""
    return "'" + value.replace("'", "'\\''") + "'"


def _control(shown: str, name: str) -> str:
    lines = (line.partition(":") for line in shown.splitlines())
    return next((value.strip() for key, _, value in lines if key.strip() == name), "")


def _note(text: str) -> Note | None:
    try:
        return Note(**json.loads(text))
    except (ValueError, TypeError):
        return None
