"""The lab's log aggregation: rsyslog on each host forwards to an aggregator, which writes one file. And the application's log.

A forwarder runs in the namespaces of its host for names and files, and in the network of this machine. The application's
log is that of two nights: the last one, and the one a week before, which was rotated and packed.
"""

from __future__ import annotations

import gzip
import os
import random
import socket
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from signal import SIGTERM

from pytest_deploygate.lab import client, nodes, processes, sql
from pytest_deploygate.lab.programs import tool
from pytest_deploygate.lab.services import Service, hosts
from pytest_deploygate.lab.services.monitoring import PROFILE
from pytest_deploygate.lab.state import HOST, Lab, LabError
from pytest_deploygate.lab.supervisor import Program
from pytest_deploygate.lazy import dataclass

AGGREGATOR = "log-aggregator"
#: The socket of each host's rsyslog, in the host's own /run.
SOCKET = "/run/lab-log"
_RSYSLOG = "rsyslogd"
_BEGIN, _END = time(22, 0), time(6, 0)
_DAY, _WEEK = timedelta(days=1), timedelta(days=7)
#: RFC 5424 with the host's local time, whatever its zone is, written as UTC.
_AS_UTC = 'template(name="as-utc" type="string" string="<%pri%>1 %timereported:1:19:date-rfc3339%Z %hostname% %app-name% - - - %msg%")\n'


@dataclass(frozen=True)
class Forwarding:
    """How a host forwards: over which protocol, what (a selector), how many times, under which name, in which time zone."""

    protocol: str = "tcp"
    what: str = "*.*"
    copies: int = 1
    name: str = ""
    zone: str = ""


def forwarder(name: str) -> str:
    """Return the name of a host's forwarder among the lab's servers."""
    return f"log-forwarder-{name}"


def where(lab: Lab) -> Path:
    """Return the folder of the configurations, the aggregator's file and the application's log."""
    return lab.private / "logs"


def arrived(lab: Lab) -> Path:
    """Return the file in which all messages arrive."""
    return where(lab) / "all.log"


def application(lab: Lab) -> Path:
    """Return the application's log."""
    return where(lab) / "application.log"


def aggregate(lab: Lab, *, udp_most: int = 0) -> None:
    """Start the aggregator anew. With `udp_most` it takes so many UDP messages a minute, and drops the others."""
    limit = f' RateLimit.Interval="60" RateLimit.Burst="{udp_most}"' if udp_most else ""
    place = f'address="{HOST}" port="{lab.ports[AGGREGATOR]}"'
    text = (
        f'global(workDirectory="{where(lab)}" maxMessageSize="64k" net.enableDNS="off")\n'
        'module(load="imtcp")\nmodule(load="imudp")\n'
        f'input(type="imtcp" {place})\ninput(type="imudp" {place}{limit})\n'
        f'action(type="omfile" file="{arrived(lab)}" template="RSYSLOG_SyslogProtocol23Format" fileCreateMode="0640")\n'
    )
    _run(lab, AGGREGATOR, text, lab.user, [])
    sql.wait_until("start of the log aggregator", lambda: _listens(lab), 10.0)


def forward(lab: Lab, name: str, how: Forwarding | None = None) -> None:
    """Start a host's forwarder anew. Raises LabError."""
    how = how or Forwarding()
    template = "as-utc" if how.zone else "RSYSLOG_SyslogProtocol23Format"
    frames = 'TCP_Framing="octet-counted" ' if how.protocol == "tcp" else ""
    action = (
        f'action(type="omfwd" target="{HOST}" port="{lab.ports[AGGREGATOR]}" protocol="{how.protocol}" {frames}'
        f'template="{template}" action.resumeInterval="1" action.resumeRetryCount="-1")'
    )
    # Two actions that are the same count as one.
    actions = "\n".join(f"{how.what} {{ {action} }}" for _ in range(how.copies))
    own_name = f' localHostname="{how.name}"' if how.name else ""
    text = (
        f'global(workDirectory="{where(lab)}" maxMessageSize="64k"{own_name})\n'
        f'module(load="imuxsock" SysSock.Name="{SOCKET}")\n{_AS_UTC}{actions}\n'
    )
    own = f"/proc/{hosts.pid(lab, name)}/ns"
    enter = [lab.programs["nsenter"], f"--mount={own}/mnt", f"--uts={own}/uts"]
    _run(lab, forwarder(name), text, None, enter, {"TZ": how.zone} if how.zone else {})
    sql.wait_until(
        f"start of the forwarder of {name}",
        lambda: hosts.inside(lab, name, f"[ -S {SOCKET} ] && echo there || echo none").strip() == "there",
        10.0,
    )


def stop(lab: Lab, name: str) -> None:
    """Stop a server of log aggregation, if it runs."""
    if name in client.status(lab.folder)["servers"]:
        client.stop(lab, name, SIGTERM)


def _run(
    lab: Lab, name: str, text: str, user: str | None, enter: list[str], env: Mapping[str, str] | None = None
) -> None:
    stop(lab, name)
    file = where(lab) / f"{name}.conf"
    nodes.put(lab, file, text)
    argv = [*enter, lab.programs[_RSYSLOG], "-n", "-iNONE", "-f", str(file)]
    client.start(lab, name, Program(argv, user, dict(env or {}), death_signal=SIGTERM))


def _listens(lab: Lab) -> bool:
    try:
        with socket.create_connection((HOST, lab.ports[AGGREGATOR]), 1.0):
            return True
    except OSError:
        return False


def start(lab: Lab) -> None:
    """Start the aggregator and the forwarders, and write the application's log. Raises LabError."""
    processes.run(["/bin/mkdir", "-p", str(where(lab))], user=lab.user)
    nodes.put(lab, arrived(lab), "")
    write_nights(lab)
    try:
        aggregate(lab)
        for name in hosts.NAMES:
            forward(lab, name)
    except LabError as error:
        logs = "; ".join(nodes.log_end(lab, name) for name in (AGGREGATOR, *map(forwarder, hosts.NAMES)))
        raise LabError(f"{error}: {logs}") from None


def night(now: datetime) -> tuple[datetime, datetime]:
    """Return the latest night that is over."""
    end = datetime.combine(now.date(), _END, UTC)
    end = end if end <= now else end - timedelta(days=1)
    return datetime.combine(end.date() - timedelta(days=1), _BEGIN, UTC), end


def write_nights(lab: Lab, more: Mapping[str, int] | None = None) -> None:
    """Write the application's log of the last night and of the one a week before.

    The next night and the one a week before that are there as well, ahead of time: a lab may be up when a night ends.
    `more` are further errors of the later nights: texts, in which `{n}` is a number, and how many of each there are.
    """
    begin, end = night(datetime.now(UTC))
    nights = [(begin, end), (begin + _DAY, end + _DAY)]
    packed = application(lab).with_name(f"application.log-{end + _DAY - _WEEK:%Y%m%d}.gz")
    before = "".join(
        line for first, last in nights for line in _lines(first - _WEEK, last - _WEEK, {}, seed=1)
    )
    after = "".join(line for first, last in nights for line in _lines(first, last, more or {}, seed=2))
    for old in where(lab).glob("application.log-*"):
        old.unlink()
    nodes.put(lab, application(lab), after)
    processes.run(["/usr/bin/touch", str(packed)], user=lab.user)
    packed.write_bytes(gzip.compress(before.encode()))
    written_s = (end + _DAY - _WEEK).timestamp()
    os.utime(packed, times=(written_s, written_s))  # as logrotate leaves it


#: What the application logs in an hour: level, logger, text and how often; `{n}` is a number, `{x}` one in hex.
_USUAL = (
    ("INFO", "app.http", "GET /api/machines/{n} 200 in {n} ms", 120),
    ("INFO", "app.sensors", "stored {n} readings of machine {n}", 60),
    ("WARNING", "app.sensors", "reading of sensor {x} is {n} s late", 10),
    ("ERROR", "app.mail", "mail to user {n} was not sent: 451 try again later", 6),
    (
        "ERROR",
        "app.orders",
        "order {n} could not be stored\nTraceback (most recent call last):\n"
        '  File "/srv/app/orders.py", line 88, in store\n    self.insert(order)\n'
        '  File "/srv/app/database.py", line 31, in insert\n    raise Conflict(order)\n'
        "app.database.Conflict: order {n} exists",
        4,
    ),
)
#: One more, of a program that nobody knew: a fault.
NEW_TRACE = (
    "machine {n} sent no state\nTraceback (most recent call last):\n"
    '  File "/srv/app/machines.py", line 140, in state\n    return states[code]\nKeyError: {n}'
)
MAIL = "mail to user {n} was not sent: 451 try again later"


def _lines(begin: datetime, end: datetime, more: Mapping[str, int], seed: int) -> Iterator[str]:
    """Yield the lines of a night, spread evenly, in order of time."""
    drawn = random.Random(seed)  # noqa: S311 (the same log each time)
    hours = (end - begin) / timedelta(hours=1)
    entries = [(level, logger, text, round(count * hours)) for level, logger, text, count in _USUAL]
    entries += [
        ("ERROR", "app.mail" if text == MAIL else "app.machines", text, n) for text, n in more.items()
    ]
    timed = [
        (begin + (end - begin) * (number + drawn.random()) / count, level, logger, text)
        for level, logger, text, count in entries
        for number in range(count)
    ]
    for at, level, logger, text in sorted(timed, key=lambda entry: entry[0]):
        number, code = drawn.randrange(1, 100_000), f"{drawn.getrandbits(32):08x}"
        said = text.replace("{n}", str(number)).replace("{x}", code)
        yield f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z {level} {logger}: {said}\n"


def values(lab: Lab) -> dict[str, str]:
    """Return the paths of the logs, and the hosts' socket."""
    return {
        "logs.arrived": str(arrived(lab)),
        "logs.application": str(application(lab)),
        "logs.socket": SOCKET,
    }


def reset(lab: Lab) -> None:
    """Begin all anew, as on the first day."""
    aggregate(lab)
    for name in hosts.NAMES:
        forward(lab, name)
    write_nights(lab)


def _find(name: str) -> str | None:
    return tool(name) if os.getuid() == 0 else None


SERVICE = Service(
    name="logs",
    servers={
        AGGREGATOR: "rsyslog, at which the messages of all hosts arrive",
        **{forwarder(name): f"rsyslog of {name}" for name in hosts.NAMES},
    },
    programs=(_RSYSLOG, "nsenter"),
    missing="log aggregation is not covered; run the lab as root, with rsyslog installed",
    start=start,
    where=where,
    values=values,
    after=("hosts",),
    reset=reset,
    find=_find,
    profiles=(PROFILE,),
)
