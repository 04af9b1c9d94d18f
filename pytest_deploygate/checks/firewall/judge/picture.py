"""The table as it was met: a row for each target and port, a column for each vantage point."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence

from pytest_deploygate.checks.firewall.expected import Expected
from pytest_deploygate.checks.firewall.facts import Network, Outcome, Seen
from pytest_deploygate.checks.firewall.judge import attempts
from pytest_deploygate.checks.firewall.judge.attempts import Paths
from pytest_deploygate.model import Grid

#: Rows and columns that are kept, those with something wrong or unknown before others.
_MOST_ROWS, _MOST_COLUMNS = 60, 20
_ORDER = {"fail": 0, "unknown": 1, "pass": 2, "": 3}

Field = tuple[str, str]
_Row = tuple[str, str, str]


def drawn(network: Network, down: Collection[str]) -> Grid | None:
    """Return the picture; None if no vantage point could be used."""
    sources = [each.name for each in network.vantages if each.name not in down]
    served = attempts.served(network)
    rows: dict[_Row, dict[str, list[Seen]]] = defaultdict(lambda: defaultdict(list))
    paths: dict[str, Paths] = {}
    for source in sources:
        own = [each for each in network.seen if each.source == source]
        paths[source] = attempts.paths_of(source, own, network, served)
        for each in own:
            # Of a network, each address has ports of its own.
            ports = "" if each.network else each.ports
            rows[each.target, each.protocol, ports][source].append(each)
    if not rows:
        return None
    fields = {
        row: {source: _field(met, paths[source]) for source, met in by_source.items()}
        for row, by_source in rows.items()
    }
    kept = sorted(fields, key=lambda row: min(_ORDER[look] for look, _ in fields[row].values()))[:_MOST_ROWS]
    columns = _columns(sources, fields)
    return Grid(
        _title(len(kept), len(fields), len(columns), len(sources)),
        tuple(columns),
        tuple((_name(row), tuple(fields[row].get(source, ("", "")) for source in columns)) for row in kept),
    )


def _columns(sources: Sequence[str], fields: dict[_Row, dict[str, Field]]) -> list[str]:
    worst = {
        source: min((_ORDER[met[source][0]] for met in fields.values() if source in met), default=3)
        for source in sources
    }
    kept = set(sorted(sources, key=worst.__getitem__)[:_MOST_COLUMNS])
    return [source for source in sources if source in kept]


def _title(rows: int, all_rows: int, columns: int, all_columns: int) -> str:
    parts = [
        f"{shown} of {number} {what}"
        for shown, number, what in ((rows, all_rows, "rows"), (columns, all_columns, "vantage points"))
        if shown < number
    ]
    return "The table as it was met" + (f" ({', '.join(parts)})" if parts else "")


def _name(row: _Row) -> str:
    target, protocol, ports = row
    return f"{target} {protocol}/{ports}" if ports else f"{target} {protocol}"


def _field(seen: Sequence[Seen], paths: Paths) -> Field:
    """Return the worst of what was met, with the version of IP where it is that of one only."""
    looks = [(_look(each, paths), each) for each in seen]
    worst = min((look for look, _ in looks), key=_ORDER.__getitem__)
    first = next(each for look, each in looks if look == worst)
    blocked = worst == "fail" and first.outcome is Outcome.SILENT and first.expected is Expected.OPEN
    said = (Outcome.FILTERED if blocked else first.outcome).value
    alone = {each.ip_version for each in seen} - {each.ip_version for look, each in looks if look == worst}
    return worst, f"{said} v{first.ip_version}" if alone else said


def _look(each: Seen, paths: Paths) -> str:
    met = attempts.met(each, paths)
    return "fail" if met == attempts.WRONG else "unknown" if met else "pass"
