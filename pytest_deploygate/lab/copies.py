"""Making one folder of the lab like another. What is the same in both stays, so that a reset is quick.

Removing a folder and copying it again is slow on ext4: for five minutes the kernel passes over every deleted inode, one
by one, for each new file.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pytest_deploygate.lab import processes
from pytest_deploygate.lab.state import Lab

_EVERYTHING = 'wanted() { find . ! -type d -printf "$1"; }\n'
# A server that was shut down needs only the segment of its last checkpoint and those that are not archived yet. The
# others are kept for reuse and would be most of what is copied. What belongs to one server only is left out.
_DATA = r"""
wanted() {
  find . ! -type d ! -path './pg_wal/0*' ! -path './pg_replslot/*' ! -path './postmaster.*' ! -path ./standby.signal -printf "$1"
  redo=$("$controldata" . | sed -n '/cluster state: *shut down$/,$s/.*REDO WAL file: *//p')
  for each in ./pg_wal/0*; do
    name=${each##*/}
    if [ ! -e "$each" ]; then continue; fi
    if [ -z "$redo" ] || [ ${#name} -ne 24 ] || [ "$name" = "$redo" ] || [ -e "./pg_wal/archive_status/$name.ready" ]; then
      find "$each" -printf "$1"
    fi
  done
}
"""
# Every write to a file sets its time, and `cp -a` preserves the time. So the same size and time mean the same content.
_MIRROR = r"""
umask 077
mkdir -p "$2"
lists="$2.lists"
rm -rf "$lists"  # left by a copy that was killed
mkdir "$lists"
trap 'rm -rf "$lists"' EXIT
cd "$1"
wanted '%p|%s|%T@\n' >"$lists/wanted"
find . -type d ! -path './pg_replslot/*' >"$lists/folders"
cd "$2"
find . ! -type d -printf '%p|%s|%T@\n' >"$lists/there"
find . -depth -type d >"$lists/folders-there"
# No pipes: a shell sees only the failure of the last command, and half a copy must not look complete.
lacking='FILENAME == ARGV[1] { known[$1]; next } !($1 in known) { print $1 }'
changed='FILENAME == ARGV[1] { known[$1] = $0; next } known[$1] != $0 { print $1 }'
awk -F'|' "$lacking" "$lists/wanted" "$lists/there" >"$lists/remove"
awk -F'|' "$lacking" "$lists/folders" "$lists/folders-there" >"$lists/rmdir"
awk -F'|' "$lacking" "$lists/folders-there" "$lists/folders" >"$lists/mkdir"
awk -F'|' "$changed" "$lists/there" "$lists/wanted" >"$lists/copy"
xargs -r -d '\n' -a "$lists/remove" rm -f
xargs -r -d '\n' -a "$lists/rmdir" rmdir
xargs -r -d '\n' -a "$lists/mkdir" mkdir -p
cd "$1"
xargs -r -d '\n' -a "$lists/copy" cp -a --reflink=auto --parents -t "$2"
"""


def data(lab: Lab, source: Path, *targets: Path) -> None:
    """Make data folders like that of a stopped server, in parallel, without what belongs to one server only."""

    def like(target: Path) -> None:
        _run(lab, f"controldata=$3\n{_DATA}{_MIRROR}", source, target, lab.tool("pg_controldata"))

    with ThreadPoolExecutor(max(1, len(targets))) as pool:
        list(pool.map(like, targets))


def folder(lab: Lab, source: Path, target: Path) -> None:
    """Make a folder like another."""
    _run(lab, _EVERYTHING + _MIRROR, source, target)


def _run(lab: Lab, script: str, *words: Path | str) -> None:
    argv = ["/bin/sh", "-ec", script, "sh", *map(str, words)]
    processes.run(argv, user=lab.user, env={"LC_ALL": "C"})
