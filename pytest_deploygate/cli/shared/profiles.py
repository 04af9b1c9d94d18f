"""Checklists for common platforms, made from the shipped one: `deploygate init --profile postgres`.

A profile says what it does without; everything else of the shipped checklist is in it, so a new check is in every
profile. Items for which this version has no check are attested by a person, since nothing else could decide them. The
lines that were left out follow at the end in a comment, to be copied back. One line is replaced by a lighter one: the
dated failover drill that `phase2.replication` asks for is not something that a team has on its first day.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection, Mapping
from pathlib import Path

from pytest_deploygate.checklist import parser
from pytest_deploygate.checklist.markdown import What, lines
from pytest_deploygate.checklist.parser import Checklist
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Item, Kind


@dataclass(frozen=True)
class Profile:
    """A kind of platform. `leaves` are ids and groups of ids (`comp`) that it does without."""

    what: str
    leaves: tuple[str, ...]


_ALWAYS = (
    *("infra.cdn", "infra.dns-failover", "db.pooling", "db.retention", "db.partitioning"),
    *("sec.ddos", "comp.iso", "comp.dpa", "comp.audit-trail", "comp.retention", "day.dashboards"),
    *("phase2.aggregates", "phase2.partitioning", "guard.migration-lint"),
    *("guard.n-minus-1", "guard.one-scheduler"),
    *("phase3.pipeline", "phase4", "guard.after-load", "after.overnight"),
    *("crit.reports", "crit.dashboards", "crit.realtime", "crit.alerts"),
)
PROFILES: Mapping[str, Profile] = {
    "full": Profile("the whole checklist", ()),
    "postgres": Profile(
        "PostgreSQL servers with replicas and backups, without the application in front of them",
        (
            *_ALWAYS,
            *("infra.load-balancer", "infra.certificates", "sec.tls", "sec.waf", "sec.pentest", "comp"),
            *("day.customers", "day.maintenance-page", "phase1.stack", "phase1.connectivity", "phase3"),
            *("golive.dns", "golive.traffic", "golive.logins", "golive.workflows"),
            *("after.workflows", "after.integrations", "after.tickets"),
            *("crit.p50", "crit.p99", "crit.uptime", "crit.features", "crit.integrations", "crit.login"),
        ),
    ),
    "web": Profile(
        "a web application on PostgreSQL, with a replica and backups, behind a web server",
        (
            *_ALWAYS,
            *("infra.load-balancer", "sec.waf", "phase1.stack", "phase1.connectivity"),
            *("phase3.containers", "phase3.alerts"),
        ),
    ),
    "kubernetes": Profile(
        "containers on Kubernetes with PostgreSQL behind them",
        (*_ALWAYS, "infra.servers", "sec.waf"),
    ),
}
#: Words that say more than these platforms have.
_REWORDED = {
    "Provision TimescaleDB cluster": "Provision PostgreSQL servers",
    "Configure replication (primary + 2 replicas)": "Configure replication",
    "Provision production servers (minimum 3 nodes for HA)": "Provision production servers",
}
#: Lines that take the place of one that asks for more than a first deployment has: a dated failover drill.
_INSTEAD = {
    "phase2.replication": "- [ ] Test that replicas stream {#phase2.streaming check=db.replication .critical}",
}
_BRACES = re.compile(r"\s*\{([^{}]*)\}\s*$")


def text(name: str, shipped: str, tested: Collection[str]) -> str:
    """Return the checklist of a profile; `shipped` is the shipped checklist, `tested` are the ids that have a check."""
    profile = PROFILES[name]
    if not profile.leaves:
        return shipped
    known = parser.parse(shipped, Path("checklist"))
    gone = {item.id for item in known.items if _left(item.id, profile)}
    body = _Lines(shipped.splitlines(), known).kept(gone, tested)
    for words, plainer in _REWORDED.items():
        body = body.replace(words, plainer)
    about = textwrap.fill(
        f"Written by `deploygate init --profile {name}`, for {profile.what}. Lines without a check in this version are"
        " `.manual`: a person attests them. What was left out is in the comment at the end.",
        width=120,
    )
    first = body.index("\n## ")
    left = "".join(f"{_bare(shipped, item)}\n" for item in known.items if item.id in {*gone, *_INSTEAD})
    comment = (
        "\n<!-- Left out of this profile. Where a line applies to you, copy it below its heading. Test replication also\n"
        f"asks for a failover drill on record: with one, take it instead of `phase2.streaming`.\n\n{left}-->\n"
    )
    return f"{body[:first]}\n{about}\n{body[first:]}{comment}"


def _left(item_id: str, profile: Profile) -> bool:
    return item_id in profile.leaves or item_id.partition(".")[0] in profile.leaves


def _bare(shipped: str, item: Item) -> str:
    """Return an item's line as it stands in the shipped checklist."""
    return shipped.splitlines()[item.line - 1]


@dataclass(frozen=True)
class _Lines:
    """The lines of the shipped checklist, each item and heading of which is one line."""

    source: list[str]
    known: Checklist

    def kept(self, gone: Collection[str], tested: Collection[str]) -> str:
        """Return the text without items in `gone` and without headings that are empty then."""
        items = {item.line: item for item in self.known.items}
        headings = self._headings()
        used = {line for number, item in items.items() if item.id not in gone for line in headings[number]}
        had = {line for number in items for line in headings[number]}
        found = []
        for number, line in enumerate(self.source, 1):
            item = items.get(number)
            if item is not None and item.id in gone:
                continue
            if number in had - used:
                continue
            found.append(_taken(line, item, tested) if item is not None else line)
        return re.sub(r"\n{3,}", "\n\n", "\n".join(found)) + "\n"

    def _headings(self) -> dict[int, list[int]]:
        """Return the lines of the headings above each list line."""
        above: list[tuple[int, int]] = []
        found = {}
        for line in lines("\n".join(self.source)):
            if line.what is What.HEADING:
                above = [one for one in above if one[0] < line.level] + [(line.level, line.line)]
            else:
                found[line.line] = [number for _, number in above]
        return found


def _taken(line: str, item: Item, tested: Collection[str]) -> str:
    """Return an item's line as the profile has it."""
    return _INSTEAD.get(item.id) or (_attested(line) if _needs_a_person(item, tested) else line)


def _needs_a_person(item: Item, tested: Collection[str]) -> bool:
    return item.kind is not Kind.MANUAL and item.closing is None and item.id not in tested


def _attested(line: str) -> str:
    """Mark an item as attested by a person."""
    return _BRACES.sub(lambda found: f" {{{found[1].replace(' .hybrid', '')} .manual}}", line)
