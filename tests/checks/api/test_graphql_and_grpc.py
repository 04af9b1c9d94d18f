"""GraphQL by introspection and gRPC by its health protocol, each with a real server on loopback."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import graphql
import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from pytest_deploygate.checks.api import judge, probe
from pytest_deploygate.checks.api.probe import graphql as graphql_probe
from pytest_deploygate.checks.api.probe import grpc_health
from pytest_deploygate.checks.api.section import Api
from pytest_deploygate.clients import budget as budgets
from pytest_deploygate.lab import authority
from pytest_deploygate.model import CannotTell, Judgement, Verdict

SCHEMA = graphql.build_schema(
    """
    type Query { version: String! devices(limit: Int = 10): [Device!]! device(id: ID!): Device broken: String! }
    type Device { id: ID! unit: String next: Device }
    type Mutation { remove(id: ID!): Boolean }
    """
)
USUAL = {
    "version": "1",
    "devices": lambda _info, **_: [{"id": "1", "unit": "bar"}],
    "device": lambda _info, **asked: {"id": asked["id"], "unit": "bar"},
    "broken": "whole",
}


class Graph:
    """What the server answers with, whether it tells its schema, and what it was asked."""

    def __init__(self) -> None:
        self.root: dict[str, Any] = dict(USUAL)
        self.tells = True
        self.kind = "application/json"
        self.asked: list[str] = []
        self.url = ""


@pytest.fixture
def graph(monkeypatch: pytest.MonkeyPatch) -> Iterator[Graph]:
    monkeypatch.setattr(graphql_probe, "_PAUSE_S", 0.05)
    found = Graph()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["query"]
            found.asked.append(query)
            if "__schema" in query and not found.tells:
                said: dict[str, Any] = {"errors": [{"message": "introspection is off"}]}
            else:
                said = dict(graphql.graphql_sync(SCHEMA, query, found.root).formatted)
            body = json.dumps(said).encode()
            self.send_response(200)
            self.send_header("Content-Type", found.kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        found.url = f"http://127.0.0.1:{running.server_port}/graphql"
        yield found
        running.shutdown()


def judged(kind: str, ca_file: Path | None = None, **more: Any) -> Judgement:
    api = Api.model_validate({"name": "other", kind: more, "timeout": "2s", "ca_file": ca_file})
    found = probe.answers(api, budgets.unrecorded("phase3.api"), "test", allowed=False)
    return judge.judge(found, api)


def test_graphql_answers_as_its_schema(graph: Graph) -> None:
    said = judged(
        "graphql", url=graph.url, fields=["devices"], queries={"one": '{ device(id: "1") { unit } }'}
    )
    assert said.verdict is Verdict.PASS, said.reason
    assert "{ devices { id unit } }" in graph.asked
    assert said.reason.startswith("4 queries were answered as the schema of")


def test_graphql_fields_that_need_arguments_are_not_tried(graph: Graph) -> None:
    said = judged("graphql", url=graph.url)
    assert said.verdict is Verdict.PASS
    assert any("field device: it needs arguments" in note for note in said.notes)


def test_graphql_with_errors(graph: Graph) -> None:
    graph.root["broken"] = None
    said = judged("graphql", url=graph.url)
    assert said.verdict is Verdict.FAIL
    assert "field broken: its answer has no `data`: Cannot return null for non-nullable field" in said.reason


def test_graphql_lacks_a_field(graph: Graph) -> None:
    said = judged("graphql", url=graph.url, fields=["orders"], queries={"two": "{ orders { id } }"})
    assert said.verdict is Verdict.FAIL
    assert "its query type has no field `orders`" in said.reason
    assert "the query two does not fit its schema: Cannot query field" in said.reason


def test_graphql_with_another_content_type(graph: Graph) -> None:
    graph.kind = "text/html"
    said = judged("graphql", url=graph.url)
    assert said.verdict is Verdict.FAIL
    assert "content type text/html, expected application/json" in said.reason


def test_graphql_without_introspection(graph: Graph) -> None:
    graph.tells = False
    with pytest.raises(CannotTell, match=r"introspection is off.: allow introspection for our login"):
        judged("graphql", url=graph.url)


def test_graphql_mutations_are_not_sent(graph: Graph) -> None:
    with pytest.raises(CannotTell, match="is a mutation: only queries are sent"):
        judged("graphql", url=graph.url, queries={"bad": 'mutation { remove(id: "1") }'})
    assert not any("mutation {" in query for query in graph.asked)


STATES = {"": 1, "orders": 1, "reports": 2}


@contextlib.contextmanager
def health(states: dict[str, int] | None, tls: grpc.ServerCredentials | None = None) -> Iterator[str]:
    """A gRPC server with the health service; with None it has none."""

    def check(request: bytes, context: grpc.ServicerContext) -> bytes:
        name = request[2:].decode()
        if states is None or name not in states:
            context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return bytes([8, (states or {})[name]])

    server = grpc.server(ThreadPoolExecutor(2))
    if states is not None:
        handler = grpc.unary_unary_rpc_method_handler(check)
        service = grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": handler})
        server.add_generic_rpc_handlers((service,))
    there = "127.0.0.1:0"
    port = server.add_secure_port(there, tls) if tls else server.add_insecure_port(there)
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait(5)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpc_health, "_PAUSE_S", 0.05)


def test_grpc_is_serving() -> None:
    with health(STATES) as address:
        said = judged("grpc", address=address, services=["", "orders"], tls=False)
    assert said.verdict is Verdict.PASS, said.reason
    assert said.reason == f"2 services are serving at {address}"


@pytest.mark.parametrize(
    ("service", "says"),
    [
        ("reports", "service reports: its health is NOT_SERVING, expected SERVING (2 times)"),
        ("gone", "it does not know the service 'gone' (NOT_FOUND)"),
    ],
)
def test_grpc_is_not_serving(service: str, says: str) -> None:
    with health(STATES) as address:
        said = judged("grpc", address=address, services=[service], tls=False)
    assert said.verdict is Verdict.FAIL
    assert says in said.reason


def test_grpc_without_the_health_service() -> None:
    with health(None) as address:
        said = judged("grpc", address=address, tls=False)
    assert said.verdict is Verdict.INCONCLUSIVE
    assert "add grpc.health.v1.Health to the server" in said.reason


def test_grpc_refuses_the_connection() -> None:
    with health(STATES) as address:
        pass
    said = judged("grpc", address=address, tls=False)
    assert said.verdict is Verdict.FAIL
    assert "connection refused" in said.reason


def test_grpc_over_tls(tmp_path: Path) -> None:
    own = authority.make("http://127.0.0.1/crl", "http://127.0.0.1/ocsp", datetime.now(UTC))
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = authority.leaf(own, key, ["127.0.0.1"])
    chain = authority.pem(leaf, own.intermediate).encode()
    tls = grpc.ssl_server_credentials([(authority.key_pem(key).encode(), chain)])
    root = tmp_path / "root.pem"
    root.write_text(authority.pem(own.root))
    with health(STATES, tls) as address:
        assert judged("grpc", ca_file=root, address=address).verdict is Verdict.PASS
        said = judged("grpc", address=address)
    assert said.verdict is Verdict.FAIL
    assert "its certificate is not trusted" in said.reason


def test_grpc_that_does_not_speak_tls() -> None:
    with health(STATES) as address:
        said = judged("grpc", address=address)
    assert said.verdict is Verdict.FAIL
    assert "it does not speak TLS: correct `grpc.address` or `grpc.tls`" in said.reason
