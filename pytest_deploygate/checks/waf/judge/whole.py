"""Judge a run as a whole: it counts, attacks are blocked, users are not, and there is no way around."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pytest_deploygate.checks.waf.facts import Attack, Result, Run
from pytest_deploygate.checks.waf.judge import gaps
from pytest_deploygate.checks.waf.judge.doors import judge_doors
from pytest_deploygate.checks.waf.judge.ended import judge_ended
from pytest_deploygate.checks.waf.judge.gaps import Group
from pytest_deploygate.checks.waf.judge.resolved import judge_groups, judge_resolved
from pytest_deploygate.drills.judging import common_readings, counted, rerun, when
from pytest_deploygate.drills.record import Evidence
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading, Shares, Verdict, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.waf.section import Waf

_SHIPPED = "shipped"


def judge(found: Evidence[Run], criterion: Waf) -> Judgement:
    """Pass if the expected attacks are blocked, ordinary requests are not, and no origin answers around the WAF."""
    again = f"{rerun(found.environment)}, or set `waf.opt_in: {found.environment or 'INVENTORY'}`"
    test = counted(found, criterion.max_age, "run of attacks", again, readings=lambda _: ())
    if isinstance(test, Judgement):
        return test
    run = test.record.facts
    collector = Collector(most=6, confirmed=True)
    if not found.ran_now:
        collector.read(*common_readings(found, criterion.max_age))
        collector.note(f"on record, {when(test.record)}")
    if run.ended:
        judge_ended(run, criterion, collector)
        return collector.judgement(lambda: "")
    expected = list(_expected(run, criterion))
    _ordinary(run, criterion, collector)
    if judge_resolved(run, criterion, collector):
        judge_groups(expected, criterion, collector)
        _blocked(expected, criterion, collector)
        _corpora(run, criterion, collector)
    judge_doors(run, criterion, collector)
    _notes(run, criterion, collector)
    judgement = collector.judgement(lambda: _good(run, expected, criterion))
    return _with_figures(judgement, expected, criterion)


def _rules(waf: Waf) -> str:
    return f"OWASP CRS {waf.crs} at paranoia level {waf.paranoia}"


def _expected(run: Run, waf: Waf) -> Iterator[Attack]:
    """Yield the shipped attacks that must be blocked."""
    for each in run.attacks:
        level = each.levels.get(f"crs-{waf.crs}")
        if (
            each.corpus == _SHIPPED
            and level is not None
            and level <= waf.paranoia
            and waf.least_of(each.attack_class) > 0
            and each.placement not in waf.without
        ):
            yield each


def _ordinary(run: Run, waf: Waf, found: Collector) -> None:
    blocked = [each for each in run.ordinary if each.result is Result.BLOCKED]
    lost = [each for each in run.ordinary if each.result is Result.UNRESOLVED]
    known = len(run.ordinary) - len(lost)
    if not known:
        found.unknown(
            "no ordinary request got an answer, so nothing is known about false positives", where=run.target
        )
        return
    share = 100 * len(blocked) / known
    limit = f"at most {waf.false_positives_percent:g} %"
    over = share > waf.false_positives_percent
    found.read(Reading("ordinary requests blocked", round(share, 1), "%", limit, ok=not over))
    if over:
        names = ", ".join(each.name for each in blocked[:4])
        if len(blocked) == known:
            found.wrong(
                f"all {known} ordinary requests with content are blocked, although a plain GET of {waf.read} is not: the WAF "
                "blocks everyone who sends anything. Look in its log for the rule that matches them, and correct it",
                where=run.target,
            )
        else:
            found.wrong(
                f"{len(blocked)} of {known} ordinary requests {'is' if len(blocked) == 1 else 'are'} blocked, {limit} is allowed: {names}"
                f"{', …' if len(blocked) > 4 else ''}. Look in the WAF's log for the rules that matched, and exclude these "
                "parameters from them; kinds of traffic that this platform does not have go to `waf.without_traffic`",
                where=run.target,
            )
    if lost:
        found.unknown(
            f"{len(lost)} of {len(run.ordinary)} ordinary requests got no answer: {lost[0].said} ({lost[0].name})",
            where=run.target,
        )


def _blocked(expected: Sequence[Attack], waf: Waf, found: Collector) -> None:
    """Judge what was blocked, by class, placement and encoding."""
    known = [each for each in expected if each.result is not Result.UNRESOLVED]
    if not known:
        found.unknown(f"no attack that {_rules(waf)} blocks was sent: leave fewer placements and classes out")
        return
    blocked = sum(each.result is Result.BLOCKED for each in known)
    if not blocked:
        found.read(Reading("attacks blocked", 0, "%", f"at least {waf.least_percent:g} %", ok=False))
        found.wrong(
            f"none of {len(known)} attacks is blocked: the WAF is switched off or only watches, or traffic does not go "
            "through it. Set it to block (ModSecurity: SecRuleEngine On, Debian ships DetectionOnly, and SecRequestBodyAccess On; AWS: Block instead of "
            "Count; Azure: Prevention; Cloudflare: Block instead of Log), and check that its rules are loaded"
        )
        return
    low, left = list(gaps.gaps(known, waf)), list(known)
    for gap in low:
        inside = {each.name for each in gap.attacks}
        found.wrong(gaps.sentence(gap, [each for each in known if each.name not in inside], _rules(waf)))
        found.read(_reading(gap))
        left = [each for each in left if each.name not in inside]
    # What a gap explains is not counted against the other groups.
    for kind in ("class", "placement"):
        found.read(*(_reading(group, rest=bool(low)) for group in gaps.groups(left, waf, kind)))


def _reading(group: Group, *, rest: bool = False) -> Reading:
    limit = f"at least {100 * group.least:g} %"
    name = f"blocked: {group.title}{', the rest' if rest else ''}"
    return Reading(name, round(100 * group.share, 1), "%", limit, ok=not group.low)


def _corpora(run: Run, waf: Waf, found: Collector) -> None:
    """Judge the attacks of other corpora, each as a whole."""
    for corpus in run.corpora:
        if corpus.name == _SHIPPED:
            continue
        sent = [
            each
            for each in run.attacks
            if each.corpus == corpus.name
            and each.result is not Result.UNRESOLVED
            and each.levels.get("rule", 1) <= waf.paranoia
        ]
        wanted = next((each for each in waf.corpora if each.name == corpus.name), None)
        if wanted is None:
            continue
        if not sent:
            found.unknown(
                f"no attack of the corpus {corpus.name} could be sent: {_left_out(corpus.left_out)}"
            )
            continue
        blocked = sum(each.result is Result.BLOCKED for each in sent)
        share = 100 * blocked / len(sent)
        low = share < wanted.least_percent
        limit = f"at least {wanted.least_percent:g} %"
        found.read(Reading(f"blocked: corpus {corpus.name}", round(share, 1), "%", limit, ok=not low))
        if low:
            passed = [each.name for each in sent if each.result is Result.PASSED]
            found.wrong(
                f"{blocked} of {len(sent)} attacks of the corpus {corpus.name} are blocked ({share:.0f} %, {limit} is "
                f"required); passed: {', '.join(passed[:4])}{', …' if len(passed) > 4 else ''}. Raise the paranoia level or "
                "update the rules, or lower `least_percent` of this corpus"
            )
        if corpus.left_out:
            found.note(f"left out: {_left_out(corpus.left_out)}", where=f"corpus {corpus.name}")


def _left_out(left_out: object) -> str:
    counts = dict(left_out) if isinstance(left_out, dict) else {}
    return ", ".join(f"{number} ({why})" for why, number in counts.items()) or "it has none"


def _notes(run: Run, waf: Waf, found: Collector) -> None:
    for corpus in run.corpora:
        if corpus.name == _SHIPPED and corpus.left_out:
            found.note(f"left out: {_left_out(corpus.left_out)}", where="shipped corpus")
    passed = [each.name for each in _expected(run, waf) if each.result is Result.PASSED]
    if passed and not found.failed:
        found.note(f"passed, within the limit: {', '.join(passed[:8])}{', …' if len(passed) > 8 else ''}")


def _good(run: Run, expected: Sequence[Attack], waf: Waf) -> str:
    blocked = sum(each.result is Result.BLOCKED for each in expected)
    sentinels = len(run.sentinels)
    number = len(run.doors)
    closed = f", {number} address{' is' if number == 1 else 'es are'} closed around it" if number else ""
    return (
        f"{blocked} of {len(expected)} attacks that {_rules(waf)} blocks are blocked ({len(run.attacks)} sent in "
        f"{words_for(run.took_s)}), {len(run.ordinary)} ordinary requests and {sentinels} sentinels pass{closed}"
    )


def _with_figures(judgement: Judgement, expected: Sequence[Attack], waf: Waf) -> Judgement:
    if not expected:
        return judgement
    # What explains a gap comes first: with JSON unguarded, every class has lost some.
    first = next(gaps.gaps(expected, waf), None)
    kinds = ("placement", "class") if first and first.kind == "placement" else ("class", "placement")
    figures = tuple(
        Shares(
            f"Attacks blocked, by {kind}",
            "attacks",
            tuple(_row(group) for group in gaps.groups(expected, waf, kind)),
        )
        for kind in kinds
    )
    return Judgement(
        judgement.verdict,
        judgement.reason,
        judgement.readings,
        judgement.notes,
        judgement.deferred_to,
        judgement.verdict is Verdict.FAIL,
        figures,
    )


def _row(group: Group) -> tuple[str, tuple[tuple[str, int], ...], float]:
    counts = Counter(each.result for each in group.attacks)
    return (group.title, tuple((result.value, counts[result]) for result in Result), group.least)
