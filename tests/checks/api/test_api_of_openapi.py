"""An API on loopback with an OpenAPI document: what is asked, and what is said of answers that differ from it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import api_server
import pytest
import yaml
from api_server import TOKEN, Server

from pytest_deploygate.checks.api import judge, probe
from pytest_deploygate.checks.api.facts import Found, Purpose
from pytest_deploygate.checks.api.probe import talk, writes
from pytest_deploygate.checks.api.probe.asking import Asker
from pytest_deploygate.checks.api.section import Api
from pytest_deploygate.clients import budget as budgets
from pytest_deploygate.clients import stopping
from pytest_deploygate.model import CannotTell, Judgement, Verdict
from pytest_deploygate.redaction import Secret

PROBLEM_JSON = "application/problem+json"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(talk, "_PAUSE_S", 0.05)
    monkeypatch.setattr(talk, "_LONGER_S", 0.05)
    with api_server.running() as running:
        yield running


def api(server: Server, **more: Any) -> Api:
    return Api.model_validate(
        {
            "name": "platform",
            "openapi": f"{server.url}/openapi.json",
            "url": server.url,
            "token": Secret(TOKEN),
        }
        | more
    )


def answers(server: Server, *, allowed: bool = False, **more: Any) -> Found:
    return probe.answers(api(server, **more), budgets.unrecorded("phase3.api"), "test", allowed=allowed)


def judged(server: Server, **more: Any) -> Judgement:
    return judge.judge(answers(server, **more), api(server, **more))


def test_everything_as_documented(server: Server) -> None:
    found = answers(server)
    assert {(call.operation, call.purpose) for call in found.calls} == {
        ("GET /health (health)", Purpose.EXAMPLE),
        ("GET /me (me)", Purpose.EXAMPLE),
        ("GET /devices (devices)", Purpose.EXAMPLE),
        ("GET /devices (devices)", Purpose.NO_LOGIN),
        ("GET /devices/{id} (device)", Purpose.EXAMPLE),
        ("GET /devices/{id} (device)", Purpose.NOT_THERE),
        ("GET /orders (orders)", Purpose.EXAMPLE),
    }
    said = judge.judge(found, api(server))
    assert said.verdict is Verdict.PASS, said.reason
    assert (
        said.reason == "5 of 7 operations answered as documented, with 2 documented errors; 2 were not tried"
    )
    assert any(
        "POST /orders (order), DELETE /orders/{id} (cancel): it may change" in note for note in said.notes
    )
    assert all(request.startswith("GET ") for request in server.asked)


@pytest.mark.parametrize(
    ("request_", "answer", "says"),
    [
        (
            "GET /devices",
            (500, {"detail": "no table"}),
            "answered 500 (no table), which its document does not name",
        ),
        ("GET /devices", (200, [{"id": 1}]), "lacks `unit` at $[], which the document requires"),
        (
            "GET /devices",
            (200, [{"id": "1", "unit": "bar"}]),
            "has a text at $[].id, the document says integer",
        ),
        (
            "GET /devices",
            (200, [], "text/html"),
            "has the content type text/html, the document says application/json",
        ),
        ("GET /devices", (200, b"<html>"), "is not JSON, though its content type says so"),
        ("GET /devices", (200, None), "has no body, the document says application/json"),
        ("GET /devices", (204, None), "its status 204 is not in the document (there: 200, 401)"),
        ("GET /devices/1", (418, {}), "its status 418 is not in the document"),
        (
            "GET /devices/2147483646",
            (404, {"title": "none"}, PROBLEM_JSON),
            "with an id that does not exist: its answer 404 lacks `status` at $",
        ),
        (
            "GET /devices/2147483646",
            (404, b"<html>", "text/html"),
            "with an id that does not exist: its answer 404 has the",
        ),
        ("GET /devices/2147483646", (500, {}), "with an id that does not exist: answered 500"),
    ],
)
def test_answer_that_differs(server: Server, request_: str, answer: api_server.Answer, says: str) -> None:
    server.answers[request_] = answer
    said = judged(server)
    assert said.verdict is Verdict.FAIL
    assert says in said.reason
    assert "(2 times)" in said.reason
    assert said.confirmed
    assert "also" not in said.reason


def test_what_differs_once_is_unknown(server: Server) -> None:
    server.answers["GET /devices/1"] = lambda number: (
        (500, {}) if number == 1 else (200, {"id": 1, "unit": "bar"})
    )
    said = judged(server)
    assert said.verdict is Verdict.INCONCLUSIVE
    assert "in one of 2 attempts" in said.reason


@pytest.mark.parametrize(
    ("slow", "verdict", "says"),
    [
        (1, Verdict.INCONCLUSIVE, "answer within 1 s, in one of 2 attempts"),
        (9, Verdict.FAIL, "answer within 1 s (2 times)"),
    ],
)
def test_silence_is_waited_for_again(server: Server, slow: int, verdict: Verdict, says: str) -> None:
    def answer(number: int) -> api_server.Answer:
        if number <= slow:
            time.sleep(1.5)
        return 200, {"id": 1, "unit": "bar"}

    server.answers["GET /devices/1"] = answer
    said = judged(server, timeout="1s")
    assert said.verdict is verdict
    assert says in said.reason


def test_all_refused_is_no_pass(server: Server) -> None:
    said = judged(server, token=Secret("a-token-that-was-revoked"))
    assert said.verdict is Verdict.INCONCLUSIVE
    assert "all 4 operations that want a login refuse ours (401): check the login of this API" in said.reason


def test_one_refused_needs_another_login(server: Server) -> None:
    server.answers["GET /me"] = (403, {})
    said = judged(server)
    assert said.verdict is Verdict.INCONCLUSIVE
    assert "GET /me (me): it refuses our login (403): name one that may use it" in said.reason


def test_no_login(server: Server) -> None:
    said = judged(server, token=None)
    assert said.verdict is Verdict.INCONCLUSIVE
    assert "it wants a login: add `token`, `auth` or `oauth` to the API" in said.reason


def test_example_without_a_good_answer(server: Server) -> None:
    server.answers["GET /devices/1"] = (404, api_server.PROBLEM, PROBLEM_JSON)
    said = judged(server)
    assert said.verdict is Verdict.INCONCLUSIVE
    assert "GET /devices/{id} (device): its example is answered with 404 (Not Found)" in said.reason


def test_operation_without_an_example(server: Server) -> None:
    del server.document["paths"]["/devices/{id}"]["parameters"][0]["example"]
    said = judged(server)
    assert said.verdict is Verdict.INCONCLUSIVE
    assert (
        "no example for its parameter `id`: add one there, or `operations: {device: {path: {id: …}}}`"
        in said.reason
    )
    assert judged(server, operations={"device": {"path": {"id": 1}}}).verdict is Verdict.PASS
    skipped = judged(server, operations={"device": {"skip": "the sensor is away"}})
    assert skipped.verdict is Verdict.PASS
    assert any("device): skipped by the inventory: the sensor is away" in note for note in skipped.notes)


def test_schemas_that_require_nothing(server: Server) -> None:
    schemas = server.document["components"]["schemas"]
    del schemas["Device"]["required"]
    said = judged(server)
    assert said.verdict is Verdict.PASS
    assert any("schemas of 2 safe operations of 5 prove nothing" in note for note in said.notes)
    for path in ("/health", "/me", "/orders"):
        content = server.document["paths"][path]["get"]["responses"]["200"]["content"]
        content["application/json"] = {}
    said = judged(server)
    assert said.verdict is Verdict.INCONCLUSIVE
    assert "describe the answers in the document" in said.reason


def test_too_many_requests(server: Server) -> None:
    server.answers["GET /me"] = (429, {})
    said = judged(server)
    assert said.verdict is Verdict.INCONCLUSIVE
    assert "429 (too many requests)" in said.reason


def test_openapi_30_with_nullable(server: Server) -> None:
    server.document["openapi"] = "3.0.3"
    unit = server.document["components"]["schemas"]["Device"]["properties"]
    unit["unit"] = {"type": "string"}
    said = judged(server)
    assert said.verdict is Verdict.FAIL
    assert "has null at $[].unit" in said.reason
    unit["unit"] = {"type": "string", "nullable": True}
    assert judged(server).verdict is Verdict.PASS


def test_values_of_people_are_not_repeated(server: Server) -> None:
    server.answers["GET /devices"] = (200, [{"id": "jane.doe@example.com", "unit": "bar"}])
    assert "jane" not in repr(answers(server))


def test_document_that_is_none(server: Server, tmp_path: Path) -> None:
    for content, says in (
        ("[]", "it is no object"),
        ("{}", "has no key `openapi`"),
        ('{"swagger": "2.0"}', "says version '2.0'"),
        ("a: [", "neither JSON nor YAML"),
        ('{"openapi": "3.1.0", "paths": {}}', "has no operation with GET or HEAD"),
    ):
        file = tmp_path / "openapi.json"
        file.write_text(content)
        with pytest.raises(CannotTell, match=says.replace("(", r"\(")):
            answers(server, openapi=str(file))


def test_document_in_yaml_with_relative_servers(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "openapi.yaml"
    file.write_text(yaml.safe_dump(server.document))
    assert judge.judge(answers(server, openapi=str(file)), api(server)).verdict is Verdict.PASS
    with pytest.raises(CannotTell, match="names no server with an address: set `url`"):
        answers(server, openapi=str(file), url=None)


def test_servers_of_the_document_elsewhere_get_nothing(server: Server) -> None:
    with api_server.running() as production:
        server.document["servers"] = [{"url": production.url}]
        with pytest.raises(CannotTell, match="another one than that of the document: set `url`"):
            answers(server, url=None)
        assert answers(server).calls
        del server.document["servers"]
        server.document["paths"]["/me"]["servers"] = [{"url": production.url}]
        said = judged(server, url=None)
        assert said.verdict is Verdict.INCONCLUSIVE
        assert f"GET /me (me): was not tried: its server {production.url} is another one" in said.reason
        # A page elsewhere that has the document is not told our token.
        found = answers(server, openapi=f"{production.url}/openapi.json")
        assert found.where == f"{production.url}/openapi.json"
        assert production.asked == ["GET /openapi.json"]
        assert production.tokens == [None]


def test_parameters_in_headers_cookies_and_queries(server: Server) -> None:
    server.document["paths"]["/devices"]["get"]["parameters"] = [
        {
            "name": "X-Site",
            "in": "header",
            "required": True,
            "schema": {"type": "string"},
            "example": "north",
        },
        {"name": "view", "in": "cookie", "required": True, "schema": {"enum": ["all", "mine"]}},
        {
            "name": "ids",
            "in": "query",
            "required": True,
            "schema": {"type": "array", "items": {"example": 7}},
        },
    ]
    assert judged(server).verdict is Verdict.PASS
    assert {"/devices?ids=7"} == {line for line in server.lines if line.startswith("/devices?")}
    assert server.headers[-1] == ("north", "view=all") or ("north", "view=all") in server.headers


def test_references_that_lead_nowhere(server: Server) -> None:
    responses = server.document["paths"]["/me"]["get"]["responses"]
    responses["200"]["content"]["application/json"]["schema"] = {"$ref": "#/components/schemas/Gone"}
    said = judged(server)
    assert said.verdict is Verdict.INCONCLUSIVE
    assert "/components/schemas/Gone leads nowhere" in said.reason
    server.document["paths"]["/me"]["get"]["responses"] = {"200": {"$ref": "other.yaml#/Me"}}
    with pytest.raises(CannotTell, match="bundle it into one file"):
        answers(server)


def test_nothing_answers(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(server.document))
    with pytest.raises(budgets.Ended, match="harmless requests were answered with errors"):
        answers(server, openapi=str(file), url="http://127.0.0.1:9")


def test_unsafe_methods_are_refused_where_they_would_be_sent(server: Server) -> None:
    with budgets.unrecorded("phase3.api").probe("test", unwatched="a test") as spending:
        asker = Asker(api(server), 5.0, spending)
        for method in ("POST", "DELETE", "PUT", "PATCH", "OPTIONS"):
            with pytest.raises(ValueError, match="was not allowed"):
                asker.ask(method, f"{server.url}/orders", None)
        with (
            asker.allowing("POST", f"{server.url}/orders"),
            pytest.raises(ValueError, match="was not allowed"),
        ):
            asker.ask("POST", f"{server.url}/devices", None)
    assert server.asked == []


WRITES = {
    "tenant": "synthetic-a",
    "ask": "me",
    "opt_in": "test",
    "operations": [{"create": "order", "body": {"item": "{mark}"}, "undo": "cancel", "list": "orders"}],
}


def test_writes_and_removes_in_the_tenant(server: Server) -> None:
    server.orders[7] = "of somebody else"
    found = answers(server, writes=WRITES)
    assert {call.purpose for call in found.calls} >= {Purpose.CREATE, Purpose.UNDO}
    assert judge.judge(found, api(server, writes=WRITES)).verdict is Verdict.PASS
    assert server.orders == {7: "of somebody else"}
    assert server.bodies[0]["item"].startswith("deploygate-api-")


def test_what_a_crash_left_is_removed_first(server: Server) -> None:
    server.orders |= {7: "of somebody else", 8: "deploygate-api-0123456789ab"}
    found = answers(server, writes=WRITES)
    assert server.orders == {7: "of somebody else"}
    assert found.notes == ("1 that an earlier run of order had left were removed first",)


def test_a_stop_leaves_nothing_behind(server: Server, tmp_path: Path) -> None:
    stop = tmp_path / "STOP"

    def created(_number: int) -> api_server.Answer:
        server.orders[55] = "deploygate-api-stopped"
        stop.write_text("enough")
        time.sleep(0.5)
        return 201, {"id": 55, "item": "deploygate-api-stopped"}

    server.answers["POST /orders"] = created
    budget = budgets.unrecorded("phase3.api", stop_file=stop)
    try:
        with pytest.raises(budgets.Ended):
            probe.answers(api(server, writes=WRITES), budget, "test", allowed=False)
    finally:
        stopping.begin(None)
    del server.answers["POST /orders"]
    # The answer with its id never came: the next run finds it by its mark.
    answers(server, writes=WRITES)
    assert server.orders == {}


def test_what_was_begun_to_be_removed_is_removed_after_the_end(server: Server) -> None:
    server.orders[55] = "deploygate-api-left"
    login = api(server)
    writes.remove([writes.Left("DELETE", f"{server.url}/orders/55", login)], 2.0)
    assert server.orders == {}
    writes.remove([writes.Left("DELETE", "http://127.0.0.1:9/orders/55", None)], 2.0)


def test_another_tenant_is_not_written_to(server: Server) -> None:
    server.tenant = "plant"
    said = judged(server, writes=WRITES)
    assert said.verdict is Verdict.INCONCLUSIVE
    assert (
        "does not say that our login belongs to the tenant synthetic-a (200, /tenant is 'plant')"
        in said.reason
    )
    assert server.bodies == []


def test_writes_need_the_opt_in(server: Server) -> None:
    said = judged(server, writes=WRITES | {"opt_in": "another"})
    assert said.verdict is Verdict.INCONCLUSIVE
    assert "set `writes: {opt_in: test}`, or run with --allow-disruptive" in said.reason
    assert server.bodies == []
    assert len(answers(server, writes=WRITES | {"opt_in": ""}, allowed=True).untried) == 0


def test_what_is_not_removed_is_wrong(server: Server) -> None:
    server.stays = True
    said = judged(server, writes=WRITES)
    assert said.verdict is Verdict.FAIL
    assert "DELETE /orders/{id} (cancel) did not remove 101" in said.reason


def test_created_with_an_answer_that_differs(server: Server) -> None:
    server.answers["POST /orders"] = (201, {"id": 55})
    said = judged(server, writes=WRITES)
    assert said.verdict is Verdict.FAIL
    assert "POST /orders (order): to create something: its answer 201 lacks `item` at $" in said.reason


def test_nothing_is_created_that_could_not_be_found_again(server: Server) -> None:
    server.answers["GET /orders"] = (200, b"[")
    found = answers(server, writes=WRITES)
    assert server.bodies == []
    assert any("so nothing is created that could stay" in said for said in found.unknown)


def test_generated_requests_are_valid_and_safe(server: Server) -> None:
    pytest.importorskip("schemathesis", reason="schemathesis is not in the extra dev")
    number = server.document["paths"]["/devices/{id}"]["parameters"][0]
    number["schema"]["minimum"] = 1
    found = answers(server, fuzz={"examples": 5})
    assert found.generated >= 5
    assert judge.judge(found, api(server)).verdict is Verdict.PASS
    assert all(request.startswith("GET ") for request in server.asked)
    del server.document["paths"]["/devices/{id}"]["get"]["responses"]["404"]
    said = judged(server, fuzz={"examples": 5})
    assert said.verdict is Verdict.FAIL
    assert "a generated request: its status 404 is not in the document (there: 200) (2 times)" in said.reason


def test_generated_requests_need_the_extra(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "schemathesis", None)
    said = judged(server, fuzz={"examples": 3})
    assert said.verdict is Verdict.INCONCLUSIVE
    assert "pip install 'pytest-deploygate[fuzz]'" in said.reason


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"openapi": None}, "exactly one of `openapi`, `graphql`, `grpc`"),
        ({"operations": {"me": {"login": "admni"}}, "logins": {"admin": {}}}, "did you mean 'admin'"),
        (
            {"writes": WRITES | {"operations": [{"create": "order", "undo": "cancel", "list": "orders"}]}},
            "needs the text {mark} in a value",
        ),
        ({"oauth": {"url": "https://a.example.com/t", "client": "c"}}, "say who asks for the token"),
    ],
)
def test_mistakes_in_the_section(server: Server, more: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says.replace("{", r"\{")):
        api(server, **more)
