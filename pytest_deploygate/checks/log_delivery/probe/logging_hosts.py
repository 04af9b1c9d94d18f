"""Have a host log the messages, in one script over one connection."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from pytest_deploygate.checks.access_logs.facts import Clock
from pytest_deploygate.checks.hosts.section import Host
from pytest_deploygate.checks.log_delivery.facts import Kind, Sender
from pytest_deploygate.checks.log_delivery.probe.messages import Messages
from pytest_deploygate.checks.log_delivery.section import LogDelivery
from pytest_deploygate.clients.host.asking import Told, ask
from pytest_deploygate.judging.silent_hosts import Failure
from pytest_deploygate.redaction import shortened

_CLOCK = "date -u +%s.%N"
_TAG = "deploygate"
#: util-linux cuts a message after 1 KiB unless told otherwise, and does not say that a socket is not there; busybox's
#: logger knows neither option.
_LOGGER = (
    'L="logger -t {tag} -p {priority}"; case "$(logger --help 2>&1)" in *--socket-errors*) '
    'L="$L --size 70000 --socket-errors=on";; *--size*) L="$L --size 70000";; esac'
)


def names_of(host: Host, section: LogDelivery) -> Sender:
    """Ask a host for the names that it may log under. What cannot be asked is a value of the sender."""
    if own := section.named.get(host.name):
        return Sender(host.name, (own,), (), section.burst)
    # Not `hostname -f`: it asks DNS, which a host may have to wait for. Names are compared by their first label.
    commands = {"name": "uname -n"}
    told = ask(host.connection, host.run_as, commands, section.timeout.total_seconds(), host.run_as_password)
    if isinstance(told, Failure):
        return Sender(host.name, (host.name,), (), section.burst, problem=told.said)
    names = [name for name in (told.parts.get("name", "").strip(), host.name) if name]
    return Sender(host.name, tuple(dict.fromkeys(names)) or (host.name,), (), section.burst)


def log(host: Host, names: tuple[str, ...], messages: Messages, section: LogDelivery) -> Sender:
    """Have a host log its messages; return what it said of that."""
    commands = {"clock": _CLOCK, **_commands(messages, section), "clock_after": _CLOCK}
    told = ask(host.connection, host.run_as, commands, section.timeout.total_seconds(), host.run_as_password)
    kinds = tuple(messages.marks)
    if isinstance(told, Failure):
        return Sender(host.name, names, kinds, section.burst, problem=told.said)
    unable, refused = _outcome(told.parts, kinds, section)
    return Sender(
        host.name,
        names,
        kinds,
        section.burst,
        clock=_clock(told) or Clock(float("-inf"), float("inf")),
        from_s=told.asked_s,
        to_s=told.answered_s,
        unable=unable,
        refused=refused,
    )


def _commands(messages: Messages, section: LogDelivery) -> dict[str, str]:
    if section.send.file is not None:
        how = _appended(section.send.file, section.level)
        begin = f"[ -f {shlex.quote(section.send.file)} ] && echo there"
        give = {kind: f"{how} {shlex.quote(text)}" for kind, text in messages.texts.items()}
        burst = f'{_counting(messages, section.burst)} while read -r l; do {how} "$l" || exit 1; done'
    else:
        begin = "command -v logger >/dev/null && echo there"
        make = _LOGGER.format(tag=_TAG, priority=f"{section.facility}.{section.level}")
        to = f"$L -u {shlex.quote(section.send.socket)}" if section.send.socket else "$L"
        give = {kind: f"{make}; {to} -- {shlex.quote(text)}" for kind, text in messages.texts.items()}
        burst = f"{make}; {_counting(messages, section.burst)} {to}"
    found = {"there": begin}
    found |= {f"give_{kind.name}": f'{{ {command}; }} 2>&1; echo "exit $?"' for kind, command in give.items()}
    if section.burst:
        found["burst"] = f'{{ {burst}; }} 2>&1; echo "exit $?"'
    return found


def _appended(file: str, level: str) -> str:
    name = shlex.quote(file)
    return f"printf '%s {level.upper()} {_TAG}: %s\\n' \"$(date -u +%Y-%m-%dT%H:%M:%SZ)\" >>{name}"


def _counting(messages: Messages, number: int) -> str:
    return f'i=0; while [ $i -lt {number} ]; do i=$((i + 1)); echo "{messages.burst_mark} $i"; done |'


def _outcome(parts: Mapping[str, str], kinds: tuple[Kind, ...], section: LogDelivery) -> tuple[str, str]:
    """Return why the host cannot log in a way that we know, and what its logging said instead of taking a message."""
    if parts.get("there") != "there":
        if section.send.file is not None:
            return f"it has no file {section.send.file}: correct `send: {{file: …}}`", ""
        return "it has no `logger`: install it (bsdutils or util-linux), or set `send: {file: …}`", ""
    for name in (*(f"give_{kind.name}" for kind in kinds), *(["burst"] if section.burst else [])):
        said, _, code = parts.get(name, "").rpartition("exit ")
        if code.strip() != "0" or "logger:" in said:
            return "", shortened(" ".join(said.split()), 160) or f"exit code {code.strip() or 'unknown'}"
    return "", ""


def _clock(told: Told) -> Clock | None:
    """Return the bounds of the offset of a host's clock from ours."""
    try:
        first, last = (
            told.parts[name].removesuffix(".N").removesuffix(".%N") for name in ("clock", "clock_after")
        )
        resolution = 0.0 if "." in first else 1.0
        low, high = float(last) - told.answered_s, float(first) + resolution - told.asked_s
    except (KeyError, ValueError):
        return None
    return Clock(round(min(low, high), 3), round(max(low, high), 3))
