"""Partners on loopback: revoked and expiring credentials, another stage, an answer that is not agreed, nobody at home."""

from __future__ import annotations

import base64
import http.server
import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pytest_deploygate.checks.integrations import judge, probe
from pytest_deploygate.checks.integrations.facts import Answer, Found, FromHost, Silence, Validity
from pytest_deploygate.checks.integrations.section import Integration, Keys
from pytest_deploygate.model import Judgement, Verdict
from pytest_deploygate.redaction import Secret

KEY = "the-key-that-was-agreed-on"
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


class Partner:
    """What the partner answers to our key; without it 401, unless it is open."""

    def __init__(self) -> None:
        self.status, self.kind = 200, "application/json"
        self.body: object = {"status": "active", "environment": "production", "until": "2099-01-31"}
        self.open = False
        self.token_status = 200
        self.key = KEY
        self.url = ""
        self.seen: list[str] = []


@pytest.fixture
def partner() -> Iterator[Partner]:
    found = Partner()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _send(self, status: int, body: object, kind: str) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("X-Until", "Wed, 31 Jan 2099 08:00:00 GMT")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self) -> None:
            found.seen.append(str(self.headers))
            if found.open or found.key in (
                self.headers.get("X-Key"),
                (self.headers.get("Authorization") or "")[7:],
            ):
                self._send(found.status, found.body, found.kind)
            else:
                self._send(401, {"title": "Unauthorized"}, "application/problem+json")

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            good = found.token_status == 200
            said = {"access_token": KEY, "expires_in": 60} if good else {"error": "invalid_client"}
            self._send(found.token_status, said, "application/json")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        found.url = f"http://127.0.0.1:{running.server_port}"
        yield found
        running.shutdown()


def integration(url: str, **more: Any) -> Integration:
    return Integration.model_validate(
        {
            "name": "partner",
            "url": url,
            "plain": "the partner of a test",
            "auth": {"header": "X-Key", "value": Secret(KEY)},
            "contract": [{"path": "/v1", "content_type": "application/json", "says": {"/status": "active"}}],
        }
        | more
    )


def judged(partner: Partner, **more: Any) -> Judgement:
    criterion = integration(partner.url, **more)
    return judge.judge(probe.answers(criterion, None), criterion)


def test_as_agreed(partner: Partner) -> None:
    said = judged(partner, expires={"at": "/until"}, stage={"at": "/environment", "is": "production"})
    assert said.verdict is Verdict.PASS, said.reason
    assert said.reason == (
        "1 request of the contract was answered by 127.0.0.1 as agreed, and refused without our credential (401); our credential is "
        "valid until 2099-01-31"
    )


def test_revoked(partner: Partner) -> None:
    partner.key = "another-key"
    said = judged(partner)
    assert said.verdict is Verdict.FAIL
    assert "GET /v1: our credential is refused (401 (Unauthorized)): it was revoked" in said.reason


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (200, {"status": "closed"}, "the answer has 'closed' at /status, agreed is 'active'"),
        (200, {}, "the answer has nothing at /status"),
        (404, {"detail": "no such contract"}, "answers 404 (no such contract), which is not agreed"),
        (302, {}, "it redirects (302): correct `url`"),
        (503, {}, "the partner answers 503"),
    ],
)
def test_not_as_agreed(partner: Partner, status: int, body: object, says: str) -> None:
    partner.status, partner.body = status, body
    said = judged(partner)
    assert said.verdict is Verdict.FAIL
    assert says in said.reason


def test_html_in_place_of_json(partner: Partner) -> None:
    partner.kind = "text/html"
    assert "has the content type text/html, agreed is application/json" in judged(partner).reason


def test_too_many_requests(partner: Partner) -> None:
    partner.status = 429
    assert judged(partner).verdict is Verdict.INCONCLUSIVE


def test_whoever_answers_anybody_says_nothing_of_our_credential(partner: Partner) -> None:
    partner.open = True
    said = judged(partner)
    assert said.verdict is Verdict.INCONCLUSIVE
    assert "answered with 200 without a credential, too" in said.reason
    assert judged(partner, anyone="a public register").verdict is Verdict.PASS


def test_another_stage(partner: Partner) -> None:
    partner.body = {"status": "active", "environment": "sandbox"}
    said = judged(partner, stage={"at": "/environment", "is": "production"})
    assert said.verdict is Verdict.FAIL
    assert "its stage is 'sandbox' at /environment, expected 'production'" in said.reason
    partner.body = {"status": "active"}
    assert judged(partner, stage={"at": "/environment", "is": "production"}).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("host", "wrong"),
    [
        ("api.sandbox.partner.example.com", True),
        ("api-test2.example.com", True),
        ("staging.example.com", True),
        ("api.example.com", False),
        ("latest.contest.example.com", False),
        ("internal.example.com", False),
    ],
)
def test_stage_by_the_name_of_the_host(host: str, wrong: bool) -> None:
    criterion = integration(f"https://{host}")
    found = Found(NOW, host, (Answer("GET /", 200, agreed=True),))
    assert (judge.judge(found, criterion).verdict is Verdict.FAIL) == wrong
    relaxed = integration(f"https://{host}", sandbox="this is staging")
    assert judge.judge(found, relaxed).verdict is Verdict.PASS


def test_a_key_for_tests(partner: Partner) -> None:
    partner.key = "sk_test_of_the_partner"
    said = judged(partner, auth={"header": "X-Key", "value": Secret("sk_test_of_the_partner")})
    assert said.verdict is Verdict.FAIL
    assert "our credential begins with sk_test_, so it is one for tests" in said.reason
    assert "of_the_partner" not in said.reason


@pytest.mark.parametrize(
    ("days", "verdict", "says"),
    [
        (100, Verdict.PASS, "valid until"),
        (3, Verdict.FAIL, "valid for 3 d only"),
        (-1, Verdict.FAIL, "ran out on 2026-11-28"),
    ],
)
def test_validity(days: int, verdict: Verdict, says: str) -> None:
    valid = (Validity("its answer at /until", NOW + timedelta(days=days)),)
    found = Found(NOW, "a.example.com", (Answer("GET /", 200, agreed=True),), validity=valid)
    said = judge.judge(found, integration("https://a.example.com"))
    assert said.verdict is verdict
    assert says in said.reason


def test_validity_that_cannot_be_read(partner: Partner) -> None:
    said = judged(partner, expires={"at": "/gone"})
    assert said.verdict is Verdict.INCONCLUSIVE
    assert "its answer at /gone has nothing: correct `expires`" in said.reason
    assert judged(partner, expires={"header": "X-Until"}).verdict is Verdict.PASS
    assert judged(partner, expires={"on": "2020-01-31"}).verdict is Verdict.FAIL


def test_validity_of_a_token_that_says_it(partner: Partner) -> None:
    def part(value: dict[str, object]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    token = f"{part({'alg': 'RS256'})}.{part({'exp': int(time.time()) + 2 * 86400})}.c2lnbmF0dXJl"
    partner.key = token
    said = judged(partner, auth=None, token=Secret(token, "env:PARTNER_TOKEN"))
    assert said.verdict is Verdict.FAIL
    assert "by the token itself" in said.reason


def test_tokens_of_an_endpoint(partner: Partner) -> None:
    oauth = {
        "url": f"{partner.url}/token",
        "client": "platform",
        "secret": Secret("the-secret-of-the-client"),
    }
    assert judged(partner, auth=None, oauth=oauth).verdict is Verdict.PASS
    partner.token_status = 401
    said = judged(partner, auth=None, oauth=oauth)
    assert said.verdict is Verdict.FAIL
    assert "refuses platform (401, invalid_client)" in said.reason
    partner.token_status = 503
    assert judged(partner, auth=None, oauth=oauth).verdict is Verdict.INCONCLUSIVE


def test_nobody_at_home() -> None:
    criterion = integration("http://127.0.0.1:9")
    said = judge.judge(probe.answers(criterion, None), criterion)
    assert said.verdict is Verdict.FAIL
    assert "the partner does not answer: no connection (connection refused" in said.reason
    unresolved = integration("http://partner.invalid")
    assert judge.judge(probe.answers(unresolved, None), unresolved).verdict is Verdict.INCONCLUSIVE


def test_certificate_that_is_not_trusted() -> None:
    answer = Answer("GET /", None, Silence.UNTRUSTED, "its certificate is not trusted: self-signed")
    said = judge.judge(Found(NOW, "a.example.com", (answer,)), integration("https://a.example.com"))
    assert said.verdict is Verdict.FAIL


def test_from_hosts() -> None:
    answers = (Answer("GET /", 200, agreed=True),)
    criterion = integration("https://a.example.com", hosts=["app1"])
    for host, verdict in (
        (FromHost("app1", 401), Verdict.PASS),
        (FromHost("app1", None, "no answer in time"), Verdict.FAIL),
        (FromHost("app1", None, "it refuses our key", ours=True), Verdict.INCONCLUSIVE),
    ):
        assert judge.judge(Found(NOW, "a.example.com", answers, hosts=(host,)), criterion).verdict is verdict


def test_a_host_asks_with_its_own_curl_and_without_our_credential(partner: Partner) -> None:
    said = judged(partner, hosts=["here"])
    assert said.verdict is Verdict.PASS, said.reason
    assert said.reason.endswith("; 1 host reaches it")
    assert KEY not in partner.seen[0]
    criterion = integration("http://127.0.0.1:9", hosts=["here"])
    said = judge.judge(probe.answers(criterion, None), criterion)
    assert said.verdict is Verdict.FAIL
    assert "here: it does not reach the partner: the connection is refused" in said.reason


def test_hosts_that_are_not_there() -> None:
    with pytest.raises(ValueError, match="partner: no server and no role in `hosts` is named 'app1'"):
        Keys.model_validate({"integrations": [integration("https://a.example.com", hosts=["app1"])]})


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"plain": None}, "must not be sent without TLS"),
        ({"auth": None}, "add our credential"),
        ({"contract": [{"method": "POST"}]}, "POST may change something at the partner"),
        ({"contract": []}, "at least 1 item"),
        ({"expires": {"at": "/a", "header": "b"}}, "say one of `at`"),
    ],
)
def test_mistakes_in_the_section(more: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        integration("http://a.example.com", **more)
