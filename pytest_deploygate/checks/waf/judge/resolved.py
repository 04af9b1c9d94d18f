"""Judge how many answers say neither that a request was blocked nor that it passed: in all, and in each group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pytest_deploygate.checks.waf.facts import Attack, Result, Run
from pytest_deploygate.checks.waf.judge import gaps
from pytest_deploygate.checks.waf.judge.gaps import Group
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Reading

if TYPE_CHECKING:
    from pytest_deploygate.checks.waf.section import Waf

#: Of a group, one answer or this share may be lost by chance: few of all attacks are spread over the groups.
_BY_CHANCE, _SHARE = 1, 0.2


def judge_resolved(run: Run, waf: Waf, found: Collector) -> bool:
    """Judge how many answers say neither that a request was blocked nor that it passed. Returns whether they are few enough."""
    attacks = run.attacks
    if not attacks:
        found.unknown("no attack was sent", where=run.target)
        return False
    lost = [each for each in attacks if each.result is Result.UNRESOLVED]
    share = 100 * len(lost) / len(attacks)
    limit = f"at most {waf.unresolved_percent:g} %"
    few = share <= waf.unresolved_percent
    found.read(Reading("attacks unresolved", round(share, 1), "%", limit, ok=True) if few else
               Reading("attacks unresolved", round(share, 1), "%"))  # fmt: skip
    if few:
        return True
    pages = [each for each in lost if each.page]
    if len(pages) > len(lost) / 2:
        said, count = Counter(each.page for each in pages).most_common(1)[0]
        found.unknown(
            f"{count} attacks got one page, “{said}”, with the status of an ordinary answer, and no ordinary request got it: "
            "if it is the block page, name words of it in `waf.blocked.pattern`; if it is the application's, in "
            "`waf.reached.pattern`",
            where=run.target,
        )
        return False
    answers = Counter(each.said for each in lost).most_common(3)
    found.unknown(
        f"{len(lost)} of {len(attacks)} attacks ({share:.0f} %, {limit} is allowed) were answered neither with a block nor as "
        f"the same request without payload: {', '.join(f'{said} ({n} times)' for said, n in answers)}. A status with which "
        "the WAF blocks goes to `waf.blocked.status`; an error of the application is known by `waf.reached`",
        where=run.target,
    )
    return False


def judge_groups(expected: Sequence[Attack], waf: Waf, found: Collector) -> None:
    """Say which class, placement or encoding is not known, as too many of its attacks are unresolved.

    Few of all can be all of one class. A group that is low whatever they were is left to the judge of gaps.
    """
    left = list(expected)
    for kind in ("placement", "class", "encoding"):
        for group in gaps.groups(left, waf, kind):
            lost = [each for each in group.attacks if each.result is Result.UNRESOLVED]
            if not _unknown(group, len(lost)):
                continue
            answers = Counter(each.said for each in lost).most_common(2)
            found.unknown(
                f"{group.title}: {len(lost)} of {len(group.attacks)} attacks were answered neither with a block nor as the same "
                f"request without payload ({', '.join(f'{said} {n} times' for said, n in answers)}), so whether they are blocked "
                "is not known. A status with which the WAF blocks goes to `waf.blocked.status`; an error of the application is "
                "known by `waf.reached`; a placement that the platform does not have goes to `waf.without`"
            )
            gone = {each.name for each in lost}
            left = [each for each in left if each.name not in gone]


def _unknown(group: Group, lost: int) -> bool:
    """Tell whether a group would be low if all that is unresolved had passed, and more than a chance loss is."""
    number = len(group.attacks)
    if lost == 0 or group.least == 0:
        return False
    if lost == number:
        return True
    few = lost <= max(_BY_CHANCE, number * _SHARE)
    surely_low = group.blocked < group.least * (number - lost) - 1e-9
    return not few and group.low and not surely_low
