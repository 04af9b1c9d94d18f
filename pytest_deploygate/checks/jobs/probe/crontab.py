"""What cron would do with a line of a crontab, by the rules of the cron that is installed on that host.

Debian's `crontab -n` checks a whole file without installing it, and its answer counts. Where no such program can be asked,
only what all implementations read in the same way is judged; the rest is a `problem`. The rules of Debian's cron and
cronie are from crontab(5) and cron(8) of each.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import PurePath
from typing import Literal

from cronsim import CronSim, CronSimError

from pytest_deploygate.checks.jobs.facts import ScheduleFacts, ends
from pytest_deploygate.clients.host.shell import Shell
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import shortened

NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_SETTING = re.compile(r"\s*[\"']?([^\s=\"']+)[\"']?\s*=\s*(.*?)\s*")
_ITEM = r"(?:\*|\d+|[A-Za-z]{3})(?:-(?:\d+|[A-Za-z]{3}))?(?:/\d+)?"
_FIELD = re.compile(rf"{_ITEM}(?:,{_ITEM})*")
_RANDOM = re.compile(r"\d*~\d*")
# Which cron: cronie names itself; Debian's crontab has -n. A crontab that is a link to busybox is BusyBox's.
_KIND = (
    'command -v crontab >/dev/null || { echo none; exit 0; }; case $(readlink -f "$(command -v crontab)") in'
    " *busybox*) echo busybox; exit 0;; esac; said=$(crontab -V 2>&1); case $said in *cronie*) echo cronie;;"
    " *'dry run'*) echo debian;; *) echo other;; esac"
)
_REFUSED = re.compile(r'"-":(\d+): (.*)')


@dataclass(frozen=True)
class Cron:
    """The cron of a host. `refuses` is why it ignores the whole file, `strangers` are user names that the host does not know.

    `unsafe` is why cron does not read the file at all: its owner, or its mode.
    """

    kind: Literal["debian", "cronie", "unknown"] = "unknown"
    refuses: str = ""
    strangers: frozenset[str] = frozenset()
    unsafe: str = ""


@dataclass(frozen=True)
class Entry:
    """A line with a time: `when` as written (five fields, or a nickname), `user` of a system crontab, `what` runs."""

    number: int
    when: str
    user: str
    what: str


def read(run: Shell, path: PurePath, command: str, host: str) -> ScheduleFacts:
    """Read a crontab on its host and find the lines that run `command`."""
    where = f"{path}" if host == "local://" else f"{path} on {host}"
    try:
        # The dot shows whether the last line is ended.
        code, text, errors = run("LC_ALL=C cat %s && printf .", str(path))
        if code and "No such file" in errors:
            return ScheduleFacts("crontab", where, found=False, detail="the file does not exist")
        if code:
            return ScheduleFacts("crontab", where, problem=f"{where} cannot be read: {errors}")
        text = text[:-1]
        _, zone, _ = run("readlink -f /etc/localtime")
        cron = _cron(run, text, path)
    except CannotTell as unknown:
        return ScheduleFacts("crontab", where, problem=str(unknown))
    name = zone.strip().partition("zoneinfo/")[2].removeprefix("posix/") or "UTC"
    return parse(text, command, where, name, path, cron)


def _cron(run: Shell, text: str, path: PurePath) -> Cron:
    _, kind, _ = run(_KIND)
    users = sorted({entry.user for entry in _entries(text, of_system(path)) if entry.user})
    strangers: frozenset[str] = frozenset()
    if users:
        asked = (
            "for each in "
            + " ".join(["%s"] * len(users))
            + '; do id -u -- "$each" >/dev/null 2>&1 || echo "$each"; done'
        )
        strangers = frozenset(run(asked, *users)[1].split("\n")) - {""}
    unsafe = ""
    if str(path.parent) == "/etc/cron.d" or str(path) == "/etc/crontab":
        _, status, _ = run("stat -Lc '%%U %%a' %s", str(path))
        owner, _, mode = status.strip().partition(" ")
        if owner and owner != "root":
            unsafe = f"it belongs to {owner}, not to root"
        elif mode.isdigit() and int(mode, 8) & 0o022:
            unsafe = f"others than its owner may write it (mode {mode})"
    match kind.strip():
        case "debian":
            code, said, errors = run(
                "printf '%%s' %s | LC_ALL=C crontab -n - 2>&1", without_users(text, path)
            )
            said = f"{said} {errors}"
            if code and "not allowed" in said:
                return Cron("unknown", "", strangers, unsafe)
            return Cron("debian", _refused(said) if code else "", strangers, unsafe)
        case "cronie":
            return Cron("cronie", "", strangers, unsafe)
    return Cron("unknown", "", strangers, unsafe)


def _refused(said: str) -> str:
    if found := _REFUSED.search(said):
        # Its numbers begin with 0.
        return f"line {int(found[1]) + 1}: {found[2].partition('errors in')[0].strip()}"
    return shortened(" ".join(said.split()), 200)


def of_system(path: PurePath) -> bool:
    """True for a crontab whose sixth column is a user: /etc/crontab, and files in a folder cron.d."""
    return path.parent.name == "cron.d" or str(path) == "/etc/crontab"


def without_users(text: str, path: PurePath) -> str:
    """Return the text of a system crontab without its column of users, as `crontab -n` expects it. Pure."""
    if not of_system(path):
        return text
    lines = text.split("\n")
    for entry in _entries(text, system=True):
        lines[entry.number - 1] = f"{entry.when} {entry.what}" if entry.what else f"{entry.when} true"
    return "\n".join(lines)


def _entries(text: str, system: bool) -> Iterator[Entry]:
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.lstrip(" \t")
        if not stripped.strip("\r") or stripped.startswith("#") or _SETTING.fullmatch(line):
            continue
        times = 1 if stripped.startswith("@") else 5
        words = stripped.split(None, times)
        when, rest = " ".join(words[:times]), words[times] if len(words) > times else ""
        user = ""
        if system:
            user, _, rest = rest.replace("\t", " ", 1).partition(" ")
            rest = rest.lstrip()
        yield Entry(number, when, user, rest)


def parse(
    text: str,
    command: str,
    where: str,
    zone: str,
    path: PurePath,
    cron: Cron = Cron(),  # noqa: B008 (it is frozen)
) -> ScheduleFacts:
    """Find the lines of a crontab that run `command`, and what cron does with them. Pure.

    `zone` is the host's time zone. Only cronie heeds CRON_TZ; Debian's cron does not know it.
    """
    mine = [
        entry
        for entry in _entries(text, of_system(path))
        # What stands in the place of the user, and is none, was meant as the command.
        if runs(f"{entry.user} {entry.what}" if entry.user in cron.strangers else entry.what, command)
    ]
    if not mine:
        return _none(text, command, where, zone)
    zones = {
        found[2].strip("\"'")
        for line in text.split("\n")[: mine[-1].number]
        if (found := _SETTING.fullmatch(line)) and found[1] == "CRON_TZ"
    }
    if wrong := _wrong_file(text, path, cron, mine):
        return ScheduleFacts("crontab", where, zone=zone, wrong=wrong)
    problem = _unclear(path, cron, zones, mine)
    if problem:
        return ScheduleFacts("crontab", where, zone=zone, problem=problem)
    if zones and cron.kind == "cronie":
        zone = zones.pop()
    delay = _random_delay(text, mine[-1].number) if cron.kind == "cronie" else timedelta(0)
    timed = [entry for entry in mine if entry.when.lower() != "@reboot"]
    if not timed:
        return ScheduleFacts(
            "crontab",
            where,
            zone=zone,
            wrong=f"line {mine[0].number} runs it only when the host starts (@reboot)",
        )
    expressions, never = [], ""
    for entry in timed:
        expression = NICKNAMES.get(entry.when.lower(), entry.when)
        expression = " ".join(as_debian(expression)) if cron.kind == "debian" else expression
        if not comes(expression):
            never = f"line {entry.number}: the time {entry.when!r} never comes"
            if not possible(expression):
                return ScheduleFacts(
                    "crontab",
                    where,
                    zone=zone,
                    wrong=f"line {entry.number} has no valid time: {entry.when!r}, so cron rejects it",
                )
            continue
        expressions.append(expression)
    return ScheduleFacts(
        "crontab",
        where,
        expressions=tuple(expressions),
        zone=zone,
        wrong="" if expressions else never,
        delay=delay,
    )


def _random_delay(text: str, before: int) -> timedelta:
    """Return by how many minutes cronie delays the lines at most: the last RANDOM_DELAY before them."""
    found = [
        match[2].strip("\"'")
        for line in text.split("\n")[:before]
        if (match := _SETTING.fullmatch(line)) and match[1] == "RANDOM_DELAY"
    ]
    return timedelta(minutes=int(found[-1])) if found and found[-1].isdigit() else timedelta(0)


def _none(text: str, command: str, where: str, zone: str) -> ScheduleFacts:
    """Say why no line runs the command: it is switched off, or only mentioned."""
    off = mentioned = ""
    for number, line in enumerate(text.split("\n"), 1):
        if command not in line:
            continue
        if line.lstrip().startswith("#"):
            switched = _mentions(line, command) and _was_entry(line, command)
            off = off or (f"line {number} is commented out" if switched else "")
        elif not _SETTING.fullmatch(line):
            mentioned = (
                mentioned
                or f"line {number} names {command!r}, but only in a comment or as part of another name"
            )
    detail = off or mentioned or f"no line names {command!r}"
    return ScheduleFacts("crontab", where, found=bool(off), enabled=not off, zone=zone, detail=detail)


def _wrong_file(text: str, path: PurePath, cron: Cron, mine: list[Entry]) -> str:
    """Say why cron does not run the lines, for a reason that all implementations share or this one has."""
    unended = text.rpartition("\n")[2].strip()
    if unended and not unended.startswith("#"):  # a comment may end with the file (Debian's `crontab -n`)
        last = text.count("\n") + 1
        if cron.kind != "cronie" or any(entry.number == last for entry in mine):
            return f"line {last} has no line end, so cron refuses it: add a newline at the end of the file"
    returns = [entry.number for entry in mine if entry.what.endswith("\r") or entry.when.endswith("\r")]
    if returns:
        return f"line {returns[0]} ends with a carriage return (CRLF), which becomes part of the command: convert the file"
    if (
        str(path.parent) == "/etc/cron.d"
        and cron.kind == "debian"
        and not re.fullmatch(r"[A-Za-z0-9_-]+", path.name)
    ):
        return (
            f"cron ignores the file: {path.name} has a character that is not allowed in names in /etc/cron.d"
        )
    if cron.unsafe:
        return f"cron ignores the file: {cron.unsafe}"
    for entry in _entries(text, of_system(path)):
        if of_system(path) and (not entry.user or entry.user in cron.strangers):
            ours = entry in mine
            if ours or cron.kind == "debian":
                what = "cron ignores it" if ours else "cron ignores the whole file"
                return (
                    f"line {entry.number} names no user of this host before its command ({entry.user!r}), as a system crontab "
                    f"must: {what}"
                )
    if cron.refuses:
        return f"cron refuses the whole file: {cron.refuses}"
    return ""


def _unclear(path: PurePath, cron: Cron, zones: set[str], mine: list[Entry]) -> str:
    """Say what depends on which cron is installed, if that is unknown."""
    if len(zones) > 1:
        return f"CRON_TZ is set {len(zones)} times ({', '.join(sorted(zones))})"
    ask = "no crontab program there can be asked which cron it is (Debian's and cronie's are known)"
    if cron.kind == "unknown":
        if zones:
            return f"whether cron heeds CRON_TZ={zones.pop()} depends on its kind; {ask}"
        if str(path.parent) == "/etc/cron.d" and not re.fullmatch(r"[A-Za-z0-9_-]+", path.name):
            return f"whether cron reads a file named {path.name} depends on its kind; {ask}"
    if cron.kind != "debian":
        for entry in mine:
            fields = NICKNAMES.get(entry.when.lower(), entry.when).split()
            odd = [
                field
                for field in fields
                if not _FIELD.fullmatch(field) and not (cron.kind == "cronie" and _RANDOM.fullmatch(field))
            ]
            if odd and entry.when.lower() != "@reboot":
                return f"line {entry.number}: what cron makes of {odd[0]!r} depends on its kind; {ask}"
    return ""


def as_debian(expression: str) -> list[str]:
    """Return the fields as Debian's cron reads them: it drops what follows a field's last valid item. Pure."""
    return [found[0] if (found := _FIELD.match(field)) else field for field in expression.split()]


def comes(expression: str) -> bool:
    """True if the time of an expression comes within the years that are looked at."""
    fields = [low for low, _ in map(ends, expression.split())]
    if len(fields) != 5:
        return False
    try:
        next(CronSim(" ".join(fields), datetime(2024, 1, 1, tzinfo=UTC)))
    except (CronSimError, StopIteration):
        return False
    return True


def possible(expression: str) -> bool:
    """True if each field is valid by itself, also if the time never comes (30 February)."""
    fields = expression.split()
    return len(fields) == 5 and comes(" ".join([*fields[:3], "*", fields[4]]))


def runs(what: str, command: str) -> bool:
    """True if a crontab's command runs `command`: not in a comment of the shell, nor in the input after %, nor as a part of a name."""
    return _mentions(_without_comment(what), command)


def _mentions(text: str, command: str) -> bool:
    before = r"(?<![A-Za-z0-9_-])" if re.match(r"[\w-]", command) else ""
    after = r"(?![A-Za-z0-9_-])" if re.search(r"[\w-]\Z", command) else ""
    return bool(re.search(before + re.escape(command) + after, text))


def _without_comment(what: str) -> str:
    """Cut a command where the shell's comment, or cron's input for the command, begins. Pure."""
    quote = ""
    for at, letter in enumerate(what):
        escaped = at > 0 and what[at - 1] == "\\"
        if letter == "%" and not escaped:
            return what[:at]
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'" and not escaped:
            quote = letter
        elif letter == "#" and (at == 0 or what[at - 1] in " \t;|&()"):
            return what[:at]
    return what


def _was_entry(line: str, command: str) -> bool:
    """Tell whether a comment is an entry that was switched off, not just a remark that mentions the command."""
    words = line.lstrip("# \t").partition(command)[0].split()
    return any(comes(" ".join(words[i : i + 5])) or words[i].lower() in NICKNAMES for i in range(len(words)))
