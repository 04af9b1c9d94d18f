"""Judge Patroni: one leader that takes writes, members that could take over, settings as declared, and databases that agree."""

from __future__ import annotations

from pytest_deploygate.checks.patroni.facts import Found, InDatabase, Listed, Reported, Settings
from pytest_deploygate.fields.patroni import Patroni
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading, words_for_bytes, words_for_count

__all__ = ["judge"]

#: `running` is what replicas say before 3.0.4, `streaming` after.
_WELL = ("running", "streaming")
_LEADS = ("master", "primary")
_EDIT = "patronictl edit-config"


def judge(found: Found, criterion: Patroni) -> Judgement:
    """Pass if a failover could happen now, as it is declared, and the databases confirm what Patroni says."""
    said = Collector(about="Patroni")
    _members(found, said)
    _store(found, said)
    _leader(found, said)
    _list(found, criterion, said)
    _settings(found, criterion, said)
    _candidates(found, criterion, said)
    _databases(found, said)
    return said.judgement(lambda: _good(found))


def _members(found: Found, said: Collector) -> None:
    for each in found.members:
        if not each.problem:
            continue
        if each.ours:
            said.unknown(each.problem)
        else:
            # Others answer, or there would be no measurement.
            said.wrong(f"{each.problem}: start Patroni there; until then nothing manages {each.member}")


def _store(found: Found, said: Collector) -> None:
    ttl_s = found.settings.ttl_s if found.settings else 30.0
    for each in found.members:
        if each.dcs_age_s is not None and each.dcs_age_s > ttl_s:
            said.wrong(
                f"{each.member} has not reached its DCS for {each.dcs_age_s:.0f} s (ttl {ttl_s:.0f} s): no failover can "
                "happen; check etcd's members with `etcdctl endpoint health`"
            )
    if not found.stores:
        return
    healthy = sum(each.healthy for each in found.stores)
    needed = len(found.stores) // 2 + 1
    said.read(
        Reading("healthy members of the DCS", healthy, "members", f"at least {needed}", ok=healthy >= needed)
    )
    sick = "; ".join(f"{each.url}: {each.said}" for each in found.stores if not each.healthy)
    if healthy < needed:
        said.wrong(
            f"the DCS has no quorum: {healthy} of {len(found.stores)} members are healthy, {needed} are needed ({sick}); "
            "start the others"
        )
    elif sick:
        said.note(f"a member of the DCS is not healthy, another one less leaves no quorum: {sick}")


def _leader(found: Found, said: Collector) -> None:
    leaders = [each.member for each in found.members if each.role in _LEADS]
    said.read(Reading("members that lead", len(leaders), limit="1", ok=len(leaders) == 1))
    if len(leaders) > 1:
        said.wrong(f"{len(leaders)} members say that they lead: {', '.join(leaders)}; stop all but one now")
    elif not leaders:
        text = "no member says that it leads: see `patronictl list`"
        (said.unknown if any(each.problem for each in found.members) else said.wrong)(text)


def _list(found: Found, criterion: Patroni, said: Collector) -> None:
    if found.listed_problem:
        said.unknown(f"there is no list of members: {found.listed_problem}")
        return
    declared = {member.name for member in criterion.members}
    names = {each.member for each in found.listed}
    for name in sorted(declared - names):
        said.wrong(f"{name} is not in the list of members: see `patronictl list`, then start Patroni there")
    for name in sorted(names - declared):
        said.wrong(
            f"{name} is a member that the inventory does not name: add it to `database.patroni.members`"
        )
    leaders = [each for each in found.listed if each.leads]
    for each in found.listed:
        if each.role == "standby_leader":
            said.wrong(
                f"{each.member} is a standby leader: the whole cluster follows another one and takes no writes"
            )
        if each.state not in _WELL:
            said.wrong(f"{each.member} is {each.state!r}, expected running or streaming: see its log")
    for each in found.listed:
        main = leaders[0].timeline if len(leaders) == 1 else None
        if None not in (main, each.timeline) and each.timeline != main:
            said.wrong(
                f"{each.member} is on timeline {each.timeline}, the leader on {main}: `patronictl reinit` it"
            )
    _lag(found, criterion, said)


def _lag(found: Found, criterion: Patroni, said: Collector) -> None:
    bound = criterion.max_lag if criterion.max_lag is not None else _own_bound(found.settings)
    if bound is None:
        return
    of = "max_lag" if criterion.max_lag is not None else "maximum_lag_on_failover"
    for each in found.listed:
        if each.leads:
            continue
        lag = _greatest(each, found)
        if lag is None:
            said.unknown(f"{each.member}'s lag is unknown: does it stream? See `patronictl list`")
            continue
        said.read(Reading(f"lag of {each.member}", lag, "B", f"at most {bound}", ok=lag <= bound))
        if lag > bound:
            said.wrong(
                f"{each.member} is {words_for_bytes(lag)} behind, {of} is {words_for_bytes(bound)}: Patroni would not "
                "promote it; find out why its receiver or its replay stands still"
            )


def _greatest(member: Listed, found: Found) -> int | None:
    """Return the lag by Patroni or by the leader's pg_stat_replication, whichever is greater."""
    seen = [
        lag
        for each in found.databases
        for who, _, lag in each.senders
        if who == member.member and lag is not None
    ]
    known = [lag for lag in (member.lag_bytes, *seen) if lag is not None]
    return max(known, default=None)


def _own_bound(settings: Settings | None) -> int | None:
    return settings.max_lag_bytes if settings else None


def _settings(found: Found, criterion: Patroni, said: Collector) -> None:
    settings = found.settings
    if any(each.paused for each in found.members) or (settings and settings.paused):
        said.wrong("it is paused, so no failover happens by itself: `patronictl resume`")
    if settings is None:
        said.unknown(f"its configuration cannot be read: {found.settings_problem}")
        return
    mode = settings.synchronous
    if criterion.synchronous is None:
        said.read(Reading("synchronous_mode", mode))
    else:
        fits = mode == criterion.synchronous or (
            criterion.synchronous == "on" and mode in ("strict", "quorum")
        )
        said.read(Reading("synchronous_mode", mode, limit=criterion.synchronous, ok=fits))
        if not fits:
            loses = ": a failover may lose acknowledged writes" if mode == "off" else ""
            said.wrong(
                f"synchronous_mode is {mode}, declared is {criterion.synchronous}{loses}; {_edit(criterion.synchronous)}"
            )
    if criterion.failsafe is None:
        said.read(Reading("failsafe_mode", _switch(settings.failsafe)))
        return
    fits = settings.failsafe is criterion.failsafe
    wanted = _switch(criterion.failsafe)
    said.read(Reading("failsafe_mode", _switch(settings.failsafe), limit=wanted, ok=fits))
    if not fits:
        what = (
            "the leader stops taking writes when the DCS is lost"
            if criterion.failsafe
            else "the leader stays writable without its DCS as long as all members answer"
        )
        said.wrong(
            f"failsafe_mode is {_switch(settings.failsafe)}, declared is {wanted}: {what}; `{_EDIT} -s "
            f"failsafe_mode={str(criterion.failsafe).lower()}`"
        )


def _edit(mode: str) -> str:
    if mode == "off":
        return f"`{_EDIT} -s synchronous_mode=false`"
    strict = " -s synchronous_mode_strict=true" if mode == "strict" else ""
    return f"`{_EDIT} -s synchronous_mode=true{strict}`"


def _switch(on: bool) -> str:
    return "on" if on else "off"


def _candidates(found: Found, criterion: Patroni, said: Collector) -> None:
    """In a synchronous mode only a synchronous replica takes over, and one with `nosync` never is."""
    if not found.listed:
        return
    synchronous = found.settings is not None and found.settings.synchronous != "off"
    able, barred = [], []
    for each in found.listed:
        if each.leads:
            continue
        tags = [tag for tag in each.barred if tag != "nosync" or synchronous]
        if tags:
            barred.append(f"{each.member} has the tag {' and '.join(tags)}")
        elif each.state in _WELL:
            able.append(each.member)
    enough = len(able) >= criterion.candidates
    said.read(
        Reading(
            "replicas that could take over", len(able), limit=f"at least {criterion.candidates}", ok=enough
        )
    )
    if not enough:
        why = f" ({'; '.join(barred)})" if barred else ""
        step = (
            "remove the tag from its patroni.yml, then `patronictl reload`"
            if barred
            else "see `patronictl list`"
        )
        said.wrong(
            f"{words_for_count(len(able), 'replica', 'replicas')} could take over, at least {criterion.candidates} must be "
            f"able to{why}: {step}"
        )


def _databases(found: Found, said: Collector) -> None:
    roles = {each.member: each for each in found.members if not each.problem}
    listed = {each.member: each for each in found.listed}
    for each in found.databases:
        if each.problem:
            said.unknown(each.problem)
            continue
        reported = roles.get(each.member)
        if reported is not None:
            _same_role(each, reported, said)
        if not each.in_recovery:
            _same_standbys(each, listed, found.settings, said)
    writable = [each.member for each in found.databases if not each.problem and not each.in_recovery]
    if len(writable) > 1:
        said.wrong(f"{len(writable)} servers take writes: {', '.join(writable)}; stop all but the leader now")


def _same_role(database: InDatabase, reported: Reported, said: Collector) -> None:
    leads = reported.role in _LEADS
    if leads is database.in_recovery:
        state = "in recovery" if database.in_recovery else "not in recovery"
        said.wrong(
            f"Patroni calls {database.member} {reported.role!r}, but its server is {state}: see Patroni's log there"
        )
    if reported.timeline is not None and database.timeline and reported.timeline != database.timeline:
        said.wrong(
            f"Patroni says that {database.member} is on timeline {reported.timeline}, its server says {database.timeline}"
        )


def _same_standbys(
    leader: InDatabase, listed: dict[str, Listed], settings: Settings | None, said: Collector
) -> None:
    streams = {who: how for who, how, _ in leader.senders}
    for each in listed.values():
        if each.leads or each.member == leader.member or each.state not in _WELL:
            continue
        if each.member not in streams:
            said.wrong(
                f"Patroni lists {each.member} as {each.state}, but {leader.member} has no sender that streams to it "
                "(pg_stat_replication): see the server's log there"
            )
        elif each.role == "sync_standby" and streams[each.member] not in ("sync", "quorum"):
            said.wrong(
                f"Patroni lists {each.member} as synchronous, but for {leader.member} it is {streams[each.member]}"
            )
    if settings is None or settings.synchronous == "off":
        return
    partners = [who for who, how in streams.items() if how in ("sync", "quorum")]
    said.read(
        Reading("synchronous replicas by the leader", len(partners), limit="at least 1", ok=bool(partners))
    )
    if not partners:
        said.wrong(
            f"synchronous_mode is {settings.synchronous}, but commits on {leader.member} wait for no replica "
            f"(synchronous_standby_names is {leader.synchronous_standby_names!r}): see `patronictl list`"
        )


def _good(found: Found) -> str:
    leader = next((each.member for each in found.listed if each.leads), "")
    mode = found.settings.synchronous if found.settings else ""
    return (
        f"{leader} leads {words_for_count(len(found.listed) - 1, 'replica', 'replicas')} as its server says, too; "
        f"synchronous_mode is {mode}, it is not paused"
    )
