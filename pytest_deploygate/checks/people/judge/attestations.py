"""An item is attested when a person in the right role attested it, the evidence is unchanged, and it has not expired."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from pytest_deploygate.checklist.same_person import look_alike, same_person
from pytest_deploygate.checklist.vocabulary import CLOCK_SLACK, roles_asked, time_words
from pytest_deploygate.checks.people.facts import AttestationSeen, AttestationsSeen, BackingSeen
from pytest_deploygate.checks.people.judge import sarif as judge_sarif
from pytest_deploygate.checks.people.judge.sarif import Allowed
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Item, Judgement, Reading, Verdict, combine, words_for


@dataclass(frozen=True)
class Needed:
    """What an item needs: an attestation by each of `roles` (none: by any role), each by a different person.

    `signed`: it must have an SSH signature. `remind`: a note announces the expiry this long before.
    """

    item: str
    roles: tuple[str, ...] = ()
    signed: bool = False
    remind: timedelta = timedelta(days=7)

    @classmethod
    def by(cls, item: Item, *, signed: bool = False) -> Needed:
        """Return what an item of the checklist needs."""
        return cls(item.id, roles_asked(item), signed)


@dataclass(frozen=True)
class _Judged:
    seen: AttestationSeen
    judgement: Judgement
    findings_bad: bool  # its findings file does not pass


def judge(seen: AttestationsSeen, needed: Needed) -> Judgement:
    """Judge what people attested about one item: attested, fail, inconclusive, or not covered when nobody did."""
    mine = [one for one in seen.attestations if _in_scope(one, seen)]
    elsewhere = [one for one in seen.attestations if one not in mine]
    judged = [_one(one, seen.now, needed) for one in mine]
    judged.sort(key=lambda one: one.seen.attestation.at, reverse=True)
    parts = [_for_role(role, judged, needed, seen) for role in needed.roles or ("",)]
    folded = combine([part for part, _ in parts])
    twice = _twice([who for _, who in parts if who is not None])
    if folded.verdict is Verdict.ATTESTED and twice:
        folded = dataclasses.replace(
            folded,
            verdict=Verdict.FAIL,
            reason=f"{twice} attested {needed.item} in two roles; {' and '.join(needed.roles)} "
            "must be different people",
            readings=(
                Reading(
                    "people who attested",
                    len(parts) - 1,
                    limit=f"{len(needed.roles)}, one for each role",
                    ok=False,
                ),
                *folded.readings,
            ),
        )
    outside = tuple(_elsewhere(one) for one in elsewhere)
    return dataclasses.replace(folded, notes=tuple(dict.fromkeys((*folded.notes, *outside))))


def _in_scope(one: AttestationSeen, seen: AttestationsSeen) -> bool:
    said = one.attestation
    return said.change in ("", seen.change) and said.inventory in ("", seen.inventory)


def _elsewhere(one: AttestationSeen) -> str:
    said = one.attestation
    where = [f"change {said.change}"] if said.change else []
    where += [f"inventory {said.inventory}"] if said.inventory else []
    return f"{said.file} is for {' and '.join(where)} only and does not count here"


def _twice(people: Sequence[AttestationSeen]) -> str:
    """Return who attested twice, by name or by the key that signed; an empty string if nobody did."""
    for number, one in enumerate(people):
        for other in people[:number]:
            names = one.attestation.name, other.attestation.name
            if same_person(*names):
                return one.attestation.name
            if how := look_alike(*names):
                return f"{one.attestation.name}, who looks like {other.attestation.name} ({how})"
            if one.signature.key and one.signature.key == other.signature.key:
                return f"the key {one.signature.key} ({other.attestation.name}, {one.attestation.name})"
    return ""


def _for_role(
    role: str, judged: Sequence[_Judged], needed: Needed, seen: AttestationsSeen
) -> tuple[Judgement, AttestationSeen | None]:
    """Judge one role's part; return it with the attestation that it rests on. `judged` is sorted newest first."""
    mine = [one for one in judged if not role or one.seen.attestation.role == role]
    if not mine:
        return _nobody(role, judged, needed, seen), None
    good = next((one for one in mine if one.judgement.verdict is Verdict.ATTESTED), None)
    chosen = good or mine[0]
    # An older clean scan does not override a newer one with findings.
    newer = mine[: mine.index(chosen)]
    chosen = next((one for one in newer if one.findings_bad), chosen)
    notes = [f"{one.seen.attestation.file} does not count: {one.judgement.reason}"
             for one in mine if one is not chosen and one.judgement.verdict is not Verdict.ATTESTED]  # fmt: skip
    return dataclasses.replace(chosen.judgement, notes=(*chosen.judgement.notes, *notes)), chosen.seen


def _nobody(role: str, judged: Sequence[_Judged], needed: Needed, seen: AttestationsSeen) -> Judgement:
    others = [one.seen.attestation for one in judged if one.seen.attestation.role not in needed.roles]
    command = (
        f"deploygate attest {needed.item} --role {role or 'ROLE'} --name NAME --evidence FILE|URL "
        "--valid-until 90d"
    )
    if others:
        last = others[0]
        return Judgement(
            Verdict.FAIL,
            f"{last.file} was attested in the role {last.role}, but {needed.item} must be attested by {role}: "
            f"`{command}`",
            (Reading("role", last.role, limit=role, ok=False),),
        )
    if seen.aside:
        return Judgement(Verdict.NOT_COVERED, "; ".join(seen.aside))
    expired = " for this change and inventory" if seen.attestations else ""
    who = f"nobody in the role {role}" if role else "nobody"
    return Judgement(
        Verdict.NOT_COVERED, f"{who} has attested it{expired}: `{command}`, then merge the file it writes"
    )


def _one(one: AttestationSeen, now: datetime, needed: Needed) -> _Judged:
    """Judge one attestation by itself."""
    said = one.attestation
    findings = None
    if one.findings and said.findings:
        findings = judge_sarif.judge(one.findings, Allowed(said.findings.allowed))
        if one.evidence[-1].missing:  # already reported as missing evidence
            findings = None
    parts = [*_times(one, now), *_backings(one), *_signature(one, needed)]
    if findings and findings.verdict is not Verdict.PASS:
        parts.append(findings)
    readings = tuple(_readings(one, now, needed)) + (findings.readings if findings else ())
    bad = [part for part in parts if part.verdict is not Verdict.ATTESTED]
    notes = tuple(note for part in parts for note in part.notes)
    if bad:
        folded = combine(bad)
        judgement = dataclasses.replace(folded, readings=readings, notes=notes)
    else:
        judgement = Judgement(
            Verdict.ATTESTED,
            f"{said.name} ({said.role}) attests: {said.meaning}; valid until {time_words(said.valid_until)}",
            readings,
            (*notes, *_reminder(one, now, needed)),
        )
    return _Judged(one, judgement, findings is not None and findings.verdict is not Verdict.PASS)


def _times(one: AttestationSeen, now: datetime) -> Iterator[Judgement]:
    said = one.attestation
    if said.at > now + CLOCK_SLACK:
        yield Judgement(Verdict.FAIL, f"{said.file} is dated {time_words(said.at)}, which is in the future")
    if now >= said.valid_until:
        ago = words_for(now - said.valid_until)
        yield Judgement(
            Verdict.FAIL,
            f"the attestation of {said.name} ({said.role}) expired on {time_words(said.valid_until)}, {ago} ago: "
            f"review it again and renew it with `deploygate attest {said.item}` ({said.file})",
        )
    if one.changed:
        yield Judgement(Verdict.FAIL, f"{said.file} was changed during this run: run again")


def _reminder(one: AttestationSeen, now: datetime, needed: Needed) -> Iterator[str]:
    left = one.attestation.valid_until - now
    if left <= needed.remind:
        yield f"{one.attestation.file} expires in {words_for(left)}: renew it"


def _backings(one: AttestationSeen) -> Iterator[Judgement]:
    if not one.evidence:
        yield Judgement(Verdict.FAIL, f"{one.attestation.file} names no evidence")
    for seen in one.evidence:
        yield _url(seen, one) if seen.backing.url else _file(seen, one)


def _file(seen: BackingSeen, one: AttestationSeen) -> Judgement:
    file, wanted = seen.backing.file, seen.backing.sha256
    if seen.missing:
        return Judgement(
            Verdict.FAIL,
            f"the evidence {file} (SHA-256 {wanted}) of {one.attestation.file} is missing: restore it or attest again",
        )
    if seen.problem:
        return Judgement(Verdict.INCONCLUSIVE, f"the evidence {file} {seen.problem}")
    if seen.found != wanted:
        return _altered(file, wanted, seen.found, one)
    return Judgement(Verdict.ATTESTED, "")


def _altered(where: str, wanted: str, found: str, one: AttestationSeen) -> Judgement:
    return Judgement(
        Verdict.FAIL,
        f"the evidence {where} is not what was attested in {one.attestation.file}: its SHA-256 was {wanted} and is "
        f"{found} now; restore it, or review it and attest again",
    )


def _url(seen: BackingSeen, one: AttestationSeen) -> Judgement:
    url = seen.backing.url
    if not seen.asked:
        return Judgement(Verdict.ATTESTED, "", notes=(f"{url} was not fetched",))
    if seen.problem or seen.status is None:
        return Judgement(Verdict.INCONCLUSIVE, f"the evidence {url} {seen.problem or 'did not answer'}")
    if seen.status in (404, 410):
        return Judgement(
            Verdict.FAIL, f"the evidence {url} does not exist (HTTP {seen.status}): fix the link"
        )
    if seen.status in (401, 403) and not seen.backing.sha256:
        return Judgement(Verdict.ATTESTED, "", notes=(f"{url} answers, but requires a login",))
    if seen.status != 200:
        return Judgement(Verdict.INCONCLUSIVE, f"the evidence {url} answered {seen.status}")
    if seen.backing.sha256 and seen.found != seen.backing.sha256:
        return _altered(url, seen.backing.sha256, seen.found, one)
    return Judgement(Verdict.ATTESTED, "")


def _signature(one: AttestationSeen, needed: Needed) -> Iterator[Judgement]:
    said, seen = one.attestation, one.signature
    if seen.state == "good" and needed.signed and seen.identity != said.role:
        yield Judgement(
            Verdict.FAIL,
            f"{said.file} is signed with a key that allowed_signers lists for {seen.identity}, not for {said.role}: "
            "have it signed with a key of that role, or list this one for it",
        )
    elif seen.state == "good" or (seen.state == "none" and not needed.signed):
        return
    elif seen.state == "none":
        command = f"deploygate sign --record {said.file} --role {said.role} --key KEY"
        yield Judgement(Verdict.FAIL, f"{said.file} is not signed, and must be: `{command}`")
    elif seen.state == "unchecked":
        text = f"the signature of {said.file} was not checked, so trust is not established: {seen.detail}"
        verdict = Verdict.INCONCLUSIVE if needed.signed else Verdict.ATTESTED
        yield Judgement(verdict, text, notes=(text,))
    elif seen.state == "unlisted":
        yield Judgement(
            Verdict.FAIL,
            f"{said.file} is signed with a key that allowed_signers lists neither for {said.role} nor for "
            f"{said.name}: have it signed with a listed key, or list this one",
        )
    else:
        yield Judgement(
            Verdict.FAIL,
            f"the signature of {said.file} does not match its text ({seen.detail}): it was changed after signing, "
            "have it signed again",
        )


def _readings(one: AttestationSeen, now: datetime, needed: Needed) -> Iterator[Reading]:
    said = one.attestation
    until = time_words(said.valid_until)
    yield Reading("attested by", f"{said.name} ({said.role})")
    early = said.at > now + CLOCK_SLACK
    yield Reading("attested at", time_words(said.at), limit=f"not after {time_words(now)}", ok=not early)
    if one.changed:
        yield Reading(said.file, "changed during this run", limit="unchanged", ok=False)
    yield Reading("valid until", until, limit=f"after {time_words(now)}", ok=now < said.valid_until)
    if not one.evidence:
        yield Reading("evidence", "none", limit="at least one", ok=False)
    for seen in one.evidence:
        backing = seen.backing
        if backing.url:
            status = "not fetched" if not seen.asked else f"HTTP {seen.status or '-'}"
            gone = seen.asked and seen.status in (404, 410)
            compared = bool(seen.found and backing.sha256)
            yield Reading(
                f"evidence {backing.url}",
                seen.found or status,
                limit="exists" if gone else backing.sha256 if compared else "",
                ok=False if gone else seen.found == backing.sha256 if compared else None,
            )
        else:
            ok = seen.found == backing.sha256
            yield Reading(f"evidence {backing.file}", seen.found or "missing", limit=backing.sha256, ok=ok)
    state = {"none": "none", "good": f"good, by {one.signature.identity}"}.get(
        one.signature.state, one.signature.state
    )
    by_role = not needed.signed or one.signature.identity == said.role
    signed = {"good": by_role, "unchecked": None, "none": False if needed.signed else None}.get(
        one.signature.state, False
    )
    limit = (
        ""
        if signed is None
        else f"good, by a key of {said.role}"
        if needed.signed
        else "good, by a listed key"
    )
    yield Reading("signature", state, limit=limit, ok=signed)
