"""Changes that faults make to the lab's backup repository: copied aside, aged, emptied, damaged, put back."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from datetime import timedelta

from pytest_deploygate.lab import backups, nodes, processes, sql
from pytest_deploygate.lab.state import PRIMARY, STANZA, Lab, LabError

_INFO = f"backup/{STANZA}/backup.info"
_DAMAGE = r"""
file=$1 size=$(stat -c %s "$1") at=$(( size / 2 ))
byte=$(dd if="$file" bs=1 skip=$at count=1 2>/dev/null | od -An -tu1 | tr -d ' ')
printf "\\$(printf %03o $(( byte ^ 1 )))" | dd of="$file" bs=1 seek=$at conv=notrunc 2>/dev/null
"""


def keep(lab: Lab) -> None:
    """Copy the backups aside for `put_back`, without the WAL archive, which continues."""
    _sh(
        lab, 'rm -rf "$2" && cp -a --reflink=auto "$1" "$2"', str(_folder(lab)), f"{lab.private}/kept-backups"
    )


def put_back(lab: Lab) -> None:
    """Put back what `keep` copied; nothing happens when there is none."""
    script = 'test -d "$2" || exit 0; rm -rf "$1" && mv "$2" "$1"'
    _sh(lab, script, str(_folder(lab)), f"{lab.private}/kept-backups")


def flip_bytes(lab: Lab) -> None:
    """Flip one bit in the middle of the largest data file of every backup."""
    sets = 'for set in "$1"/*/; do case "$set" in */backup.history/|*/latest/) continue;; esac; find "$set" -type f'
    largest = r"-size +64k ! -name 'backup.manifest*' ! -name backup_manifest ! -path '*/pg_wal/*' -printf '%s %p\n'"
    tail = "| sort -n | tail -n 1 | cut -d' ' -f2-; done"
    for file in _sh(lab, f"{sets} {largest} {tail}", str(_folder(lab))).splitlines():
        _sh(lab, _DAMAGE, file)


def damage_manifests(lab: Lab) -> None:
    """Flip one bit in every backup's manifest and in its copy."""
    found = _sh(lab, "find \"$1\" -name 'backup.manifest*' -o -name backup_manifest", str(_folder(lab)))
    for file in found.splitlines():
        _sh(lab, _DAMAGE, file)


def age(lab: Lab, by: timedelta) -> None:
    """Make every backup look this much older in the repository's own records."""
    seconds = int(by.total_seconds())
    if not lab.pgbackrest:
        script = 'for m in "$1"/*/backup_manifest; do touch -d "@$(( $(stat -c %Y "$m") - $2 ))" "$m"; done'
        _sh(lab, script, str(_folder(lab)), str(seconds))
        return

    def older(line: str) -> str:
        return re.sub(
            r'("backup-timestamp-st(?:art|op)":)(\d+)', lambda m: f"{m[1]}{int(m[2]) - seconds}", line
        )

    _rewrite(lab, older)


def empty(lab: Lab) -> None:
    """Remove all backups from the repository; WAL is still archived."""
    if lab.pgbackrest:
        _rewrite(lab, lambda line: "" if re.match(r"\d{8}-\d{6}F", line) else line)
    else:
        _sh(lab, 'rm -rf "$1"/*', str(_folder(lab)))


def archive_file(lab: Lab, segment: str) -> str:
    """Return the path of an archived segment. Raises LabError when it is not in the archive."""
    where = lab.private / ("repo/archive" if lab.pgbackrest else "archive")
    found = _sh(lab, 'find "$1" -name "$2*" ! -name "*.backup"', str(where), segment).splitlines()
    if not found:
        raise LabError(f"segment {segment} is not in the archive {where}")
    return found[0]


def switch(lab: Lab) -> str:
    """Write a little, switch to a new segment, wait until the old one is archived, and return its name."""
    segment = str(
        sql.execute(
            lab,
            "SELECT pg_logical_emit_message(true, 'lab', 'a segment of its own')",
            "SELECT pg_walfile_name(pg_switch_wal())",
        )[0][0]
    )
    archived = f"SELECT last_archived_wal >= '{segment}' FROM pg_stat_archiver"
    sql.wait_until(f"archiving of {segment}", lambda: bool(sql.value(lab, archived)))
    return segment


def archive_with(lab: Lab, command: str | None) -> None:
    """Change archive_command on the primary; None reverts the change and waits until archiving works again."""
    change = "RESET archive_command" if command is None else f"SET archive_command = '{command}'"
    sql.execute(lab, f"ALTER SYSTEM {change}", "SELECT pg_reload_conf()", node=PRIMARY)
    shown = "SELECT current_setting('archive_command')"
    wanted = nodes.archive_command(lab) if command is None else command
    sql.wait_until("the change of archive_command", lambda: sql.value(lab, shown) == wanted)
    if command is None:
        switch(lab)


def _folder(lab: Lab) -> str:
    return f"{lab.private}/{'repo/backup/' + STANZA if lab.pgbackrest else 'backups'}"


def _rewrite(lab: Lab, change: Callable[[str], str]) -> None:
    """Change lines of pgBackRest's `backup.info` and update its checksum."""
    lines = [change(line) for line in backups.pgbackrest(lab, "repo-get", _INFO).splitlines()]
    body = [line for line in lines if not line.startswith("backrest-checksum=")]
    text = "\n".join([*body, f'backrest-checksum="{_checksum(body)}"', ""])
    for name in (_INFO, f"{_INFO}.copy"):
        backups.pgbackrest(lab, "repo-put", name, stdin=text)


def _checksum(lines: list[str]) -> str:
    """Return the SHA-1 of an info file as pgBackRest makes it: its sections and keys as one JSON object."""
    sections: dict[str, list[str]] = {}
    section = ""
    for line in lines:
        if line.startswith("["):
            section = line.strip("[]")
            sections.setdefault(section, [])
        elif "=" in line:
            key, _, value = line.partition("=")
            sections[section].append(f"{json.dumps(key)}:{value}")
    whole = ",".join(
        f"{json.dumps(name)}:{{{','.join(keys)}}}" for name, keys in sorted(sections.items()) if keys
    )
    return hashlib.sha1(f"{{{whole}}}".encode(), usedforsecurity=False).hexdigest()


def _sh(lab: Lab, script: str, *words: str) -> str:
    return processes.run(["/bin/sh", "-ec", script, "sh", *words], user=lab.user)
