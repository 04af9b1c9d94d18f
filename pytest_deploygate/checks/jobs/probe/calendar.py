"""When a systemd timer was due, by systemd's own `systemd-analyze calendar`. It only reads the expression; no systemd runs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta

from pytest_deploygate.clients.host.shell import Shell, unit_time

#: From each of these times before now, that many elapses are asked for: seconds of a timer that fires each second, years
#: of one that fires on 29 February.
_BACK = (
    timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6), timedelta(days=1), timedelta(days=3), timedelta(days=10),
    timedelta(days=40), timedelta(days=400), timedelta(days=3000),
)  # fmt: skip
_ELAPSES = 1500
_SPEC = re.compile(r"^TimersCalendar=\{ OnCalendar=(.*?) ; next_elapse=", re.MULTILINE)
_LINE = re.compile(r"^\s*(?:Next elapse|Iter\. #\d+|\(in UTC\)): (.*UTC)\s*$", re.MULTILINE)


def specifications(shown: str) -> tuple[str, ...]:
    """Return the calendar expressions in what `systemctl show --property=TimersCalendar` prints."""
    return tuple(found.strip() for found in _SPEC.findall(shown))


def past(run: Shell, specs: Iterable[str], now: datetime) -> tuple[datetime, ...] | None:
    """Return times up to now at which a timer was due, oldest first; None if the host cannot say. Raises CannotTell.

    Within each span before now they are complete up to a number, so the newest are. Expressions are in the host's time
    zone, as for the host's systemd.
    """
    times: set[datetime] = set()
    for spec in specs:
        command = (
            f"for base in {' '.join(str(int((now - back).timestamp())) for back in _BACK)}; do LC_ALL=C systemd-analyze calendar "
            f"--base-time=@$base --iterations={_ELAPSES} %s || exit; done"
        )
        code, said, _ = run(command, spec)
        if code:
            return None
        times |= set(parse(said))
    return tuple(sorted(at for at in times if at <= now))


def parse(said: str) -> Iterable[datetime]:
    """Yield the times, in UTC, that `systemd-analyze calendar` printed. Pure."""
    for text in _LINE.findall(said):
        at = unit_time(text)
        if at is not None:
            yield at
