"""Judges what protected operations answered to no token and to bad ones, the published keys, and their rotation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pytest_deploygate.checks.authentication.facts import Attempt, Discovery, Outcome, Rotation, Tokens
from pytest_deploygate.checks.authentication.judge.words import few, twice
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading, words_for_count

if TYPE_CHECKING:
    from pytest_deploygate.checks.authentication.section import Authentication

_NO_TOKEN = "no token"  # noqa: S105 (the name of an attempt)
_LEAST_RSA_BITS = 2048
#: What to change where a kind of token is accepted, by words of its name.
_ADVICE = (
    (
        "alg n",
        "have the verifier accept the algorithm of its own keys only, never the one that a token names",
    ),
    (
        "HS256",
        "have the verifier accept the algorithm of its own keys only, never the one that a token names",
    ),
    ("kid leads", "look keys up by kid in the published list, never as a file"),
    ("own key along", "never take a key from a token's header"),
    ("expired", "have the verifier look at exp"),
    ("another audience", "have the verifier require its own audience (aud)"),
    ("another issuer", "have the verifier require its issuer (iss)"),
)
_SIGNATURE = "have the verifier check signatures before it reads anything else"


def judge_tokens(found: Tokens, criterion: Authentication) -> Judgement:
    """Pass if every protected operation refuses all of them and answers a good one, and the published keys are sane."""
    collector = Collector(confirmed=True)
    _operations(found, criterion, collector)
    _attempts(found, collector)
    if criterion.open:
        collector.note(f"open to everybody, as declared: {', '.join(criterion.open)}")
    for part, why in found.not_probed.items():
        names = {"expired": "expired tokens", "audience": "tokens for another audience"}
        what = names.get(part, "tokens of another issuer")
        collector.unknown(f"{what} were not tried: {why}, or give the reason in `without: {{{part}: …}}`")
    if "revocation" not in criterion.without:
        _revocation(found, collector)
    if "discovery" not in criterion.without:
        _discovery(found.discovery, collector)
        if "rotation" not in criterion.without:
            _rotation(found.rotation, collector)
    return collector.judgement(lambda: _good(found))


def _operations(found: Tokens, criterion: Authentication, collector: Collector) -> None:
    operations = found.operations
    usable = [each for each in found.tried if each.good]
    wanted = len(operations.protected) - len(criterion.leave_out)
    if not operations.protected:
        collector.unknown(f"{operations.document} protects no operation, so nothing was tried")
    else:
        # One that could not be tried is unknown, also beside a failure: then there is no limit to compare with.
        every = len(usable) >= wanted
        tried: int | str = len(usable) if every else f"{len(usable)} of {wanted}"
        limit = str(wanted) if every else ""
        collector.read(Reading("protected operations tried", tried, limit=limit, ok=every or None))
    if operations.open:
        collector.unknown(
            f"{operations.document} asks for no login at {few(operations.open)}: name what anybody may use in "
            "`authentication.open`, and add `security` to the rest"
        )
    for name in operations.unknown:
        collector.unknown(f"{operations.document} has no operation {name!r}, which the inventory names")
    for name, why in found.untried.items():
        collector.unknown(f"{name} was not tried: {why}")
    for each in found.tried:
        if not each.good:
            collector.unknown(
                f"a good token is answered {each.said}, so what bad ones are answered proves nothing",
                where=each.operation,
            )


def _attempts(found: Tokens, collector: Collector) -> None:
    every = [attempt for each in found.tried if each.good for attempt in each.attempts]
    accepted = [attempt for attempt in every if attempt.outcome is Outcome.ACCEPTED]
    open_ones = {attempt.operation for attempt in accepted if attempt.what == _NO_TOKEN}
    if every:
        collector.read(
            Reading("bad requests accepted", len(accepted), limit="0", ok=not accepted),
            Reading("bad requests sent", len(every)),
        )
    for attempt in accepted:
        if attempt.operation not in open_ones:
            continue
        if attempt.what == _NO_TOKEN:
            collector.wrong(
                f"{attempt.operation} is open: it answers {twice(attempt.said, attempt.again)} without a token; require a "
                "login there"
            )
    for kinds, operations in _by_kind(accepted, open_ones):
        others = f" (so is {few(kinds[1:])})" if kinds[1:] else ""
        collector.wrong(f"{kinds[0]} is accepted by {few(operations)}{others}: {_advice(kinds[0])}")
    for attempt in every:
        if attempt.outcome is Outcome.UNRESOLVED:
            collector.unknown(
                f"{attempt.operation} answers {attempt.said} to {attempt.what}, which is neither a refusal (401, 403, redirect "
                "to the login) nor what a good token gets"
            )


def _by_kind(accepted: list[Attempt], open_ones: set[str]) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the kinds of tokens that the same operations accept for the same reason; an open one accepts anything."""
    found: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for what in dict.fromkeys(attempt.what for attempt in accepted):
        operations = tuple(a.operation for a in accepted if a.what == what and a.operation not in open_ones)
        if operations:
            found.setdefault((_advice(what), operations), []).append(what)
    for (_, operations), kinds in found.items():
        yield kinds, list(operations)


def _advice(what: str) -> str:
    return next((advice for words, advice in _ADVICE if words in what), _SIGNATURE)


def _discovery(found: Discovery | None, collector: Collector) -> None:
    if found is None:
        collector.unknown("the discovery document was not read")
        return
    if found.problem:
        collector.unknown(
            f"{found.problem}: correct `authentication.discovery`, or give the reason in `without: {{discovery: …}}`"
        )
        return
    if found.issuer != found.expected:
        collector.wrong(
            f"{found.url} names the issuer {found.issuer or 'none'}, expected is {found.expected}: clients refuse that"
        )
    for name in found.plain:
        collector.wrong(f"{found.url} names a {name} without TLS")
    if odd := [name for name in found.algorithms if name.lower() == "none" or name.startswith("HS")]:
        collector.wrong(
            f"{found.url} offers {few(odd)} for signatures: offer algorithms with public keys only"
        )
    _keys(found, collector)


def _keys(found: Discovery, collector: Collector) -> None:
    where = found.jwks_uri
    if not found.keys:
        collector.wrong("publishes no key, so nobody can verify a token", where=where)
    ids = [key.kid for key in found.keys]
    if repeated := sorted({kid for kid in ids if ids.count(kid) > 1}):
        collector.wrong(f"has two keys with the kid {repeated[0] or '(none)'}", where=where)
    for key in found.keys:
        name = f"the key {key.kid or 'without kid'}"
        if key.private or key.kty == "oct":
            collector.wrong(f"{name} is published with its secret parts: replace it at once", where=where)
        elif key.problem:
            collector.note(f"{name} was not looked at: {key.problem}", where=where)
        elif key.kty == "RSA" and key.bits is not None:
            collector.read(
                Reading(
                    f"size of {name}",
                    key.bits,
                    "bits",
                    f"at least {_LEAST_RSA_BITS} bits",
                    key.bits >= _LEAST_RSA_BITS,
                )
            )
            if key.bits < _LEAST_RSA_BITS:
                collector.wrong(
                    f"{name} has {key.bits} bits, at least {_LEAST_RSA_BITS} are needed", where=where
                )
    if found.token_kid is not None:
        if not found.signed:
            collector.wrong(
                f"no published key verifies a good token (kid {found.token_kid or 'none'})", where=where
            )
        if found.token_issuer != found.issuer:
            collector.wrong(
                f"tokens name the issuer {found.token_issuer or 'none'}, {found.url} names {found.issuer}"
            )


def _rotation(found: Rotation | None, collector: Collector) -> None:
    if found is None:
        collector.unknown(
            "keys were not rotated: name the request that does it in `authentication.rotation`, or give the reason in "
            "`without: {rotation: …}`"
        )
        return
    if found.problem:
        collector.unknown(f"keys were not rotated: {found.problem}")
        return
    if not found.renewed:
        collector.unknown(
            "after the rotation tokens are still signed with a key from before, or with one that is not published"
        )
        return
    collector.read(
        Reading("a token of the new key", found.new, limit="2xx", ok=found.new_good),
        Reading("a token from before the rotation", found.old, limit="2xx", ok=found.old_good),
    )
    if not found.new_good:
        collector.wrong(
            f"after the rotation a new token is answered {found.new}: verifiers must fetch the keys again when they meet a new kid"
        )
    if not found.old_good:
        collector.wrong(
            f"after the rotation a token from before is answered {found.old}: keep the old key published until its tokens have "
            "run out"
        )


def _revocation(found: Tokens, collector: Collector) -> None:
    if found.revocation:
        collector.unknown(
            f"no token was ended before its time: {found.revocation}; give the reason in `without: {{revocation: …}}` if the "
            "platform does not promise it"
        )
    if (revoked := found.revoked) is None:
        return
    if revoked.outcome is Outcome.UNRESOLVED:
        collector.unknown(f"{revoked.operation} answers {revoked.said} to {revoked.what}")
        return
    accepted = revoked.outcome is Outcome.ACCEPTED
    collector.read(Reading(revoked.what, revoked.said, limit="refused", ok=not accepted))
    if accepted:
        collector.wrong(
            f"{revoked.what} is accepted by {revoked.operation} ({twice(revoked.said, revoked.again)}): look ended tokens up, or "
            "do not offer to end them"
        )


def _good(found: Tokens) -> str:
    usable = [each for each in found.tried if each.good]
    kinds = len({attempt.what for each in usable for attempt in each.attempts})
    rotated = ", also after the keys were rotated" if found.rotation and not found.rotation.problem else ""
    return (
        f"{words_for_count(len(usable), 'protected operation refuses', 'protected operations refuse')} requests without a token "
        f"and with {kinds - 1} kinds of bad ones ({found.requests} requests), and answer a good one{rotated}"
    )
