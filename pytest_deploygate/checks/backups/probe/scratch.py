"""A scratch server for a restore: its own folder, a unix socket as its only entry point, and a guard that removes it.

The guard is a small shell process in its own session on the scratch host. It stops the server and removes the folder
when the run that created them has ended (kill -9 included). What a guard could not remove (the host crashed), the next
drill in the same folder removes.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pytest_deploygate.checks.backups.probe.tools import free_bytes
from pytest_deploygate.clients import stopping
from pytest_deploygate.clients.host.place import Done, Place
from pytest_deploygate.clients.stopping import Ended
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell, words_for_bytes

PREFIX = "dgr-"
_LONGEST_SOCKET = 107
_LEASE_S = 30.0
_PIECE_BYTES = 48_000
# Kills the processes working in a folder, the server first so that its children end with it, and removes the folder. A
# process is killed only if its command line names the folder: after a host crash its id may be another server's.
_REMOVE = """
remove() {
  server=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
  grep -qsF -- "$1/data" "/proc/${server:-none}/cmdline" || server=''
  [ -n "$server" ] && kill -QUIT "$server" 2>/dev/null
  for try in 1 2 3 4 5 6 7 8; do
    [ -n "$server" ] && kill -0 "$server" 2>/dev/null && [ "$try" -lt 4 ] && sleep 0.1 && continue
    rm -rf "$1" 2>/dev/null
    [ -d "$1" ] || return 0
    for each in $(grep -lsF -- "$1/data" /proc/[0-9]*/cmdline); do
      pid=${each#/proc/} pid=${pid%/cmdline}
      [ "$pid" = "$$" ] || kill -KILL "$pid" 2>/dev/null
    done
    sleep 0.3
  done
}
"""
# $1 folder, $2 process of the run ('' if it is on another host: then the lease must be renewed), $3 its start time.
_GUARD = (
    _REMOVE
    + """
root=$1 pid=$2 since=$3
echo $$ >"$root/guard"
alive() {
  if [ -n "$pid" ]; then [ "$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null | cut -d' ' -f20)" = "$since" ]
  else [ $(( $(date +%s) - $(stat -c %Y "$root/lease" 2>/dev/null || echo 0) )) -lt 180 ]; fi
}
while [ -d "$root" ]; do
  alive || remove "$root"
  sleep 0.5
done
"""
)
_SWEEP = (
    _REMOVE
    + """
for root in {}/dgr-*; do
  [ -d "$root" ] || continue
  guard=$(cat "$root/guard" 2>/dev/null)
  if [ -n "$guard" ] && tr '\\0' ' ' <"/proc/$guard/cmdline" 2>/dev/null | grep -qF -- "$root"; then continue; fi
  [ -n "$(find "$root" -maxdepth 0 -mmin -0.1)" ] && [ -z "$guard" ] && continue
  remove "$root" && echo "$root"
done
"""
)
_FIND = """
for each in {} /usr/lib/postgresql/{}/bin /usr/pgsql-{}/bin $(dirname "$(command -v postgres || echo /none/none)"); do
  [ -x "$each/postgres" ] && [ -x "$each/pg_ctl" ] && [ -x "$each/psql" ] || continue
  "$each/postgres" --version && echo "$each" && exit 0
done
exit 3
"""
_WAIT = """
last=''
while [ $(date +%s) -lt $(( $(cat {}) )) ]; do
  state=$({} -X -q -A -t -h {} -p 5432 -U {} -d {} -c {} 2>&1) && case "$state" in paused) echo "$state"; exit 0;; esac
  last=$state
  kill -0 "$(head -n 1 {}/postmaster.pid 2>/dev/null)" 2>/dev/null || { sleep 0.3; kill -0 "$(head -n 1 {}/postmaster.pid 2>/dev/null)" 2>/dev/null || exit 7; }
  sleep 0.1
done
echo "$last"; exit 8
"""


@dataclass(frozen=True)
class Programs:
    """PostgreSQL's programs on the scratch host."""

    folder: str
    major: int


class Instance:
    """A folder on a host with a data folder in it, guarded as soon as it exists."""

    def __init__(self, place: Place, folder: str) -> None:
        self.place = place
        self.root = f"{folder}/{PREFIX}{secrets.token_hex(4)}"
        self.data = f"{self.root}/data"
        self.sockets = f"{self.root}/s"
        self._over = threading.Event()
        if len(os.fsencode(f"{self.sockets}/.s.PGSQL.5432.lock")) > _LONGEST_SOCKET:
            raise CannotTell(
                f"`scratch.folder` {folder} is too long for the path of a unix socket; name a shorter one"
            )

    def __enter__(self) -> Self:
        made = self.place.run(
            "umask 077 && mkdir {} {} {} && touch {}",
            self.root,
            self.data,
            self.sockets,
            f"{self.root}/lease",
        )
        if made.code:
            raise CannotTell(
                f"the scratch folder {self.root} on {self.place.name} cannot be created: {made.said}"
            )
        mine = _process() if self.place.host == "local://" else ("", "")
        begin = "setsid -f sh -c {} guard {} {} {} </dev/null >/dev/null 2>&1"
        self.place.run(begin, _GUARD, self.root, *mine)
        if not mine[0]:
            threading.Thread(target=self._renew, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        with stopping.shielded():
            self.place.run(_REMOVE + "remove {}", self.root, timeout_s=300)

    def gone(self) -> bool:
        """Tell whether the folder is gone. Raises CannotTell if the host cannot be asked."""
        return self.place.run("test ! -e {}", self.root).code == 0

    def _renew(self) -> None:
        """Renew the lease while we are running: a guard on another host cannot see our process."""
        while not self._over.wait(_LEASE_S):
            try:
                self.place.run("touch {}", f"{self.root}/lease", timeout_s=20)
            except CannotTell:
                continue
            except Ended:
                return

    def start(self, programs: Programs, settings: Mapping[str, str], *, recover: bool) -> Done:
        """Configure the server, for this folder alone, and start it without waiting until it accepts connections."""
        lines = "".join(
            f"{name} = '{value.replace(chr(39), chr(39) * 2)}'\n" for name, value in settings.items()
        )
        script = (
            "umask 077 && printf %s {} >{} && printf %s {} >{} && : >{} && rm -f {}/standby.signal {}/recovery.signal"
            " {}/postmaster.pid && : >{}/postgresql.auto.conf"
        )
        hba = "local all all trust\n"
        files = (
            lines,
            f"{self.root}/postgresql.conf",
            hba,
            f"{self.root}/hba.conf",
            f"{self.root}/ident.conf",
        )
        done = self.place.run(script, *files, *[self.data] * 4)
        if done.code:
            raise CannotTell(f"the scratch server in {self.root} cannot be configured: {done.said}")
        if recover:
            self.place.run("touch {}/recovery.signal", self.data)
        return self.place.run(
            "{} -D {} -s -W -l {} -o {} start </dev/null",
            f"{programs.folder}/pg_ctl", self.data, f"{self.root}/log", f"-c config_file={self.root}/postgresql.conf",
        )  # fmt: skip

    def wait_paused(self, programs: Programs, role: str, database: str, state: str, within_s: float) -> Done:
        """Wait until recovery is paused. Exit code 7: the server ended; 8: it was not paused within the time."""
        until = f"{self.root}/until"
        self.place.run("echo $(( $(date +%s) + {} )) >{}", str(int(within_s)), until)
        return self.place.run(
            _WAIT, until, f"{programs.folder}/psql", self.sockets, role, database, state, self.data, self.data,
            timeout_s=within_s + 30,
        )  # fmt: skip

    def log(self) -> str:
        """Return the errors in the server's log, or its last lines if there are none, and the last WAL segment it received."""
        log = f"{self.root}/log"
        quiet = "starting up|not yet accepting|shutting down"
        done = self.place.run(
            "grep -hE 'FATAL|PANIC|ERROR|could not' {} | grep -vE {} | tail -n 3", log, quiet
        )
        if not done.output.strip():
            done = self.place.run("tail -n 4 {}", log)
        got = self.place.run(
            "grep -oE 'restored log file \"[0-9A-F]{24}\"' {} | tail -n 1", log
        ).output.strip()
        lines = [re.sub(r"^[-0-9]+ [:.0-9]+ \w+ \[\d+\] ", "", line) for line in done.output.splitlines()]
        return " / ".join(
            [line.strip() for line in lines] + ([f"the last it received: {got}"] if got else [])
        )[:500]

    def psql(self, programs: Programs, role: str, database: str, script: str, bound_s: float) -> Done:
        """Run a script as `role`; rows are unaligned, with fields separated by tabs."""
        file = f"{self.root}/script.sql"
        self._put(file, script)
        return self.place.run(
            "{} -X -q -A -t -F \"$(printf '\\t')\" -v ON_ERROR_STOP=1 -h {} -p 5432 -U {} -d {} -f - <{}",
            f"{programs.folder}/psql", self.sockets, role, database, file, timeout_s=bound_s,
        )  # fmt: skip

    def _put(self, file: str, text: str) -> None:
        """Write a file on the host, in pieces: a single argument of a command may have 128 kB. Raises CannotTell."""
        raw = text.encode()
        for begin in range(0, max(1, len(raw)), _PIECE_BYTES):
            piece = base64.b64encode(raw[begin : begin + _PIECE_BYTES]).decode()
            done = self.place.run(
                f"umask 077; printf %s {{}} | base64 -d >{'>' if begin else ''}{{}}", piece, file
            )
            if done.code:
                raise CannotTell(f"{file} on {self.place.name} cannot be written: {done.said}")


def sweep(place: Place, folder: str) -> tuple[str, ...]:
    """Remove what drills whose guard has ended left in `folder`; return those folders. Raises CannotTell."""
    made = place.run("mkdir -p {} && test -w {}", folder, folder)
    if made.code:
        raise CannotTell(
            f"`scratch.folder` {folder} on {place.name} cannot be written by {place.whoami}: {made.said}"
        )
    return tuple(place.run(_SWEEP, folder, timeout_s=120).output.split())


def room(place: Place, folder: str, needed_bytes: int, spare_bytes: int) -> int:
    """Return the free space. Raises CannotTell if a restore of this size would not fit: nothing was started."""
    free = free_bytes(place, folder)
    if free is None:
        raise CannotTell(
            f"df does not report the free space of {folder} on {place.name}; nothing was restored"
        )
    if free < needed_bytes + spare_bytes:
        raise CannotTell(
            f"no restore was started: {folder} on {place.name} has {words_for_bytes(free)} free, the restore takes about "
            f"{words_for_bytes(needed_bytes)} and {words_for_bytes(spare_bytes)} must stay free (`scratch.spare`); make room "
            "or name another folder"
        )
    return free


def programs(place: Place, named: str, major: int) -> Programs:
    """Return PostgreSQL's programs of the same major version. Raises CannotTell if there are none."""
    done = place.run(_FIND, named or "/none", str(major), str(major))
    lines = done.output.split("\n")
    if done.code or len(lines) < 2:
        raise CannotTell(
            f"{place.name} has no postgres, pg_ctl and psql of PostgreSQL {major}; install them there or name their "
            "folder with `scratch.programs`"
        )
    found = int("".join(c if c.isdigit() else " " for c in lines[0].partition(")")[2]).split()[0])
    if found != major:
        raise CannotTell(
            f"{lines[1]} on {place.name} is PostgreSQL {found}, the backup is of PostgreSQL {major}; install that one "
            "there or name its folder with `scratch.programs`"
        )
    return Programs(lines[1].strip(), found)


def _process() -> tuple[str, str]:
    """Return our process id and its start time in clock ticks, which distinguish us from a later process with the same id."""
    try:
        return str(os.getpid()), Path("/proc/self/stat").read_text().rpartition(") ")[2].split()[19]
    except (OSError, IndexError):
        return "", ""
