"""The OIDC discovery document, the keys that it names, and what becomes of tokens when the keys rotate."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pytest_deploygate.checks.authentication.facts import Discovery, Rotation
from pytest_deploygate.checks.authentication.probe import jwt
from pytest_deploygate.checks.authentication.probe.exchange import Caller
from pytest_deploygate.checks.authentication.probe.granting import bearer, token
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import Secret

_WELL_KNOWN = "/.well-known/"
#: Verifiers fetch new keys when they meet one that they do not know; some first wait.
_PATIENCE_S, _STEP_S = 5.0, 0.25


@dataclass(frozen=True)
class Published:
    """What was found, and the keys as they are published."""

    about: Discovery
    jwks: tuple[Mapping[str, Any], ...] = ()
    login: str = ""
    revocation: str = ""

    def key(self, kid: str) -> Mapping[str, Any] | None:
        """Return the key of a token; the only one, if tokens name none."""
        found = [each for each in self.jwks if str(each.get("kid", "")) == kid]
        if not found and not kid and len(self.jwks) == 1:
            return self.jwks[0]
        return found[0] if found else None


def read(caller: Caller) -> Published:
    """Read the discovery document and its keys."""
    from pytest_deploygate.checks.authentication.probe import keys  # noqa: PLC0415 (cryptography)

    section = caller.section
    url = caller.url(section.discovery)
    about = Discovery(url, section.issuer or url.partition(_WELL_KNOWN)[0])
    answer = caller.ask("GET", url)
    document = answer.fields()
    if not answer.good or not document:
        return Published(replace(about, problem=f"{url} answers {answer.said} and no JSON object"))
    ends = {
        name: value
        for name, value in document.items()
        if (name.endswith("_endpoint") or name == "jwks_uri") and isinstance(value, str)
    }
    algorithms = document.get("id_token_signing_alg_values_supported")
    about = replace(
        about,
        issuer=str(document.get("issuer", "")),
        algorithms=tuple(map(str, algorithms)) if isinstance(algorithms, list) else (),
        plain=tuple(name for name, value in ends.items() if not value.startswith("https://")),
        jwks_uri=ends.get("jwks_uri", ""),
    )
    login, revocation = ends.get("authorization_endpoint", ""), ends.get("revocation_endpoint", "")
    if not about.jwks_uri:
        return Published(replace(about, problem=f"{url} names no jwks_uri"), (), login, revocation)
    found, problem = _jwks(caller, about.jwks_uri)
    about = replace(about, keys=tuple(keys.described(each) for each in found), problem=problem)
    return Published(about, found, login, revocation)


def _jwks(caller: Caller, uri: str) -> tuple[tuple[Mapping[str, Any], ...], str]:
    answer = caller.ask("GET", uri)
    listed = answer.fields().get("keys")
    if not answer.good or not isinstance(listed, list):
        return (), f"{uri} answers {answer.said} and no list of keys"
    return tuple(each for each in listed if isinstance(each, dict)), ""


def compared(published: Published, good: jwt.Parsed | None) -> Discovery:
    """Return what was found, with whether a published key verifies a good token."""
    from pytest_deploygate.checks.authentication.probe import keys  # noqa: PLC0415 (cryptography)

    if good is None:
        return published.about
    kid = str(good.header.get("kid", ""))
    jwk, signed = published.key(kid), False
    if jwk is not None:
        try:
            signed = keys.verifies(keys.public(jwk), str(good.header.get("alg", "")), good)
        except ValueError:
            signed = False
    return replace(
        published.about, token_kid=kid, token_issuer=str(good.claims.get("iss", "")), signed=signed
    )


def rotate(caller: Caller, tokens: Mapping[str, Secret], user: str, place: str) -> Rotation:
    """Have the keys rotated; a new token and an old one of `user` are sent to a protected `place`."""
    asked = caller.section.rotation
    assert asked is not None  # noqa: S101 (the caller looked)
    if asked.user not in tokens:
        return Rotation(problem=f"there is no token of {asked.user}, who may rotate keys")
    old = tokens[user]
    was = jwt.parsed(old.reveal())
    answer = caller.ask(asked.method, asked.path, bearer(tokens[asked.user].reveal()))
    if not answer.good:
        return Rotation(problem=f"{asked.method} {asked.path} answers {answer.said} to {asked.user}")
    try:
        new = token(caller, caller.section.user(user))
    except CannotTell as error:
        return Rotation(problem=str(error))
    taken = jwt.parsed(new.reveal())
    if new == old or taken is None:
        return Rotation(problem=f"there is no new JWT for {user}: its token is given by reference, or opaque")
    kid = str(taken.header.get("kid", ""))
    until = time.monotonic() + _PATIENCE_S
    while True:
        published = [str(each.get("kid", "")) for each in read(caller).jwks]
        first = caller.ask("GET", place, bearer(new.reveal()))
        if (first.good and kid in published) or time.monotonic() > until:
            break
        caller.spending.check()
        time.sleep(_STEP_S)
    # Behind a balancer each server has to know the key.
    further = [caller.ask("GET", place, bearer(new.reveal())) for _ in range(3)]
    worst = next((each for each in (first, *further) if not each.good), first)
    last = caller.ask("GET", place, bearer(old.reveal()))
    return Rotation(
        renewed=was is not None and kid != str(was.header.get("kid", "")) and kid in published,
        new_good=worst.good,
        new=worst.said,
        old_good=last.good,
        old=last.said,
    )
