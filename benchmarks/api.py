"""An API with many operations and tokens: the time of the whole check.

    python benchmarks/api.py                  # 200 operations, limit 15 s

The API is a process of its own on loopback (uvicorn, TLS), so that it shares the processors with us and not the interpreter. It
verifies a token (RS256) for each request, and its document describes 401 and 404, so that each operation is asked up to
three times. Needs the extras `api` and `lab`.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import requests
from cryptography.hazmat.primitives.asymmetric import ec

from pytest_deploygate.checks.api import judge, probe
from pytest_deploygate.checks.api.section import Api
from pytest_deploygate.clients import budget as budgets
from pytest_deploygate.lab import authority
from pytest_deploygate.redaction import Secret

_SERVER = """
import json, sys, time
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
import uvicorn

port, number = int(sys.argv[1]), int(sys.argv[2])
key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
public = key.public_key()
problem = {"application/problem+json": {"schema": {"type": "object", "required": ["title", "status"]}}}
item = {"type": "object", "required": ["id", "value", "at"], "properties": {
    "id": {"type": "integer"}, "value": {"type": "number"}, "at": {"type": "string", "format": "date-time"}}}
paths = {f"/things{n}/{{id}}": {"get": {
    "operationId": f"thing{n}", "parameters": [{"name": "id", "in": "path", "required": True,
                                                "schema": {"type": "integer"}, "example": 1}],
    "responses": {"200": {"description": "", "content": {"application/json": {"schema": {"type": "array", "items": item}}}},
                  "401": {"description": "", "content": problem}, "404": {"description": "", "content": problem}}}}
    for n in range(number)}
document = {"openapi": "3.1.0", "info": {"title": "many", "version": "1"}, "security": [{"t": []}], "paths": paths,
            "servers": [{"url": f"https://127.0.0.1:{port}"}]}

def said(status, title):
    return JSONResponse({"title": title, "status": status}, status, media_type="application/problem+json")

async def thing(request):
    try:
        jwt.decode(request.headers.get("authorization", "")[7:], public, ["RS256"], audience="api")
    except jwt.PyJWTError:
        return said(401, "Unauthorized")
    if request.path_params["id"] != 1:
        return said(404, "Not Found")
    return JSONResponse([{"id": n, "value": 0.5, "at": "2026-01-31T08:00:00Z"} for n in range(20)])

async def token(request):
    made = jwt.encode({"aud": "api", "exp": int(time.time()) + 600}, key, "RS256")
    return JSONResponse({"access_token": made, "expires_in": 600})

async def described(request):
    return JSONResponse(document)

async def home(request):
    return JSONResponse({})

routes = [Route("/", home), Route("/openapi.json", described), Route("/token", token, methods=["POST"])]
routes += [Route(f"/things{n}/{{id:int}}", thing) for n in range(number)]
uvicorn.run(Starlette(routes=routes), host="127.0.0.1", port=port, log_level="error",
            ssl_certfile=sys.argv[3], ssl_keyfile=sys.argv[4])
"""


def main() -> None:
    """Start the API, check it, and print the time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--operations", type=int, default=200)
    parser.add_argument("--limit", type=float, default=15.0, help="seconds")
    given = parser.parse_args()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "server.py"
        program.write_text(_SERVER)
        chain, key, root = _certificates(Path(folder))
        words = [sys.executable, str(program), str(port), str(given.operations), str(chain), str(key)]
        with subprocess.Popen(words) as server:
            try:
                _measure(f"https://127.0.0.1:{port}", root, given)
            finally:
                server.terminate()


def _certificates(folder: Path) -> tuple[Path, Path, Path]:
    """Write a chain, its key and the root, and return the files."""
    own = authority.make("http://127.0.0.1/crl", "http://127.0.0.1/ocsp", datetime.now(UTC))
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = authority.leaf(own, key, ["127.0.0.1"])
    texts = {
        "chain.pem": authority.pem(leaf, own.intermediate),
        "key.pem": authority.key_pem(key),
        "root.pem": authority.pem(own.root),
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    return folder / "chain.pem", folder / "key.pem", folder / "root.pem"


def _measure(url: str, root: Path, given: argparse.Namespace) -> None:
    for _ in range(200):
        try:
            requests.get(url, timeout=2, verify=str(root))
            break
        except requests.ConnectionError:
            time.sleep(0.1)
    oauth = {"url": f"{url}/token", "client": "benchmark", "secret": Secret("the-secret-of-the-benchmark")}
    api = Api.model_validate(
        {"name": "many", "openapi": f"{url}/openapi.json", "oauth": oauth, "ca_file": root}
    )
    began, used = time.monotonic(), time.process_time()
    found = probe.answers(api, budgets.unrecorded("phase3.api"), "benchmark", allowed=False)
    said = judge.judge(found, api)
    took, cpu = time.monotonic() - began, time.process_time() - used
    sent = sum(len(call.attempts) for call in found.calls)
    print(f"{said.verdict.value}: {said.reason}")
    print(
        f"{given.operations} operations, {sent} requests: {took:.1f} s, {cpu:.1f} s of processor time, load {os.getloadavg()[0]:.0f}"
    )
    if said.verdict.value != "pass" or took > given.limit:
        sys.exit(f"the limit is a pass in {given.limit:g} s")


if __name__ == "__main__":
    main()
