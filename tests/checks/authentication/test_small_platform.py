"""Probe and judge of authentication against a small platform, whose flaws are switched on one by one."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from authentication.small_platform import PASSWORDS, Small, rsa_key, serving
from cryptography.hazmat.primitives import serialization

from pytest_deploygate.checks.authentication import judge, probe
from pytest_deploygate.checks.authentication.section import Authentication
from pytest_deploygate.clients import budget
from pytest_deploygate.model import CannotTell, Judgement, Verdict
from pytest_deploygate.redaction import Secret

_REASON = "this test looks elsewhere"


def section(small: Small, **more: Any) -> Authentication:
    """Return the section of a small platform, with kept tokens that are bad."""
    now = int(time.time())
    bad = {
        "expired": small.token("viewer", exp=now - 60),
        "audience": small.token("viewer", aud="other"),
        "issuer": small.token("viewer", iss="https://other.example.com"),
    }

    def user(name: str, **rest: Any) -> dict[str, Any]:
        return {"name": name, "password": Secret(PASSWORDS[name]), **rest}

    found = {
        "url": small.url,
        "opt_in": "test",
        "open": ["health"],
        "users": [
            user("anna", may=["listThings"], may_not=["listUsers"]),
            user("bert"),
            user("admin", may=["listUsers"]),
        ],
        "kept": {name: Secret(value, f"kept {name}") for name, value in bad.items()},
        "rotation": {"path": "/api/rotate", "user": "admin"},
        "login": {"user": "anna", "pages": ["/page"], "attempts": 24},
        "lockout": {
            "name": "lockme",
            "password": Secret(PASSWORDS["lockme"]),
            "other": "bert",
            "unlock": "/api/unlock",
            "unlock_as": "admin",
        },
        "objects": [
            {"owner": "anna", "other": "bert", "listed_by": "listThings", "operations": ["getThing"]}
        ],
        "cors": {"path": "/api/things", "allowed": ["https://app.example.com"]},
    }
    return Authentication.model_validate({**found, **more})


def judged(which: str, small: Small, **more: Any) -> Judgement:
    """Probe and judge one part."""
    wanted = section(small, **more)
    found = getattr(probe, f"try_{which}")(wanted, "test", budget.unrecorded("phase3.auth"), allowed=False)
    result: Judgement = getattr(judge, f"judge_{which}")(found, wanted)
    return result


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_deploygate.checks.authentication.probe.discovery._PATIENCE_S", 0.5)


@pytest.mark.parametrize("which", ["tokens", "access", "logins", "lockout"])
def test_a_platform_without_flaws_passes(which: str) -> None:
    with serving() as small:
        found = judged(which, small)
    expected = Verdict.FAIL if which == "tokens" else Verdict.PASS  # its discovery is served over plain HTTP
    assert found.verdict is expected, found.reason
    if which == "tokens":
        assert found.reason.count(" without TLS") == found.reason.count("; ") + 1


#: The flaw, the part that notices, and what it says. The first sentence decides, so other parts may be silent.
FLAWS = {
    "open": ("tokens", "GET /api/things is open: it answers 200, sent again 200 without a token"),
    "half open": ("tokens", "GET /api/users is open: it answers 200, sent again"),
    "alg none": ("tokens", "a token with alg none is accepted by"),
    "alg none on POST": ("tokens", "a token with alg none is accepted by POST /api/things"),
    "alg nOnE": ("tokens", "a token with alg nOnE is accepted by"),
    "no signature": ("tokens", "a token without a signature is accepted by"),
    "zero signature": ("tokens", "a token whose signature is zero is accepted by"),
    "any signature": ("tokens", "a token altered in the middle"),
    "own key": ("tokens", "a token that brings its own key along (jwk) is accepted by"),
    "kid file": ("tokens", "a token whose kid leads to /dev/null is accepted by"),
    "public key": ("tokens", "a token signed with HS256 and the public key (PEM) is accepted by"),
    "expired": ("tokens", "an expired token is accepted by"),
    "audience": ("tokens", "a token for another audience is accepted by"),
    "issuer": ("tokens", "a token of another issuer is accepted by"),
    "other issuer": ("tokens", "names the issuer https://other.example.com, expected is http://127.0.0.1"),
    "offers none": ("tokens", "offers none for signatures"),
    "no keys": ("tokens", "publishes no key"),
    "private key": ("tokens", "the key key-1 is published with its secret parts"),
    "two of a kid": ("tokens", "has two keys with the kid key-1"),
    "small key": ("tokens", "the key key-1 has 1024 bits, at least 2048 are needed"),
    "foreign keys": ("tokens", "no published key verifies a good token (kid key-1)"),
    "new key unknown": ("tokens", "after the rotation a new token is answered 401"),
    "old key gone": ("tokens", "after the rotation a token from before is answered 401"),
    "revokes nothing": ("tokens", "a token that was ended is accepted by GET /api/things"),
    "any role": ("access", "anna may not use GET /api/users, but is answered 200, sent again 200"),
    "of anybody": ("access", "GET /api/things/{id} gives bert an object of anna"),
    "lists all": ("access", "GET /api/things gives bert an object of anna (200 and the object)"),
    "reflects": ("access", "lets in https://deploygate-foreign.invalid"),
    "null": ("access", "lets in null"),
    "begins": ("access", "lets in https://app.example.com.deploygate-foreign.invalid"),
    "any origin": ("access", "lets in https://deploygate-foreign.invalid"),
    "credentials": ("access", "lets https://app.example.com send cookies"),
    "no cors": ("access", "does not let in https://app.example.com"),
    "no Secure": ("logins", "is set without Secure"),
    "no HttpOnly": ("logins", "is set without HttpOnly"),
    "no SameSite": ("logins", "has SameSite=(none), expected is Strict or Lax"),
    "wide": ("logins", "is sent to all of example.com"),
    "keeps session": ("logins", "keeps a session's cookie that was set before it"),
    "outlives": ("logins", "the session outlives the logout: /page answers 200"),
    "open page": ("logins", "/page is open: it answers 200, sent again 200 to no session"),
    "wrong let in": ("logins", "24 of 24 logins with a wrong password were let in"),
    "telling": ("logins", "which tells who has an account"),
    "other status": ("logins", "an unknown user is answered 404, expected is 401"),
    "unknown quick": ("logins", "check a password even where there is no such user"),
    "never locks": ("lockout", "is let in with the right password after 5 wrong passwords"),
    "lock of address": ("lockout", "the lock is on this address"),
    "no unlock": ("lockout", "lockme is not let in when it should be unlocked again"),
}


#: Those that are tried each time: some of each part. `bin/test --long` tries the others.
EACH_TIME = {
    "open",
    "alg none",
    "any signature",
    "public key",
    "expired",
    "no keys",
    "any role",
    "of anybody",
    "reflects",
    "no Secure",
    "outlives",
    "wrong let in",
    "unknown quick",
    "never locks",
}


@pytest.mark.parametrize(
    "flaw", [pytest.param(flaw, marks=[] if flaw in EACH_TIME else [pytest.mark.long]) for flaw in FLAWS]
)
def test_each_flaw_fails(flaw: str) -> None:
    which, says = FLAWS[flaw]
    more: dict[str, Any] = {"login": {"user": "anna", "pages": ["/page"], "attempts": 24, "similar": "20ms"}}
    with serving(flaw) as small:
        found = judged(which, small, **more if flaw == "unknown quick" else {})
    assert found.verdict is Verdict.FAIL
    assert says in found.reason


#: What is no refusal, and what it is called.
UNCLEAR = {
    "hides": "answers 404 to no token, which is neither a refusal",
    "busy": "answers 429 to no token",
    "firewall": "answers 403 with an HTML page, as of a firewall in front of it to no token",
    "to elsewhere": "answers 302 to /sorry to no token",
    "soft login": "answers 200 with an HTML page, which a good request does not get to no token",
}
_NO_DISCOVERY = {"without": {"discovery": _REASON}}


@pytest.mark.parametrize("flaw", UNCLEAR)
def test_what_is_no_refusal_is_inconclusive(flaw: str) -> None:
    with serving(flaw) as small:
        found = judged("tokens", small, **_NO_DISCOVERY)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert UNCLEAR[flaw] in found.reason


def test_a_promise_that_cannot_be_tried_is_inconclusive() -> None:
    with serving("no revocation") as small:
        found = judged("tokens", small, **_NO_DISCOVERY)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "no token was ended before its time: POST http" in found.reason


def test_a_redirect_to_the_login_is_a_refusal() -> None:
    with serving("to login") as small:
        assert judged("tokens", small, **_NO_DISCOVERY).verdict is Verdict.PASS


def test_a_platform_that_refuses_good_tokens_proves_nothing() -> None:
    with serving("refuses all") as small:
        found = judged("tokens", small, **_NO_DISCOVERY)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "a good token is answered 401 to anna, 401 to bert, 401 to admin" in found.reason


def test_opaque_tokens_are_tried_as_far_as_they_can_be() -> None:
    with serving("opaque") as small:
        found = judged("tokens", small, kept={}, **_NO_DISCOVERY)
        assert found.verdict is Verdict.INCONCLUSIVE
        assert "expired tokens were not tried: the tokens are no JWT" in found.reason
        left_out = dict.fromkeys(("discovery", "expired", "audience", "issuer"), _REASON)
        assert judged("tokens", small, kept={}, without=left_out).verdict is Verdict.PASS


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
@pytest.mark.parametrize("flaw", ["expired", "audience", "issuer"])
def test_bad_tokens_are_made_with_a_key_of_the_platform(algorithm: str, flaw: str) -> None:
    with serving(flaw, algorithm=algorithm) as small:
        found = judged(
            "tokens", small, kept={}, signing_key=Secret(_pem(small.keys()["key-1"])), **_NO_DISCOVERY
        )
    assert found.verdict is Verdict.FAIL
    assert FLAWS[flaw][1] in found.reason


def test_a_key_that_the_platform_does_not_accept_proves_nothing() -> None:
    with serving() as small:
        found = judged("tokens", small, kept={}, signing_key=Secret(_pem(rsa_key(7))), **_NO_DISCOVERY)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "is answered 401 by GET /api/things, so bad ones prove nothing" in found.reason


def test_without_key_or_kept_tokens_what_was_not_tried_is_said() -> None:
    with serving() as small:
        found = judged("tokens", small, kept={}, **_NO_DISCOVERY)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "tokens of another issuer were not tried: add `authentication.signing_key" in found.reason


@pytest.mark.parametrize(
    ("kind", "changed", "says"),
    [
        ("expired", {}, "has not run out yet"),
        ("audience", {}, "has the same aud as a good one"),
        ("audience", {"aud": "other", "exp": 1}, "has run out, so it is refused for that"),
        ("issuer", {}, "has the same iss as a good one"),
    ],
)
def test_a_kept_token_must_show_what_it_is_kept_for(kind: str, changed: dict[str, Any], says: str) -> None:
    with serving() as small:
        good = section(small).kept.model_dump()
        kept = {**good, kind: Secret(small.token("viewer", **changed))}
        found = judged("tokens", small, kept=kept, **_NO_DISCOVERY)
    assert found.verdict is not Verdict.PASS
    assert says in found.reason


def test_nothing_is_changed_and_nothing_goes_elsewhere() -> None:
    with serving() as small:
        judged("tokens", small)
        judged("access", small)
        sent = small.seen
    assert not [path for method, path, _ in sent if method == "DELETE" and path.endswith(("/1", "/2"))]
    assert all(headers["User-Agent"].startswith("deploygate/") for _, _, headers in sent)
    assert all(headers["Deploygate-Probe"] == "phase3.auth" for _, _, headers in sent)


def test_an_operation_open_by_the_document_must_be_named() -> None:
    with serving() as small:
        found = judged("tokens", small, open=[], **_NO_DISCOVERY)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "asks for no login at GET /healthz" in found.reason


def test_a_document_without_protection_proves_nothing() -> None:
    with serving() as small:
        del small.document["security"]
        found = judged("tokens", small, **_NO_DISCOVERY)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "protects no operation" in found.reason


def test_what_is_missing_from_the_section_is_inconclusive() -> None:
    with serving() as small:
        for which, says in (
            ("access", "other origins were not tried"),
            ("logins", "no login was tried"),
            ("lockout", "no account was locked"),
        ):
            found = judged(which, small, cors=None, login=None, lockout=None)
            assert found.verdict is Verdict.INCONCLUSIVE
            assert says in found.reason


def test_an_operation_that_could_not_be_tried_stays_unknown_beside_a_failure() -> None:
    with serving("small key") as small:
        wanted = section(small)
        found = probe.try_tokens(wanted, "test", budget.unrecorded("phase3.auth"), allowed=False)
        first, *others = found.tried
        seen = judge.judge_tokens(
            replace(found, tried=tuple(others), untried={first.operation: "its parameter has no example"}),
            wanted,
        )
    assert seen.verdict is Verdict.FAIL
    (tried,) = [reading for reading in seen.readings if reading.name == "protected operations tried"]
    assert (tried.value, tried.limit, tried.ok) == ("4 of 5", "", None)


def test_without_opt_in_nothing_is_sent() -> None:
    with serving() as small:
        wanted = section(small, opt_in="")
        for try_it in (probe.try_tokens, probe.try_access, probe.try_logins, probe.try_lockout):
            with pytest.raises(CannotTell, match="opt_in: test"):
                try_it(wanted, "test", budget.unrecorded(), allowed=False)
        assert not small.seen


def test_a_locked_account_of_a_run_before_is_unlocked_first() -> None:
    with serving() as small:
        small.failed["lockme"] = 5
        assert judged("lockout", small).verdict is Verdict.PASS
        small.failed["lockme"] = 5
        small.flaws.add("no unlock")
        found = judged("lockout", small)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "it may be locked since a run before" in found.reason


def _pem(key: Any) -> str:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return str(key.private_bytes(encoding, form, serialization.NoEncryption()).decode())
