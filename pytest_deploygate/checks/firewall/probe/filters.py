"""What a host's packet filter does with what no rule mentions: the programs themselves are asked, and their answer is read.

A default that drops counts only if nothing before it lets everything in: a rule without a condition decides.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pytest_deploygate.checks.firewall.facts import Filter
from pytest_deploygate.lazy import dataclass

_DEEPEST = 20
_ENDED = "ended "
_FIREWALLD = (
    "firewall-cmd --state; for z in $($T firewall-cmd --get-active-zones | grep '^[^ ]' | cut -d' ' -f1) "
    '"$($T firewall-cmd --get-default-zone)"; do echo "zone $z $($T firewall-cmd --permanent --zone="$z" --get-target)"; done'
)


def _asked(program: str, command: str, mark: str = _ENDED) -> str:
    return f"if command -v {program} >/dev/null; then {{ $T {command}; }} 2>&1; echo {mark}$?; else echo missing; fi"


COMMANDS = {
    "nftables": _asked("nft", "nft -j list ruleset"),
    "iptables": (
        f"{_asked('iptables-save', 'iptables-save')}; echo '== 6'; {_asked('ip6tables-save', 'ip6tables-save')}"
    ),
    "firewalld": (
        f"if command -v firewall-cmd >/dev/null; then {{ {_FIREWALLD}; }} 2>&1; echo ended 0; else echo missing; fi"
    ),
    "ufw": f"{_asked('ufw', 'ufw status verbose')}; grep -h '^IPV6=' /etc/default/ufw",
}
_DENIED = re.compile(
    r"not permitted|permission denied|must be root|need to be root|authorization failed|not authorized",
    re.IGNORECASE,
)


def _unknown(program: str, said: str) -> Filter:
    """Return why a program's answer says nothing."""
    if not said:
        why = "it gave no answer"
    elif said.strip() == "missing" or said.startswith("missing\n"):
        why = "it is not installed"
    elif _DENIED.search(said):
        why = "we lack the permission to read it: let `run_as` be root"
    else:
        why = f"its answer cannot be read: {' '.join(said.split())[:120]}"
    return Filter(program, None, None, why)


@dataclass(frozen=True)
class _Rule:
    """A rule as far as it matters: whether it has a condition, and what it does (`drop`, `accept`, `jump`, `goto`, `return`
    or nothing), with the chain of a jump.
    """

    conditional: bool
    does: str
    chain: str = ""


def _decides(rules: Sequence[_Rule], chains: Mapping[str, Sequence[_Rule]], depth: int = 0) -> str:
    """Return what a chain does with a packet that no condition mentions: `drop`, `accept`, `return`, or nothing.

    What has a condition is passed over. A circle of jumps does not load, so the depth is only a bound.
    """
    for rule in rules:
        if rule.conditional or not rule.does:
            continue
        if rule.does not in ("jump", "goto"):
            return rule.does
        inner = _decides(chains.get(rule.chain, ()), chains, depth + 1) if depth < _DEEPEST else ""
        if inner in ("drop", "accept"):
            return inner
        if rule.does == "goto":
            return "return"
    return ""


def _drops(policy: str, rules: Sequence[_Rule], chains: Mapping[str, Sequence[_Rule]]) -> bool:
    """Return whether the base chain drops what no rule mentions."""
    does = _decides(rules, chains)
    return policy == "drop" if does in ("", "return") else does == "drop"


def _nftables(said: str) -> Filter:
    output, ended, code = said.rpartition(_ENDED)
    if not ended or code.strip() != "0":
        return _unknown("nftables", said)
    try:
        parts = json.loads(output or "{}")["nftables"]
        chains, rules = list(_named(parts, "chain")), list(_named(parts, "rule"))
        found = {
            version: _nft_drops(chains, rules, ("inet", family))
            for version, family in ((4, "ip"), (6, "ip6"))
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return _unknown("nftables", output)
    return Filter("nftables", found[4], found[6])


def _named(parts: Sequence[Mapping[str, Any]], kind: str) -> Iterator[Mapping[str, Any]]:
    return (part[kind] for part in parts if kind in part)


def _nft_drops(
    chains: Sequence[Mapping[str, Any]], rules: Sequence[Mapping[str, Any]], families: Sequence[str]
) -> bool:
    """Return whether one of the base chains at the hook `input` drops; a packet must pass all of them."""
    for base in chains:
        if base["family"] not in families or base.get("hook") != "input" or base.get("type") != "filter":
            continue
        table = (base["family"], base["table"])
        inside: dict[str, list[_Rule]] = {}
        for rule in rules:
            if (rule["family"], rule["table"]) == table:
                inside.setdefault(rule["chain"], []).append(_nft_rule(rule))
        if _drops(base.get("policy", "accept"), inside.get(base["name"], ()), inside):
            return True
    return False


def _nft_rule(rule: Mapping[str, Any]) -> _Rule:
    """Read a rule. What is not known to let every packet through (`limit`, a set lookup, an extension) is a condition."""
    conditional, does, chain = False, "", ""
    for expression in rule["expr"]:
        for name, value in expression.items():
            if name in ("accept", "drop", "return"):
                does = name
            elif name == "reject":
                does = "drop"
            elif name in ("jump", "goto"):
                does, chain = name, value["target"]
            elif name not in ("counter", "log", "mangle", "notrack", "comment"):
                conditional = True
    return _Rule(conditional, does, chain)


_IPTABLES_DOES = {"DROP": "drop", "REJECT": "drop", "ACCEPT": "accept", "RETURN": "return"}
#: Targets after which the next rule is looked at.
_IPTABLES_ON = ("LOG", "NFLOG", "AUDIT", "MARK", "CONNMARK", "TRACE", "NOTRACK", "CT", "SET")


def _iptables(said: str) -> Filter:
    four, _, six = said.partition("== 6")
    found = [_save_drops(each) for each in (four, six)]
    if found[0] is None or found[1] is None:
        wrong = _unknown("iptables", (four if found[0] is None else six).strip())
        return Filter("iptables", found[0], found[1], wrong.why)
    return Filter("iptables", found[0], found[1])


def _save_drops(said: str) -> bool | None:
    """Return whether the chain INPUT of the table `filter` drops; None if the answer is none of iptables-save."""
    output, ended, code = said.rpartition(_ENDED)
    if not ended or code.strip() != "0":
        return None
    table, policy, chains = "", "accept", dict[str, list[_Rule]]()
    for line in output.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        elif table == "filter" and line.startswith(":"):
            name, said_policy = line[1:].split()[:2]
            chains.setdefault(name, [])
            policy = said_policy.lower() if name == "INPUT" else policy
        elif table == "filter" and line.startswith("-A "):
            chain, rule = _iptables_rule(line)
            chains.setdefault(chain, []).append(rule)
    return _drops(policy, chains.get("INPUT", ()), chains)


def _iptables_rule(line: str) -> tuple[str, _Rule]:
    """Read `-A INPUT -j DROP`. Options between the chain and the target are conditions, but for a comment."""
    bare = re.sub(r' -m comment --comment ("(?:[^"\\]|\\.)*"|\S+)', "", line)
    found = re.fullmatch(r"-A (\S+)(.*?)(?: -([jg]) (\S+)(.*))?", bare.strip())
    if not found:
        return "", _Rule(conditional=True, does="")
    chain, conditions, how, target = found[1], found[2], found[3], found[4] or ""
    if not target or target in _IPTABLES_ON:
        return chain, _Rule(bool(conditions.strip()), "")
    does = _IPTABLES_DOES.get(target, "goto" if how == "g" else "jump")
    return chain, _Rule(bool(conditions.strip()), does, target)


def _firewalld(said: str) -> Filter:
    lines = said.split("\n")
    if said.startswith("not running"):
        return Filter("firewalld", ipv4=False, ipv6=False, why="it is not running")
    zones = [line.split(None, 2) for line in lines if line.startswith("zone ")]
    if lines[0].strip() != "running" or not zones or any(len(zone) != 3 for zone in zones):
        return _unknown("firewalld", said)
    targets = {zone[1]: zone[2].strip() for zone in zones}
    if strange := [each for each in targets.values() if each not in _ZONE_DROPS]:
        return _unknown("firewalld", strange[0])
    opened = [name for name, target in targets.items() if not _ZONE_DROPS[target]]
    why = f"zone {', '.join(opened)} accepts" if opened else ""
    return Filter("firewalld", not opened, not opened, why)


#: What the target of a zone does with what its rules do not mention. Source: firewalld.zone(5).
_ZONE_DROPS = {"default": True, "%%REJECT%%": True, "REJECT": True, "DROP": True, "ACCEPT": False}


def _ufw(said: str) -> Filter:
    if re.search(r"^Status: inactive", said, re.MULTILINE):
        return Filter("ufw", ipv4=False, ipv6=False, why="it is inactive")
    default = re.search(r"^Default: (\w+) \(incoming\)", said, re.MULTILINE)
    if not re.search(r"^Status: active", said, re.MULTILINE) or not default:
        return _unknown("ufw", said)
    drops = default[1] in ("deny", "reject")
    ipv6 = re.search(r"^IPV6=(\w+)", said, re.MULTILINE)
    if ipv6 is None:
        return Filter(
            "ufw", drops, None, "whether it filters IPv6 is not known: /etc/default/ufw cannot be read"
        )
    return Filter("ufw", drops, drops and ipv6[1].lower() == "yes")


#: Reads what each program printed.
READERS: Mapping[str, Callable[[str], Filter]] = {
    "nftables": _nftables,
    "iptables": _iptables,
    "firewalld": _firewalld,
    "ufw": _ufw,
}
