"""Which groups of attacks are not blocked: by class, by placement, by encoding, and in words what is off."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from pytest_deploygate.checks.waf.facts import Attack, Result
from pytest_deploygate.lazy import dataclass

if TYPE_CHECKING:
    from pytest_deploygate.checks.waf.section import Waf

#: What each class is called, and the rules of OWASP CRS against it.
CLASSES = {
    "sqli": ("SQL injection", "REQUEST-942-APPLICATION-ATTACK-SQLI, tag attack-sqli"),
    "xss": ("cross-site scripting", "REQUEST-941-APPLICATION-ATTACK-XSS, tag attack-xss"),
    "lfi": ("local file inclusion", "REQUEST-930-APPLICATION-ATTACK-LFI, tag attack-lfi"),
    "rfi": ("remote file inclusion", "REQUEST-931-APPLICATION-ATTACK-RFI, tag attack-rfi"),
    "rce": ("remote command execution", "REQUEST-932-APPLICATION-ATTACK-RCE, tag attack-rce"),
    "ssrf": (
        "server-side request forgery",
        "REQUEST-934-APPLICATION-ATTACK-GENERIC and REQUEST-931-APPLICATION-ATTACK-RFI, tag attack-ssrf",
    ),
    "php": ("PHP injection", "REQUEST-933-APPLICATION-ATTACK-PHP, tag attack-injection-php"),
    "java": ("Java injection", "REQUEST-944-APPLICATION-ATTACK-JAVA, tag language-java"),
    "protocol": ("protocol attacks", "REQUEST-920-PROTOCOL-ENFORCEMENT and REQUEST-921-PROTOCOL-ATTACK"),
    "scanner": (
        "scanners",
        "REQUEST-913-SCANNER-DETECTION and the restricted files of REQUEST-930-APPLICATION-ATTACK-LFI",
    ),
    "upload": ("uploads of executable files", "rule 933110 and REQUEST-933-APPLICATION-ATTACK-PHP"),
    "other": ("other attacks", "the whole rule set"),
}
#: All placements with a body: one switch turns their inspection off.
BODIES = "bodies"
_IN_BODIES = ("form", "json", "multipart", "upload", "body")
_PLACES = {
    "query": ("query strings", "look for an exclusion of ARGS, or of this path"),
    "path": ("paths", "look for an exclusion of REQUEST_URI or REQUEST_FILENAME"),
    "header": (
        "headers",
        "look for an exclusion of REQUEST_HEADERS; cloud WAFs inspect headers only if told to",
    ),
    "cookie": (
        "cookies",
        "look for an exclusion of REQUEST_COOKIES; cloud WAFs inspect cookies only if told to",
    ),
    "form": (
        "form bodies",
        "turn inspection of bodies on (ModSecurity: SecRequestBodyAccess On; clouds: body inspection)",
    ),
    "json": (
        "JSON bodies",
        "have the WAF parse JSON (ModSecurity: SecRequestBodyAccess On, and rule 200001 with "
        "ctl:requestBodyProcessor=JSON for each JSON content type; clouds: JSON body inspection)",
    ),
    "multipart": (
        "multipart bodies",
        "have the WAF parse multipart/form-data (ModSecurity: SecRequestBodyAccess On; clouds: body inspection)",
    ),
    "upload": (
        "uploaded files",
        "have the WAF look into uploaded files and their names (FILES, FILES_NAMES)",
    ),
    "body": ("raw bodies", "turn inspection of bodies on"),
    BODIES: (
        "bodies of any kind",
        "only lines and headers of requests are inspected; turn inspection of bodies on (ModSecurity: SecRequestBodyAccess On; "
        "clouds: body inspection)",
    ),
}
_ENCODINGS = {
    "url": "in which every byte is percent-encoded",
    "double": "that are percent-encoded twice",
    "case": "in mixed upper and lower case",
    "comment": "with comments in place of blanks",
    "unicode": "with escaped Unicode characters",
    "html": "with HTML entities",
    "plain": "without further encoding",
}


@dataclass(frozen=True)
class Group:
    """Attacks that have a class, a placement or an encoding in common; `least` is the share that must be blocked."""

    kind: str
    name: str
    attacks: tuple[Attack, ...]
    least: float

    @property
    def blocked(self) -> int:
        """How many were blocked."""
        return sum(each.result is Result.BLOCKED for each in self.attacks)

    @property
    def share(self) -> float:
        """The share that was blocked, between 0 and 1."""
        return self.blocked / len(self.attacks)

    @property
    def low(self) -> bool:
        """Whether less than required was blocked."""
        return self.blocked < self.least * len(self.attacks) - 1e-9

    @property
    def title(self) -> str:
        """What the group is called."""
        if self.kind == "class":
            return CLASSES[self.name][0]
        return _PLACES[self.name][0] if self.kind == "placement" else f"attacks {_ENCODINGS[self.name]}"


def groups(attacks: Sequence[Attack], waf: Waf, kind: str) -> list[Group]:
    """Return the groups of one kind, in the order of their names in the corpus."""

    def key(each: Attack) -> str:
        return {"class": each.attack_class, "placement": each.placement, "encoding": each.encoding}[kind]

    order = {name: n for n, name in enumerate((*CLASSES, *_PLACES, *_ENCODINGS))}
    if kind != "class":
        # A class from which less is expected pulls no placement down.
        attacks = [each for each in attacks if waf.least_of(each.attack_class) >= waf.least_percent]
    ordered = sorted(attacks, key=lambda each: (order.get(key(each), 99), key(each)))
    return [
        Group(kind, name, tuple(found), (waf.least_of(name) if kind == "class" else waf.least_percent) / 100)
        for name, found in groupby(ordered, key)
    ]


def gaps(attacks: Sequence[Attack], waf: Waf) -> Iterator[Group]:
    """Yield what is not blocked, the best explanation first; what one gap explains is not counted in the next."""
    left = list(attacks)
    while left:
        found = [group for kind in ("placement", "class", "encoding") for group in groups(left, waf, kind)]
        bodies = [each for group in found if group.kind == "placement" for each in group.attacks]
        if bodies := [each for each in bodies if each.placement in _IN_BODIES]:
            found.append(Group("placement", BODIES, tuple(bodies), waf.least_percent / 100))
        low = [group for group in found if group.low]
        if not low:
            return
        missing = sum(each.result is not Result.BLOCKED for each in left)
        worst = max(low, key=lambda group: _explains(group, missing))
        yield worst
        gone = {each.name for each in worst.attacks}
        left = [each for each in left if each.name not in gone]


def _explains(group: Group, missing: int) -> float:
    """Return how well a group explains what is missing: it holds much of it (recall), and little else (precision)."""
    inside = len(group.attacks) - group.blocked
    return 2 * inside / (missing + len(group.attacks))


def sentence(gap: Group, rest: Sequence[Attack], expected_of: str) -> str:
    """Say what is not blocked, how many others are, and what to change. `rest` are the attacks outside of the group."""
    count, total = gap.blocked, len(gap.attacks)
    least = f"at least {100 * gap.least:.0f} % is required"
    others = sum(each.result is Result.BLOCKED for each in rest)
    beside = f", of all others {others} of {len(rest)}" if rest else ""
    passed = [each.name for each in gap.attacks if each.result is Result.PASSED]
    examples = f"; passed: {', '.join(passed[:3])}{', …' if len(passed) > 3 else ''}"
    if gap.kind == "class":
        what = f"{CLASSES[gap.name][0]}: {count} of {total} attacks are blocked ({100 * gap.share:.0f} %; {least}){beside}"
        advice = f"switch the rules against it on, and look for exclusions ({CLASSES[gap.name][1]})"
    elif gap.kind == "placement":
        place, how = _PLACES[gap.name]
        what = (
            f"attacks in {place}: {count} of {total} are blocked ({100 * gap.share:.0f} %; {least}){beside}"
        )
        advice = how
    else:
        what = f"attacks {_ENCODINGS[gap.name]}: {count} of {total} are blocked ({100 * gap.share:.0f} %; {least}){beside}"
        advice = "have the WAF decode before it matches (the transformations t: of its rules)"
    return f"{what}, of those that {expected_of} blocks: {advice}{examples}"
