"""The commands that bring what a host shows here, for `clients.host.asking`. No secret, key or fingerprint is in them.

What a host shows is packed and encoded, so that any bytes arrive. It consists of frames: a line of the mark, a letter and
words, then the content up to the next such line. Frame `E` ends a part that is whole and has the exit code of its `find`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from pytest_deploygate.checks.secrets.section import Secrets

#: Of each process at least this much of its command line and of its environment is looked at, `bytes_per_file` if more.
_PROCESS_BYTES = 65536
#: So many searches may take as long as they may; each is ended then, so that the other parts still arrive.
_SEARCHES = 6
_JOURNAL_LINES = 20_000
#: Images of one host that are looked at.
MOST_IMAGES = 100
#: A larger file is no private key.
_KEY_KB = 64
#: Names of files that may be private keys.
_KEY_NAMES = ("*.key", "*.pem", "*.p8", "id_*", "*_key", "*key*.pem")
_PACKED = {"gz": "gzip", "xz": "xz", "bz2": "bzip2", "zst": "zstd"}
#: Left as they are for the shell to expand.
_WILD = re.compile(r"([*?\[\]]+)")
#: Folders that not everybody may enter: files in them are not readable by everybody, whatever their mode.
_CLOSED = r"\( -type d ! -perm -001 -prune \)"
_CLOSED_TO_GROUP = r"\( -type d ! -perm -001 ! -perm -010 -prune \)"


def bytes_of_process(secrets: Secrets) -> int:
    """Return how much of the arguments, and of the environment, of a process is looked at."""
    return max(_PROCESS_BYTES, secrets.bytes_per_file)


def commands(secrets: Secrets, key_paths: Sequence[str], mark: str) -> dict[str, str]:
    """Return the commands by the names of their parts."""
    files, logs = _existing(secrets.files), _existing(secrets.logs)
    each, whole = secrets.bytes_per_file, secrets.bytes_per_host
    own_mark = shlex.quote(mark)
    limit_s = max(1, round(secrets.timeout.total_seconds() / _SEARCHES))
    return {
        # `find` needs a folder to come back to, which another user's home is not. `$L` limits the time of a search.
        "user": f"cd /; L=; if timeout 1 true; then L='timeout {limit_s}'; fi; id -un",
        "proc": "grep ' /proc ' /proc/mounts",
        "folders": f"{_listed([*secrets.files, *secrets.logs])}",
        "processes": _packed(_processes(bytes_of_process(secrets), own_mark), whole),
        "names": _packed(
            f"printf '\\n%s N names\\n' {own_mark}; {files}; {_find('-print', own_mark, errors=True)}; "
            f"printf '\\n%s N names\\n' {own_mark}; {logs}; {_find('-print', own_mark, errors=True)}",
            whole,
        ),
        "files": _packed(f"{files}; {_find(_world_readable(each, own_mark), own_mark)}", whole),
        "logs": _packed(f"{logs}; {_find(_logs(each, own_mark), own_mark)}", whole),
        "journal": _packed(_journal(each, own_mark), whole),
        **({"images": _packed(_images(own_mark), whole)} if secrets.images else {}),
        "private_keys": f"{files}; {_find(_private_keys(), own_mark)}",
        "key_files": "; ".join(_key_file(path) for path in key_paths) or "true",
    }


def _existing(folders: Sequence[str]) -> str:
    """Return a command that makes the folders that exist the arguments of the shell."""
    return f'set --; for d in {shlex.join(folders)}; do if [ -e "$d" ]; then set -- "$@" "$d"; fi; done'


def _listed(folders: Sequence[str]) -> str:
    return f'for d in {shlex.join(folders)}; do if [ -e "$d" ]; then echo "$d"; fi; done'


def _find(what: str, mark: str, *, errors: bool = False) -> str:
    """Return a search below the shell's arguments, and the frame that ends it."""
    return (
        f'if [ $# -gt 0 ]; then $L find "$@" -xdev {what}{" 2>&1" if errors else ""}; '
        f"printf '\\n%s E %s\\n' {mark} $?; else printf '\\n%s E 0\\n' {mark}; fi"
    )


def _packed(command: str, most: int) -> str:
    return f"{{ {command}; }} | head -c {most} | gzip -c | base64"


def _processes(most: int, mark: str) -> str:
    """Return a command that prints state, control group, arguments and environment of each process that may be seen.

    `head` names each file that it could open. The state is read again at the end: a process that ended meanwhile has none.
    """
    read = f"head -c {most + 1} /dev/null $p/stat $p/cgroup $p/cmdline $p/environ $p/stat"
    return f"for p in /proc/[0-9]*; do printf '\\n%s P %s\\n' {mark} $p; {read}; done; printf '\\n%s E 0\\n' {mark}"


def _world_readable(each: int, mark: str) -> str:
    script = (
        'm=$1; n=$2; shift 2; for f; do if [ -r "$f" ]; then printf "\\n%s F %s\\n" "$m" "$f"; head -c "$n" "$f"; '
        'else printf "\\n%s U %s\\n" "$m" "$f"; fi; done'
    )
    return f"{_CLOSED} -o -type f -perm -004 -exec sh -c {shlex.quote(script)} sh {mark} {each + 1} {{}} +"


def _logs(each: int, mark: str) -> str:
    """Return the search that prints the end of each log; binary journals of systemd are asked for separately."""
    cases = " ".join(
        f'*.{suffix}) if command -v {tool} >/dev/null; then printf "\\n%s L %s\\n" "$m" "$f"; {tool} -dc <"$f" | tail -c "$n"; '
        'else printf "\\n%s U %s\\n" "$m" "$f"; fi;;'
        for suffix, tool in _PACKED.items()
    )
    script = (
        'm=$1; n=$2; shift 2; for f; do if ! [ -r "$f" ]; then printf "\\n%s U %s\\n" "$m" "$f"; else case $f in '
        f'{cases} *) printf "\\n%s L %s\\n" "$m" "$f"; tail -c "$n" "$f";; esac; fi; done'
    )
    return f"-type f ! -name '*.journal' ! -name '*.journal~' -exec sh -c {shlex.quote(script)} sh {mark} {each + 1} {{}} +"


def _journal(each: int, mark: str) -> str:
    """Return a command that prints the end of systemd's journal; it holds as much as the user may see."""
    read = f"$T journalctl -q --no-pager -o cat -n {_JOURNAL_LINES} | tail -c {each}"
    return f"if [ -d /run/systemd/system ]; then printf '\\n%s J journal\\n' {mark}; {read}; fi; printf '\\n%s E 0\\n' {mark}"


def _images(mark: str) -> str:
    """Return a command that prints names, settings and history of each image.

    Frame `E` has the exit code of the list and the program, `M` the number of images if they are too many, and `D` ends the part. Source: podman-history(1), podman-image-inspect(1), and docker's.
    """
    names = "{{range .RepoTags}}{{.}} {{end}}"
    one = (
        f"printf '\\n%s I %s\\n' {mark} $i; $L $t image inspect --format '{names}{{{{println}}}}{{{{json .Config}}}}' $i; "
        "$L $t history --no-trunc --format '{{.CreatedBy}}' $i"
    )
    return (
        "for t in podman docker; do "
        "if command -v $t >/dev/null; then all=$($L $t images -q --no-trunc); s=$?; "
        f'all=$(echo "$all" | sort -u); for i in $(echo "$all" | head -n {MOST_IMAGES}); do {one}; done; '
        f"n=$(echo \"$all\" | wc -l); if [ $n -gt {MOST_IMAGES} ]; then printf '\\n%s M %s\\n' {mark} $n; fi; "
        f"printf '\\n%s E %s %s\\n' {mark} $s $t; fi; done; printf '\\n%s D images\\n' {mark}"
    )


def _private_keys() -> str:
    """Return the search that prints mode, owner, group and name of private keys that others than their owner may read."""
    names = " -o ".join(f"-name {shlex.quote(name)}" for name in _KEY_NAMES)
    begins = shlex.quote("-----BEGIN [A-Z ]*PRIVATE KEY-----")
    script = f'grep -l -s -e {begins} "$@" | while IFS= read -r f; do stat -L -c "%a %U %G %n" "$f"; done'
    return (
        rf"{_CLOSED_TO_GROUP} -o -type f -size -{_KEY_KB}k \( -perm -040 -o -perm -004 \) \( {names} \) "
        f"-exec sh -c {shlex.quote(script)} sh {{}} +"
    )


def _key_file(path: str) -> str:
    """Return a command that prints mode, owner, group and name of the files that a path stands for."""
    quoted = "".join(
        part if _WILD.fullmatch(part) else shlex.quote(part) for part in _WILD.split(path) if part
    )
    shown = shlex.quote(path)
    return f'echo "= "{shown}; for f in {quoted}; do if [ -e "$f" ]; then stat -L -c "%a %U %G %n" "$f"; fi; done'
