"""One host: its listeners and packet filters in one script, and the attempts that it makes for us."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from pytest_deploygate.checks.firewall.facts import HostSide, Vantage
from pytest_deploygate.checks.firewall.probe import attempts, filters, listeners, without_python
from pytest_deploygate.checks.firewall.probe.attempts import Key
from pytest_deploygate.checks.hosts.section import Host
from pytest_deploygate.clients.host.asking import ask
from pytest_deploygate.judging.silent_hosts import Cause, Failure
from pytest_deploygate.lazy import dataclass

#: The kernel takes 128 KiB as one argument; what runs as another user has the script three times.
_LONGEST_PLAN = 12_000
#: What is left of a host's time for the login and the other questions.
_MARGIN = 0.8
_PYTHON = (
    "for P in python3 /usr/libexec/platform-python; do "
    "$P -c 'import sys; sys.exit(sys.version_info < (3, 7))' && break; P=; done"
)


@dataclass(frozen=True)
class Asked:
    """What one host told: about itself, and what its attempts met."""

    side: HostSide
    letters: Mapping[Key, str]
    program: str = ""


def use(
    host: Host,
    plan: Iterable[str],
    policies: Iterable[str],
    limits: tuple[float, int, float],
) -> Asked:
    """Ask a host for its listeners and filters and have it make the attempts; `limits` are those of `attempts.make`."""
    timeout_s, at_once, within_s = limits
    wanted = dict.fromkeys(policies)
    commands = {**listeners.COMMANDS, **{name: filters.COMMANDS[name] for name in wanted}}
    letters: dict[Key, str] = {}
    program, side = "", HostSide(host.name)
    for number, part in enumerate(_parts(list(plan))):
        now = commands if number == 0 else {}
        tried = {"tried": _attempts(part, timeout_s, at_once, within_s * _MARGIN)} if part else {}
        told = ask(host.connection, host.run_as, {**now, **tried}, within_s, host.run_as_password)
        if isinstance(told, Failure):
            return Asked(replace(side, failure=side.failure or told), letters, program)
        if number == 0:
            side = replace(
                side,
                **listeners.read(told.parts),
                filters=tuple(filters.READERS[name](told.parts.get(name, "")) for name in wanted),
            )
        lines = told.parts.get("tried", "").splitlines()
        program = next((line[5:].strip() for line in lines if line.startswith("with ")), program)
        letters |= read(lines)
    return Asked(side, letters, program)


def read(lines: Iterable[str]) -> dict[Key, str]:
    """Read the lines of an answer; what has another form is left out."""
    found: dict[Key, str] = {}
    for line in lines:
        match line.split():
            case [letter, protocol, address, ports] if len(letter) == 1:
                for port in attempts.numbers(ports):
                    found[protocol, address, port] = letter
    return found


def _parts(lines: list[str]) -> Iterator[str]:
    """Yield the plan in parts that fit into a command; at least one, which may be empty."""
    part: list[str] = []
    for line in (short for each in lines for short in _short(each)):
        if part and sum(map(len, part)) + len(part) + len(line) > _LONGEST_PLAN:
            yield ";".join(part)
            part = []
        part.append(line)
    yield ";".join(part)


def _short(line: str) -> Iterator[str]:
    """Yield a line whose ports were drawn, and are too many for one command, as several."""
    protocol, address, ports = line.split()
    runs = ports.split(",")
    for at in range(0, len(runs), 1000):
        yield f"{protocol} {address} {','.join(runs[at : at + 1000])}"


def _attempts(plan: str, timeout_s: float, at_once: int, within_s: float) -> str:
    """Return the command that makes attempts with Python, or with what else there is."""
    source = Path(attempts.__file__).read_text(encoding="utf-8")
    arguments = " ".join(map(shlex.quote, (f"{timeout_s:g}", str(at_once), f"{within_s:g}", plan)))
    return (
        f'{_PYTHON}\nif [ "$P" ]; then echo "with Python"; $P -c {shlex.quote(source)} {arguments}\nelse\n'
        f"{without_python.script(plan, timeout_s, within_s)}\nfi"
    )


def vantage(name: str, plan_of: int, tried: int, asked: Asked) -> Vantage:
    """Return a host as a vantage point, usable or not."""
    failure = asked.side.failure
    if not failure and tried and not asked.program:
        failure = Failure(Cause.ANSWER, "it has no python3, bash or nc to make attempts with")
    lacking = "" if asked.program in ("Python", "bash", "") else f"its {asked.program} cannot ask over UDP"
    return Vantage(name, tried, plan_of, failure, asked.program, lacking)
