"""Tokens made by hand, cookies read by hand, and the operations of a document."""

from __future__ import annotations

from typing import Any

import jwt as pyjwt
import pytest
from authentication.small_platform import document, ec_key, rsa_key

from pytest_deploygate.checks.authentication.facts import Outcome
from pytest_deploygate.checks.authentication.probe import cookies, jwt, keys, refusal
from pytest_deploygate.checks.authentication.probe.document import operations
from pytest_deploygate.checks.authentication.probe.exchange import Answer
from pytest_deploygate.model import CannotTell


@pytest.mark.parametrize("algorithm", ["RS256", "PS384", "ES256", "EdDSA"])
def test_a_token_that_we_sign_is_a_good_one_for_a_library(algorithm: str) -> None:
    own = keys.like(algorithm)
    token = keys.sign(own, {"alg": algorithm, "kid": "k"}, {"sub": "anna"})
    assert pyjwt.decode(token, own.public_key(), [algorithm]) == {"sub": "anna"}
    parsed = jwt.parsed(token)
    assert parsed is not None
    assert keys.verifies(own.public_key(), algorithm, parsed)
    assert keys.verifies(keys.public(keys.as_jwk(own)), algorithm, parsed)
    changed = jwt.parsed(jwt.altered(token))
    assert changed is not None
    assert not keys.verifies(own.public_key(), algorithm, changed)


@pytest.mark.parametrize(("key", "algorithm"), [(rsa_key(1), "RS256"), (ec_key(1), "ES256")])
def test_a_library_refuses_every_bad_token(key: Any, algorithm: str) -> None:
    good = pyjwt.encode({"sub": "anna", "exp": 4e9}, key, algorithm, {"kid": "k"})
    parsed = jwt.parsed(good)
    assert parsed is not None
    bad = dict(jwt.forged(parsed, keys.writings(key.public_key())))
    assert len(bad) == 11
    assert len(set(bad.values())) == len(bad)
    for token in bad.values():
        with pytest.raises(pyjwt.InvalidTokenError):
            pyjwt.decode(token, key.public_key(), [algorithm])


@pytest.mark.parametrize("token", ["", "opaque", "a.b", "a.b.c", "e30.W10.e30", "e30.e30"])
def test_what_is_no_jwt_is_none(token: str) -> None:
    assert jwt.parsed(token) is None


@pytest.mark.parametrize(
    ("jwk", "says"),
    [
        ({"kty": "RSA", "n": "AQAB"}, "its member 'e' is missing"),
        ({"kty": "oct", "k": "AQAB"}, "a key of the type oct is none"),
        ({}, "a key of the type None is none"),
    ],
)
def test_an_odd_key_is_described(jwk: dict[str, str], says: str) -> None:
    assert says in keys.described(jwk).problem


def test_a_published_secret_is_seen() -> None:
    jwk = {**keys.as_jwk(rsa_key(1)), "kid": "k", "d": "AQAB"}
    found = keys.described(jwk)
    assert (found.kid, found.bits, found.private) == ("k", 2048, True)


def test_a_partitioned_cookie_is_read() -> None:
    """`http.cookies` of Python 3.11 loses it altogether."""
    cookie, value = cookies.read("session=a=b; Path=/; Secure; httponly; SameSite=none; Partitioned")
    assert (cookie.name, value) == ("session", "a=b")
    assert cookie.secure
    assert cookie.http_only
    assert cookie.partitioned
    assert (cookie.same_site, cookie.path, cookie.domain) == ("None", "/", "")


def test_two_cookies_of_one_answer_are_told_apart() -> None:
    header = "Set-Cookie"
    answer = Answer(200, ((header, "a=1; Secure"), (header, "b=2; Expires=Wed, 09 Jun 2027 10:18:14 GMT")))
    found = cookies.set_by(answer)
    assert [(name, cookie.secure, value) for name, (cookie, value) in found.items()] == [
        ("a", True, "1"),
        ("b", False, "2"),
    ]


_GOOD = Answer(200, (("Content-Type", "application/json"),), b"{}")
_LOGIN = "https://app.example.com/login"


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(401), Outcome.REFUSED),
        (Answer(403), Outcome.REFUSED),
        (Answer(403, (("Content-Type", "text/html"),)), Outcome.UNRESOLVED),
        (Answer(404), Outcome.UNRESOLVED),
        (Answer(429), Outcome.UNRESOLVED),
        (Answer(503), Outcome.UNRESOLVED),
        (Answer(None, problem="no whole answer within 10 s"), Outcome.UNRESOLVED),
        (Answer(302, (("Location", "/login?next=%2F"),)), Outcome.REFUSED),
        (Answer(302, (("Location", "https://app.example.com/login/"),)), Outcome.REFUSED),
        (Answer(302, (("Location", "https://evil.example.com/login"),)), Outcome.UNRESOLVED),
        (Answer(302, (("Location", "/"),)), Outcome.UNRESOLVED),
        (Answer(200, (("Content-Type", "application/json"),)), Outcome.ACCEPTED),
        (Answer(206, (("Content-Type", "application/json"),)), Outcome.ACCEPTED),
        (Answer(200, (("Content-Type", "text/html"),)), Outcome.UNRESOLVED),
    ],
)
def test_what_an_answer_says(answer: Answer, outcome: Outcome) -> None:
    assert refusal.outcome(answer, _GOOD, [_LOGIN])[0] is outcome


def test_a_page_with_the_login_form_is_no_page_for_users() -> None:
    page = (("Content-Type", "text/html"),)
    form = Answer(200, page, b"<input name=p type='password'>")
    assert refusal.outcome(form, Answer(200, page, b"<h1>Plant</h1>"))[0] is Outcome.UNRESOLVED


def test_operations_without_effect() -> None:
    found = {each.id: each for each in operations(document(), {})}
    assert found["health"].open
    assert not found["listThings"].open
    assert found["getThing"].target == "/api/things/1"
    assert found["dropThing"].target == "/api/things/2147483647"
    assert (found["makeThing"].body, found["makeThing"].safe) == (b"{", False)
    assert found["getThing"].at("a/b") == "/api/things/a%2Fb"
    assert all(each.bearer for each in found.values() if not each.open)


def _with(**operation: Any) -> dict[str, Any]:
    return {"openapi": "3.1.0", "paths": {"/x/{name}": {"post": operation}, "/y": {"get": operation}}}


@pytest.mark.parametrize(
    ("document", "is_open"),
    [
        (_with(), True),
        (_with(security=[]), True),
        (_with(security=[{}, {"t": []}]), True),
        (_with(security=[{"t": []}]), False),
        ({**_with(), "security": [{"t": []}]}, False),
        ({**_with(security=[]), "security": [{"t": []}]}, True),
    ],
)
def test_what_is_open(document: dict[str, Any], is_open: bool) -> None:
    assert {each.open for each in operations(document, {})} == {is_open}


def test_what_cannot_be_asked_for_is_said() -> None:
    query = {"name": "day", "in": "query", "required": True, "schema": {"$ref": "#/components/schemas/Day"}}
    paths = {"/restart": {"post": {}}, "/report": {"get": {"parameters": [query]}}, "/u/{id}": {"get": {}}}
    found = {each.name: each for each in operations({"openapi": "3.1.0", "paths": paths}, {"id": "7"})}
    assert "cannot be asked for without effect" in found["POST /restart"].lacks
    assert "its parameter day has no example" in found["GET /report"].lacks
    assert found["GET /u/{id}"].target == "/u/7"


@pytest.mark.parametrize("odd", [{}, {"swagger": "2.0", "paths": {}}, {"openapi": "3.0.0"}])
def test_another_document_is_refused(odd: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no OpenAPI document"):
        list(operations(odd, {}))


def test_every_method_of_the_document_is_tried_or_named() -> None:
    item = {method: {"operationId": method} for method in ("head", "options", "trace")}
    found = {
        each.id: each
        for each in operations({"openapi": "3.0.3", "security": [{"t": []}], "paths": {"/x": item}}, {})
    }
    assert sorted(found) == ["head", "trace"]
    assert (found["head"].safe, found["head"].lacks) == (True, "")
    assert found["trace"].lacks == "the method TRACE is not tried"


def test_a_path_that_is_described_in_another_file_is_not_left_out() -> None:
    paths = {"/x": {"$ref": "orders.yaml#/paths/x"}}
    with pytest.raises(CannotTell, match=r"refers to orders\.yaml#/paths/x, outside of itself: bundle it"):
        list(operations({"openapi": "3.1.0", "paths": paths}, {}))


def test_a_path_that_is_described_once_for_two_is_followed() -> None:
    shared = {"components": {"pathItems": {"Thing": {"get": {"operationId": "thing"}}}}}
    paths = {"/x": {"$ref": "#/components/pathItems/Thing"}}
    assert [each.id for each in operations({"openapi": "3.1.0", "paths": paths, **shared}, {})] == ["thing"]
