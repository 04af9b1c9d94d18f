"""Every protected operation of the document, asked for without a token and with bad ones, beside a good one."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from pytest_deploygate.checks.authentication.facts import (
    Attempt,
    Operations,
    Outcome,
    Rotation,
    Tokens,
    Tried,
)
from pytest_deploygate.checks.authentication.probe import discovery, document, jwt, refusal, revocation
from pytest_deploygate.checks.authentication.probe.document import Operation
from pytest_deploygate.checks.authentication.probe.exchange import Answer, Caller
from pytest_deploygate.checks.authentication.probe.granting import bearer, tokens
from pytest_deploygate.checks.authentication.section import Authentication
from pytest_deploygate.clients import openapi
from pytest_deploygate.clients.budget import Spending
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell, NotReached
from pytest_deploygate.redaction import Secret

#: Answers to a request without effect, with a good token: it was let in, and then its body or its object was not right.
_LET_IN = (400, 404, 405, 409, 410, 412, 415, 422, 428)
_HOUR_S = 3600
#: How often an operation that accepts a bad token is asked without one again.
_MORE_WITHOUT = 4
#: Kinds of bad tokens that must be truly signed.
SIGNED = ("expired", "audience", "issuer")

#: Bad tokens with their names: what is sent as Authorization.
Bad = tuple[tuple[str, Mapping[str, str]], ...]


@dataclass(frozen=True)
class Good:
    """A user with its good token, and the bad ones that are made from it."""

    user: str
    token: Secret
    bad: Bad


def measure(section: Authentication, spending: Spending) -> Tokens:
    """Try every protected operation. Raises NotReached, CannotTell if there is no document or no token at all, and Ended."""
    caller = Caller(section, spending)
    try:
        return _measure(caller)
    finally:
        caller.close()


def described(caller: Caller) -> list[Operation]:
    """Return the operations of the document. Raises NotReached, CannotTell if it cannot be read."""
    section = caller.section
    url = caller.url(section.document)
    answer = caller.ask("GET", url)
    if answer.status is None:
        raise NotReached(f"{url} gives no answer: {answer.problem}")
    if not answer.good:
        raise CannotTell(f"{url} answers {answer.said}: no document; correct `authentication.document`")
    try:
        raw, _ = openapi.read(answer.body.decode("utf-8-sig", "replace"), url)
        return list(document.operations(raw, section.parameters))
    except CannotTell as error:
        raise CannotTell(f"{error}; correct `authentication.document`") from None
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        said = str(error) if isinstance(error, ValueError) else "it cannot be read"
        raise CannotTell(f"{url}: {said}; correct `authentication.document`") from None


def _measure(caller: Caller) -> Tokens:
    section = caller.section
    found = described(caller)
    published = discovery.read(caller)
    good, problems = tokens(caller)
    if not good:
        raise CannotTell("; ".join(problems.values()))
    bad_of, not_probed = _bad(caller, good, published, found)
    users = [Good(name, token, bad_of[name]) for name, token in good.items()]
    protected = [each for each in found if not each.open and not _named(each, section.open)]
    logins = tuple(
        caller.url(place) for place in (section.login.path if section.login else "", published.login) if place
    )
    wanted = [each for each in protected if not _named(each, section.leave_out)]
    untried = {each.name: _why_not(each) for each in wanted if _why_not(each)}
    with ThreadPoolExecutor(caller.spending.at_once(section.connections), "authentication") as pool:
        can = [each for each in wanted if each.name not in untried]
        tried = tuple(pool.map(lambda each: _try(caller, each, users, logins), can))
    first = next(iter(good.values()))
    revoked, why_not = _revoked(caller, good, published, tried, logins)
    about = discovery.compared(published, jwt.parsed(first.reveal()))
    return Tokens(
        Operations(
            caller.url(section.document),
            tuple(each.name for each in protected),
            tuple(each.name for each in found if each.open and not _named(each, section.open)),
            tuple(
                name
                for name in (*section.open, *section.leave_out)
                if not any(each.called(name) for each in found)
            ),
        ),
        tried,
        not_probed,
        untried,
        sum(2 + len(each.attempts) + sum(len(a.again) for a in each.attempts) for each in tried),
        about,
        _rotated(caller, good, tried),
        revoked,
        why_not,
    )


def _named(operation: Operation, names: Sequence[str]) -> bool:
    return any(operation.called(name) for name in names)


def _why_not(operation: Operation) -> str:
    return operation.lacks or ("" if operation.bearer else "no bearer token opens it by the document")


def _usable(tried: Sequence[Tried]) -> Tried | None:
    """Return an operation without parameters that was answered well."""
    return next(
        (e for e in tried if e.good and e.operation.startswith("GET ") and "{" not in e.operation), None
    )


def _revoked(
    caller: Caller,
    good: Mapping[str, Secret],
    published: discovery.Published,
    tried: Sequence[Tried],
    logins: Sequence[str],
) -> tuple[Attempt | None, str]:
    endpoint = caller.section.revocation or published.revocation
    if not endpoint:
        return None, ""
    if not (usable := _usable(tried)):
        return None, "no protected operation was answered well before it"
    place = usable.operation.partition(" ")[2]
    return revocation.revoke(caller, endpoint, usable.user, place, good[usable.user], logins)


def _rotated(caller: Caller, good: Mapping[str, Secret], tried: Sequence[Tried]) -> Rotation | None:
    """Have the keys rotated at last: nothing after it uses a token from before."""
    if caller.section.rotation is None:
        return None
    if not (usable := _usable(tried)):
        return Rotation(problem="no protected operation was answered well before it")
    return discovery.rotate(caller, good, usable.user, usable.operation.partition(" ")[2])


def let_in(operation: Operation, answer: Answer) -> bool:
    """Tell whether an answer to a good token shows that it was let in."""
    if answer.good:
        return True
    if operation.safe or answer.status not in _LET_IN:
        return False
    return answer.status != 404 or "{" in operation.name


def ask(caller: Caller, operation: Operation, headers: Mapping[str, str]) -> Answer:
    """Ask for an operation, without any effect."""
    more = {"Content-Type": "application/json"} if operation.body is not None else {}
    return caller.ask(operation.method, operation.target, {**more, **headers}, operation.body)


def _try(caller: Caller, operation: Operation, users: Sequence[Good], logins: Sequence[str]) -> Tried:
    said = {}
    for user in users:
        before = ask(caller, operation, bearer(user.token.reveal()))
        if let_in(operation, before):
            return _refusals(caller, operation, user, before, logins)
        said[user.user] = before.said
    answers = ", ".join(f"{answer} to {name}" for name, answer in said.items())
    return Tried(operation.name, "", False, answers)


def _refusals(
    caller: Caller, operation: Operation, user: Good, before: Answer, logins: Sequence[str]
) -> Tried:
    def send(headers: Mapping[str, str]) -> Callable[[], Answer]:
        return lambda: ask(caller, operation, headers)

    without, *bad = user.bad
    first = refusal.attempt(operation.name, without[0], send(without[1]), before, logins)
    # Where no token is refused before the body is looked at, whoever gets as far as the body was let in.
    let_in_first = not before.good and first.outcome is Outcome.REFUSED
    attempts = (
        first,
        *(
            refusal.attempt(operation.name, what, send(headers), before, logins, let_in=let_in_first)
            for what, headers in bad
        ),
    )
    if any(each.outcome is Outcome.ACCEPTED for each in attempts[1:]):
        attempts = (_sometimes_open(attempts[0], send({}), before, logins), *attempts[1:])
    after = ask(caller, operation, bearer(user.token.reveal()))
    good = let_in(operation, after)
    said = before.said if good else f"{before.said}, but {after.said} after the bad tokens"
    return Tried(operation.name, user.user, good, said, attempts)


def _sometimes_open(
    first: Attempt, send: Callable[[], Answer], control: Answer, logins: Sequence[str]
) -> Attempt:
    """Ask without a token again where a bad one was accepted: one of several servers may be open to anything."""
    if first.outcome is not Outcome.REFUSED:
        return first
    answers = [first.said]
    for _ in range(_MORE_WITHOUT):
        outcome, said = refusal.outcome(send(), control, logins)
        answers.append(said)
        if outcome is Outcome.ACCEPTED:
            return replace(first, outcome=outcome, said=said, again=tuple(answers))
    return first


def _bad(
    caller: Caller, good: Mapping[str, Secret], published: discovery.Published, found: Sequence[Operation]
) -> tuple[Mapping[str, Bad], Mapping[str, str]]:
    """Return the bad tokens made from each user's good one, and why some kinds are not sent."""
    signer, not_probed = _signer(caller, good, published, found)
    bad = {}
    for name, token in good.items():
        made: list[tuple[str, Mapping[str, str]]] = [("no token", {})]
        parsed = jwt.parsed(token.reveal())
        if parsed is None:
            made += [
                ("a token altered in the middle", bearer(jwt.altered(token.reveal()))),
                ("a token that was never given out", bearer("deploygate-none")),
            ]
        else:
            made += [(what, bearer(text)) for what, text in _of_jwt(parsed, published)]
            made += [(what, bearer(text)) for what, text in _kept(caller.section, signer, parsed, not_probed)]
        bad[name] = tuple(made)
    if all(jwt.parsed(token.reveal()) is None for token in good.values()):
        not_probed = {
            **not_probed,
            **{kind: "the tokens are no JWT" for kind in SIGNED if kind not in caller.section.without},
        }
    return bad, not_probed


def _of_jwt(good: jwt.Parsed, published: discovery.Published) -> Iterator[tuple[str, str]]:
    from pytest_deploygate.checks.authentication.probe import keys  # noqa: PLC0415 (cryptography)

    algorithm = str(good.header.get("alg", ""))
    writings: Mapping[str, bytes] = {}
    jwk = published.key(str(good.header.get("kid", "")))
    if jwk is not None:
        try:
            writings = keys.writings(keys.public(jwk))
        except ValueError:
            writings = {}
    yield from jwt.forged(good, writings)
    own = keys.like(algorithm)
    header = {**good.header, "alg": algorithm if algorithm[:2] in ("RS", "PS", "ES", "Ed") else "RS256"}
    yield "a token signed with another key", keys.sign(own, header, good.claims)
    brought = {**header, "jwk": keys.as_jwk(own)}
    yield "a token that brings its own key along (jwk)", keys.sign(own, brought, good.claims)


#: Signs a header and claims as the platform does.
Signer = Callable[[Mapping[str, object]], str]


def _signer(
    caller: Caller, good: Mapping[str, Secret], published: discovery.Published, found: Sequence[Operation]
) -> tuple[Signer | None, Mapping[str, str]]:
    """Return what signs as the platform does, and why kinds of bad tokens cannot be made.

    A key is trusted to prove something only if a good token that it signs is accepted.
    """
    section = caller.section
    kept = {"expired": section.kept.expired, "audience": section.kept.audience, "issuer": section.kept.issuer}
    missing = [kind for kind, token in kept.items() if token is None and kind not in section.without]
    not_probed = {kind: why for kind, token in kept.items() if token and (why := _unfit(kind, token, good))}
    if not missing:
        return None, not_probed
    signer, problem = _own_key(caller, good, published, found)
    if problem:
        not_probed |= dict.fromkeys(missing, problem)
    return signer, not_probed


def _own_key(
    caller: Caller, good: Mapping[str, Secret], published: discovery.Published, found: Sequence[Operation]
) -> tuple[Signer | None, str]:
    from pytest_deploygate.checks.authentication.probe import keys  # noqa: PLC0415 (cryptography)

    section = caller.section
    if section.signing_key is None:
        return None, "add `authentication.signing_key: env:NAME`, or a token in `authentication.kept`"
    name, token = next(iter(good.items()))
    parsed = jwt.parsed(token.reveal())
    if parsed is None:
        return None, "the tokens are no JWT"
    try:
        key = keys.private(section.signing_key.reveal())
    except ValueError as error:
        return None, f"`authentication.signing_key` cannot be read: {error}"
    mine = {k: v for k, v in keys.as_jwk(key).items() if k != "kty"}
    kid = next(
        (str(each.get("kid", "")) for each in published.jwks if mine.items() <= each.items()),
        str(parsed.header.get("kid", "")),
    )
    header = {**parsed.header, "kid": kid} if kid else dict(parsed.header)

    def signer(claims: Mapping[str, object]) -> str:
        return keys.sign(key, header, claims)

    for operation in found:
        if operation.safe and operation.bearer and not operation.open and not operation.lacks:
            if not let_in(operation, ask(caller, operation, bearer(token.reveal()))):
                continue
            said = ask(caller, operation, bearer(signer(parsed.claims)))
            if let_in(operation, said):
                return signer, ""
            return None, (
                f"a good token of {name} that is signed with `authentication.signing_key` is answered {said.said} by "
                f"{operation.name}, so bad ones prove nothing; name the key that this environment accepts"
            )
    return None, "no operation answers a good token, so the key cannot be tried"


def _unfit(kind: str, kept: Secret, good: Mapping[str, Secret]) -> str:
    """Say why a kept token does not show what it is kept for; empty if it does."""
    found = jwt.parsed(kept.reveal())
    usual = jwt.parsed(next(iter(good.values())).reveal())
    key = f"`authentication.kept.{kind}`"
    if found is None or usual is None:
        return f"{key} is no JWT"
    if kind == "expired":
        ends = found.claims.get("exp")
        if not isinstance(ends, int | float) or ends > time.time():
            return f"{key} has not run out yet"
        return ""
    claim = {"audience": "aud", "issuer": "iss"}[kind]
    if found.claims.get(claim) == usual.claims.get(claim):
        return f"{key} has the same {claim} as a good one"
    if isinstance(ends := found.claims.get("exp"), int | float) and ends < time.time():
        return f"{key} has run out, so it is refused for that: keep a new one"
    return ""


def _kept(
    section: Authentication, signer: Signer | None, good: jwt.Parsed, unfit: Container[str]
) -> Iterator[tuple[str, str]]:
    """Yield truly signed tokens that must be refused; a kept one that may be good is none."""
    names = {
        "expired": "an expired token",
        "audience": "a token for another audience",
        "issuer": "a token of another issuer",
    }
    kept = {"expired": section.kept.expired, "audience": section.kept.audience, "issuer": section.kept.issuer}
    for kind, token in kept.items():
        if token is not None and kind not in unfit:
            yield names[kind], token.reveal()
    if signer is None:
        return
    now = int(time.time())
    changed: dict[str, dict[str, object]] = {
        "expired": {"iat": now - 2 * _HOUR_S, "nbf": now - 2 * _HOUR_S, "exp": now - _HOUR_S},
        "audience": {"aud": "deploygate-another-audience"},
        "issuer": {"iss": "https://another-issuer.deploygate.invalid"},
    }
    for kind, claims in changed.items():
        if kept[kind] is None and kind not in section.without:
            yield names[kind], signer({**good.claims, **claims})
