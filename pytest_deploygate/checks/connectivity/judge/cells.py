"""Judge one cell: a service as one place reaches it, at all of its addresses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from pytest_deploygate.checks.connectivity.facts import Cell, FullSize, Kind, Step, Try
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Reading, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.connectivity.section import Connectivity, Service

_NEXT = {
    Step.NAME: "look at the resolver and at /etc/hosts of that place",
    Step.TCP: "look at the filters and routes between them, and at what listens",
    Step.TLS: "look at the certificates that the place trusts, and at what is between them",
    Step.FIRST: "look at the service behind that port",
}
_SERVER_ERRORS = 500
#: A wait of which our own processors took this share says nothing.
_LATE = 0.5


@dataclass(frozen=True)
class Judged:
    """What a cell is: wrong, unknown (both sentences with their next step), or neither; and its reading.

    `step` is the first one that failed; `refused` says that something there answered.
    """

    source: str
    service: str
    reading: Reading
    wrong: str = ""
    unknown: str = ""
    notes: tuple[str, ...] = ()
    step: Step | None = None
    refused: bool = False

    @property
    def good(self) -> bool:
        """Whether it is as required."""
        return not self.wrong and not self.unknown


def judge_cell(cells: Sequence[Cell], service: Service, limits: Connectivity) -> Judged:
    """Judge the addresses of one service as one place met them; one that its clients cannot use makes the cell wrong."""
    source, notes = cells[0].source, list[str]()
    several = len(cells) > 1
    wrong: list[tuple[str, Step | None, bool]] = []
    unknown: list[str] = []
    aside = [cell for cell in cells if _of_no_use(cell)]
    rest = [cell for cell in cells if cell not in aside]
    if rest:
        notes += [
            f"{service.name} has the address {cell.address}, which {source} cannot use ({_met(_settled(cell))}); it uses the "
            "others, as its clients do"
            for cell in aside
        ]
    else:
        rest = list(cells)
    for cell in rest:
        at = f" at {cell.address}" if several and cell.address else ""
        said = _address(cell, service, limits)
        if said.wrong:
            wrong.append((f"{said.wrong}{at}", said.step, said.refused))
        elif said.unknown:
            unknown.append(f"{said.unknown}{at}")
    best = _best(rest)
    if wrong:
        words, step, refused = wrong[0]
        reading = Reading(_name(source, service), _short(words), limit="reached", ok=False)
        return Judged(
            source, service.name, reading, wrong=words, notes=tuple(notes), step=step, refused=refused
        )
    if unknown:
        reading = Reading(_name(source, service), "unknown", limit="reached", ok=None)
        return Judged(source, service.name, reading, unknown=unknown[0], notes=tuple(notes))
    value, limit_s = _slowest(best, service, limits)
    limit = f"at most {limit_s * 1000:g} ms"
    reading = Reading(_name(source, service), round(value * 1000, 1), "ms", limit, ok=True)
    return Judged(source, service.name, reading, notes=tuple(notes))


def _of_no_use(cell: Cell) -> bool:
    """Tell whether an address of IPv6 costs clients no time: no route leads there, or it refuses at once."""
    met = _settled(cell)
    at_once = met.kind is Kind.NO_ROUTE or (met.kind is Kind.REFUSED and met.failed is Step.TCP)
    return ":" in cell.address and at_once


def _name(source: str, service: Service) -> str:
    return f"{source} → {service.name}"


def _short(words: str) -> str:
    return words.partition("; ")[0]


@dataclass(frozen=True)
class _Said:
    wrong: str = ""
    unknown: str = ""
    step: Step | None = None
    refused: bool = False


def _address(cell: Cell, service: Service, limits: Connectivity) -> _Said:
    failures = [each for each in cell.tries if each.failed]
    if len(failures) * 2 > len(cell.tries):
        return _failure(_settled(cell), cell.late_s, limits)
    if failures:
        one = failures[0]
        return _Said(
            unknown=f"failed once of {len(cell.tries)} times ({_met(one)}): it may be a link or one of several servers that "
            "is bad; run it again"
        )
    statuses = [each.status for each in cell.tries if each.status is not None]
    if service.speaks == "http" and len(statuses) < len(cell.tries):
        return _Said(unknown="its answer has no HTTP status; see what listens on that port")
    if any(status >= _SERVER_ERRORS for status in statuses):
        bad = next(status for status in statuses if status >= _SERVER_ERRORS)
        return _Said(
            unknown=f"HTTP {bad}: something answers, but a proxy answers so too when nothing is behind it; look at the service"
        )
    return _times(cell, service, limits) or _full_size(cell, limits) or _Said()


def _failure(each: Try, late_s: float, limits: Connectivity) -> _Said:
    step = each.failed or Step.TCP
    timeout_s = limits.timeout.total_seconds()
    if each.kind is Kind.OWN:
        return _Said(unknown=f"could not be tried: {each.said}", step=step)
    if each.kind is Kind.SILENT and late_s >= _LATE * timeout_s:
        return _Said(
            unknown=f"{_met(each)}, but its processors kept the attempt waiting for up to {words_for(late_s)}; run it again "
            "when it has less to do",
            step=step,
        )
    return _Said(
        f"{_met(each)}; {_NEXT[step]}", step=step, refused=each.kind is Kind.REFUSED and step is not Step.NAME
    )


def _met(each: Try) -> str:
    return f"{each.failed}: {each.said}"


def _settled(cell: Cell) -> Try:
    """Return a failure of the cell if most attempts failed, else one that did not."""
    failures = [each for each in cell.tries if each.failed]
    if len(failures) * 2 > len(cell.tries):
        return failures[0]
    return next(each for each in cell.tries if not each.failed)


def _times(cell: Cell, service: Service, limits: Connectivity) -> _Said | None:
    """The better of two times counts: our own pauses only add to one."""
    for what, time_of, limit in _limited(service, limits):
        least = min((value for each in cell.tries if (value := time_of(each)) is not None), default=None)
        limit_s = limit.total_seconds()
        if least is None or least <= limit_s:
            continue
        if cell.late_s >= _LATE * (least - limit_s):
            return _Said(
                unknown=f"{what} took {words_for(least)}, more than {words_for(limit)}, but its processors kept attempts "
                f"waiting for up to {words_for(cell.late_s)}; run it again when it has less to do"
            )
        step = Step.TCP if what == "the connection" else Step.FIRST
        return _Said(
            f"{what} took {words_for(least)} twice, more than {words_for(limit)}; look at the load of the service and "
            "at the way to it",
            step=step,
        )
    return None


def _limited(
    service: Service, limits: Connectivity
) -> list[tuple[str, Callable[[Try], float | None], timedelta]]:
    found: list[tuple[str, Callable[[Try], float | None], timedelta]] = [
        ("the connection", lambda each: each.connect_s, limits.connect_within)
    ]
    if service.tls or service.speaks:
        found.append(("the first byte", lambda each: each.first_s or each.tls_s, limits.first_byte_within))
    return found


def _full_size(cell: Cell, limits: Connectivity) -> _Said | None:
    full = cell.full_size or FullSize()
    if full.acknowledged is False:
        return _Said(
            f"path MTU: packets with {full.segment} bytes get no acknowledgment, short ones do: something on the way drops "
            "what is too long and does not say so; lower the MTU of the place, or let ICMP pass",
            step=Step.TCP,
        )
    if full.path_mtu is not None and full.path_mtu < limits.path_mtu:
        return _Said(
            f"path MTU: packets have at most {full.path_mtu} bytes, less than {limits.path_mtu}; look at tunnels on the way",
            step=Step.TCP,
        )
    return None


def _best(cells: Sequence[Cell]) -> list[Try]:
    return [each for cell in cells for each in cell.tries if not each.failed]


def _slowest(tries: Sequence[Try], service: Service, limits: Connectivity) -> tuple[float, float]:
    """Return the last time that was measured, with its limit: that of the first byte, or of the connection."""
    _, time_of, limit = _limited(service, limits)[-1]
    found = [value for each in tries if (value := time_of(each)) is not None]
    if found:
        return min(found), limit.total_seconds()
    connected = [each.connect_s for each in tries if each.connect_s is not None]
    return min(connected, default=0.0), limits.connect_within.total_seconds()
