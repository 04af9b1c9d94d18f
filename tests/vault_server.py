"""A server with the documented API of HashiCorp Vault and OpenBao: KV 1 and 2, seal, health, tokens and leases."""

from __future__ import annotations

import contextlib
import json
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

TOKEN = "hvs.a-token-of-the-tests-01"


@dataclass
class Vault:
    """What the server has, and what was asked. `delay_s` is waited before each answer."""

    address: str = ""
    sealed: bool = False
    initialized: bool = True
    standby: bool = False
    delay_s: float = 0.0
    namespace: str = ""
    token: dict[str, Any] = field(
        default_factory=lambda: {
            "ttl": 7200,
            "creation_time": int(time.time()) - 3600,
            "expire_time": "2030-01-01T00:00:00Z",
            "policies": ["platform"],
            "renewable": True,
        }
    )
    leases: dict[str, int] = field(default_factory=dict)
    kv1: dict[str, dict[str, Any]] = field(default_factory=lambda: {"app": {"key": "old-but-long-enough"}})
    kv2: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {
            "platform/db": {"password": "s3cret-of-the-vault", "port": 5432, "more": {"a": 1}}
        }
    )
    deleted: set[str] = field(default_factory=set)
    forbidden: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def answer(
        self, method: str, path: str, headers: Any, body: dict[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        """Return status and body, as the API documents them."""
        self.asked.append(f"{method} {path}")
        state = {
            "sealed": self.sealed,
            "initialized": self.initialized,
            "version": "1.18.0",
            "type": "shamir",
        }
        if path == "sys/seal-status":
            return 200, {**state, "t": 3, "n": 5, "progress": 0}
        if path == "sys/health":
            return 200, {**state, "standby": self.standby, "server_time_utc": int(time.time())}
        if self.sealed:
            return 503, {"errors": ["Vault is sealed"]}
        given = headers.get("X-Vault-Token") or headers.get("Authorization", "").removeprefix("Bearer ")
        if given != TOKEN or headers.get("X-Vault-Namespace", "") != self.namespace or path in self.forbidden:
            return 403, {"errors": ["1 error occurred:\n\t* permission denied\n\n"]}
        if path == "auth/token/lookup-self":
            return 200, {"data": self.token}
        if path == "sys/leases/lookup":
            ttl = self.leases.get(body.get("lease_id", ""))
            if ttl is None:
                return 400, {"errors": ["invalid lease"]}
            return 200, {"data": {"id": body["lease_id"], "ttl": ttl, "expire_time": "2030-01-01T00:00:00Z"}}
        return self._secret(path)

    def _secret(self, path: str) -> tuple[int, dict[str, Any]]:
        if path.startswith("sys/internal/ui/mounts/"):
            mount = path.removeprefix("sys/internal/ui/mounts/").partition("/")[0]
            options = {"secret": {"version": "2"}, "kv1": None}
            if mount == "pki":
                return 200, {"data": {"path": "pki/", "type": "pki", "options": None}}
            if mount not in options:
                return 403, {"errors": ["preflight capability check returned 403"]}
            return 200, {"data": {"path": f"{mount}/", "type": "kv", "options": options[mount]}}
        if path.startswith("secret/data/"):
            name = path.removeprefix("secret/data/")
            if name in self.deleted:
                gone = {"deletion_time": "2026-01-01T00:00:00Z", "version": 1}
                return 404, {"data": {"data": None, "metadata": gone}}
            return (
                (200, {"data": {"data": self.kv2[name], "metadata": {}}})
                if name in self.kv2
                else (404, {"errors": []})
            )
        name = path.removeprefix("kv1/")
        return (200, {"data": self.kv1[name]}) if name in self.kv1 else (404, {"errors": []})


@contextlib.contextmanager
def serving(folder: Path | None = None) -> Iterator[Vault]:
    """Serve on a free port of loopback; with TLS and a certificate of its own if a folder is given (`ca.pem`)."""
    vault = Vault()

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            time.sleep(vault.delay_s)
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.removeprefix("/v1/").partition("?")[0]
            status, body = vault.answer(self.command, path, self.headers, json.loads(raw or b"{}"))
            with contextlib.suppress(OSError):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

        do_GET = do_POST = do_PUT = _do  # noqa: N815 (names of the library)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    scheme = "http"
    if folder:
        scheme = "https"
        subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
        files = ["-keyout", folder / "key.pem", "-out", folder / "ca.pem"]
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject, *files],
            check=True,
            capture_output=True,
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "ca.pem", folder / "key.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    vault.address = f"{scheme}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield vault
    finally:
        server.shutdown()
        server.server_close()
