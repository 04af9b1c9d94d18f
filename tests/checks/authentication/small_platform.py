"""A small platform with an API, logins and sessions, whose flaws are switched on by name. PyJWT verifies its tokens."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import secrets
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

PASSWORDS = {name: f"{name}-password" for name in ("viewer", "admin", "anna", "bert", "lockme")}
AUDIENCE = "small"
_THINGS = {"1": "anna", "2": "bert"}
_FORM = '<form method="post"><input name="username"><input name="password" type="password"></form>'


@cache
def rsa_key(number: int, bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


@cache
def ec_key(_number: int) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def document(url: str = "https://elsewhere.example.com") -> dict[str, Any]:
    """Return the OpenAPI document; its `servers` name another place, to which nothing may be sent."""
    by_id = {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}, "example": 1}
    body = {"content": {"application/json": {"schema": {"type": "object"}}}}
    return {
        "openapi": "3.0.3",
        "info": {"title": "Small", "version": "1"},
        "servers": [{"url": url}],
        "security": [{"token": []}],
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "paths": {
            "/healthz": {"get": {"operationId": "health", "security": []}},
            "/api/things": {
                "get": {"operationId": "listThings"},
                "post": {"operationId": "makeThing", "requestBody": body},
            },
            "/api/things/{id}": {
                "parameters": [by_id],
                "get": {"operationId": "getThing"},
                "delete": {"operationId": "dropThing"},
            },
            "/api/users": {"get": {"operationId": "listUsers"}},
        },
    }


class Small(ThreadingHTTPServer):
    """The platform. `flaws` are names that its code asks for; `seen` are the requests."""

    daemon_threads = True

    def __init__(self, *flaws: str, algorithm: str = "RS256") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.flaws, self.algorithm = set(flaws), algorithm
        self.document = document()
        self.sessions: dict[str, str] = {}
        self.failed: Counter[str] = Counter()
        self.rotated = 0
        self.revoked: set[str] = set()
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.count: Counter[str] = Counter()
        self.guard = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def keys(self) -> dict[str, Any]:
        """Return the private keys that are in use, the last one signs."""
        bits = 1024 if "small key" in self.flaws else 2048
        make = ec_key if self.algorithm == "ES256" else lambda n: rsa_key(n, bits)
        numbers = [1, 2] if self.rotated else [1]
        return {f"key-{n}": make(n) for n in numbers}

    def token(self, user: str, **changed: object) -> str:
        now = int(time.time())
        claims = {"iss": self.url, "aud": AUDIENCE, "sub": user, "iat": now, "exp": now + 600}
        claims |= {"jti": secrets.token_hex(8), **changed}
        kid, key = list(self.keys().items())[-1]
        with warnings.catch_warnings(action="ignore"):  # a small key is a flaw
            return jwt.encode(claims, key, self.algorithm, {"kid": kid})

    def whose(self, token: str, flaws: set[str]) -> str | None:
        """Return whose token it is, by PyJWT unless a flaw knows better."""
        with contextlib.suppress(Exception), warnings.catch_warnings(action="ignore"):
            if token in self.revoked:
                return None
            if user := self._by_flaw(token, flaws):
                return user
            header = jwt.get_unverified_header(token)
            keys = self.keys()
            if "new key unknown" in flaws and header["kid"] == "key-2":
                return None
            if "old key gone" in flaws and self.rotated and header["kid"] == "key-1":
                return None
            checks = {"verify_exp": "expired" not in flaws}
            claims = jwt.decode(
                token,
                keys[header["kid"]].public_key(),
                [self.algorithm],
                {**checks, "verify_iss": "issuer" not in flaws, "verify_aud": "audience" not in flaws},
                audience=AUDIENCE,
                issuer=self.url,
            )
            return str(claims["sub"])
        return None

    def _by_flaw(self, token: str, flaws: set[str]) -> str | None:
        head, claims, signature = token.split(".")
        header = json.loads(_decoded(head))
        user = str(json.loads(_decoded(claims))["sub"])
        name = str(header.get("alg"))
        raw = _decoded(signature)
        signed = f"{head}.{claims}".encode()
        flawed = {
            "alg none": name == "none" and not raw,
            "alg nOnE": name == "nOnE",
            "no signature": not raw and name == self.algorithm,
            "zero signature": bool(raw) and not any(raw),
            "any signature": name == self.algorithm and len(raw) == 256,
            "own key": "jwk" in header,
            "kid file": name == "HS256" and "dev/null" in header["kid"] and raw == _hmac(b"", signed),
            "public key": name == "HS256" and raw == _hmac(self._pem(), signed),
        }
        return user if any(flawed[each] for each in flaws & set(flawed)) else None

    def _pem(self) -> bytes:
        key = self.keys()["key-1"].public_key()
        encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        return bytes(key.public_bytes(encoding, form))

    def jwks(self) -> list[dict[str, Any]]:
        """Return the published keys."""
        made = jwt.algorithms.ECAlgorithm if self.algorithm == "ES256" else jwt.algorithms.RSAAlgorithm
        shown = [
            {**json.loads(made.to_jwk(key.public_key())), "kid": kid} for kid, key in self.keys().items()
        ]
        if "private key" in self.flaws:
            shown[0]["d"] = "AQAB"
        if "two of a kid" in self.flaws:
            shown.append(dict(shown[0]))
        if "foreign keys" in self.flaws:
            shown = [{**json.loads(made.to_jwk(rsa_key(9).public_key())), "kid": "key-1"}]
        return [] if "no keys" in self.flaws else shown

    def log_in(self, user: str, password: str) -> bool:
        """Return whether a login is good, and count wrong ones."""
        flaws = self.flaws
        if "wrong let in" in flaws and user in PASSWORDS:
            return True
        good = PASSWORDS.get(user) == password
        if user in PASSWORDS or "unknown quick" not in flaws:
            time.sleep(0.06 if "unknown quick" in flaws else 0.0)
        key = "everybody" if "lock of address" in flaws else user
        if self.failed[key] >= 5 and "never locks" not in flaws:
            return False
        self.failed[key] = 0 if good else self.failed[key] + 1
        return good


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _hmac(key: bytes, data: bytes) -> bytes:
    import hashlib
    import hmac

    return hmac.new(key, data, hashlib.sha256).digest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Small

    def handle_any(self) -> None:
        server, flaws = self.server, self.server.flaws
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = urlsplit(self.path).path
        with server.guard:
            server.seen.append((self.command, self.path, dict(self.headers.items())))
        if self.command == "OPTIONS":
            self.answer(204, b"")
        elif path in ("/", "/healthz"):
            self.json({"status": "ok"})
        elif path == "/openapi.json":
            self.json(server.document)
        elif path == "/.well-known/openid-configuration":
            self.discovery()
        elif path == "/jwks.json":
            self.json({"keys": server.jwks()})
        elif path == "/oauth/revoke":
            if "revokes nothing" not in flaws:
                server.revoked.add(dict(parse_qsl(body.decode()))["token"])
            self.json({}, 403 if "no revocation" in flaws else 200)
        elif path == "/oauth/token":
            form = dict(parse_qsl(body.decode()))
            good = server.log_in(form["username"], form["password"])
            token = (
                f"opaque-{form['username']}-{secrets.token_hex(4)}"
                if "opaque" in flaws
                else server.token(form["username"])
            )
            self.json({"access_token": token} if good else {"error": "invalid_grant"}, 200 if good else 400)
        elif path in ("/login", "/logout", "/page"):
            self.pages(path, body)
        else:
            self.api(path, body)

    do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = do_OPTIONS = handle_any  # noqa: N815

    def discovery(self) -> None:
        server, flaws = self.server, self.server.flaws
        if "no discovery" in flaws:
            self.json({}, 404)
            return
        self.json(
            {
                "issuer": "https://other.example.com" if "other issuer" in flaws else server.url,
                "jwks_uri": f"{server.url}/jwks.json",
                "revocation_endpoint": f"{server.url}/oauth/revoke",
                "id_token_signing_alg_values_supported": [
                    "RS256",
                    *(["none"] if "offers none" in flaws else []),
                ],
            }
        )

    def user(self) -> str | None:
        header = self.headers.get("Authorization", "")
        token = header.removeprefix("Bearer ")
        if "opaque" in self.server.flaws:
            found = re.fullmatch("opaque-([a-z]+)-[0-9a-f]{8}", token)
            return found[1] if found and found[1] in PASSWORDS and token not in self.server.revoked else None
        more = {"alg none"} if "alg none on POST" in self.server.flaws and self.command == "POST" else set()
        return self.server.whose(token, self.server.flaws | more) if token else None

    def api(self, path: str, body: bytes) -> None:
        server, flaws = self.server, self.server.flaws
        if path == "/api/rotate":
            server.rotated += 1
            self.json({})
            return
        if path == "/api/unlock":
            if "no unlock" not in flaws:
                server.failed["lockme"] = server.failed["everybody"] = 0
            self.json({})
            return
        user = None if "refuses all" in flaws else self.user()
        server.count[path] += 1
        if "open" in flaws and path == "/api/things" and self.command == "GET":
            user = user or "anna"
        if "half open" in flaws and path == "/api/users" and user is None and server.count[path] % 2:
            user = "admin"
        if user is None:
            self.refuse()
            return
        self.known(path, user, body)

    def refuse(self) -> None:
        flaws = self.server.flaws
        if "hides" in flaws:
            self.json({"detail": "nothing here"}, 404)
        elif "busy" in flaws:
            self.json({"detail": "later"}, 429)
        elif "firewall" in flaws:
            self.answer(403, b"<h1>Blocked</h1>", {"Content-Type": "text/html"})
        elif "to login" in flaws:
            self.answer(302, b"", {"Location": "/login?next=x"})
        elif "to elsewhere" in flaws:
            self.answer(302, b"", {"Location": "/sorry"})
        elif "soft login" in flaws:
            self.answer(200, _FORM.encode(), {"Content-Type": "text/html"})
        elif "breaks" in flaws:
            self.json({"detail": "oh"}, 500)
        else:
            self.json({"detail": "no"}, 401)

    def known(self, path: str, user: str, body: bytes) -> None:
        flaws = self.server.flaws
        if path == "/api/users":
            allowed = user == "admin" or "any role" in flaws
            self.json({"items": list(PASSWORDS)} if allowed else {"detail": "no"}, 200 if allowed else 403)
        elif path == "/api/things" and self.command == "POST":
            with contextlib.suppress(ValueError):
                json.loads(body)
                self.json({}, 201)
                return
            self.json({"detail": "no JSON"}, 422)
        elif path == "/api/things":
            mine = [n for n, owner in _THINGS.items() if owner == user or "lists all" in flaws]
            self.json({"items": [{"id": int(n)} for n in mine]})
        else:
            name = path.rpartition("/")[2]
            there = _THINGS.get(name) == user or ("of anybody" in flaws and name in _THINGS)
            self.json({"id": name} if there else {"detail": "none"}, 200 if there else 404)

    def pages(self, path: str, body: bytes) -> None:
        server, flaws = self.server, self.server.flaws
        cookies = dict(each.strip().partition("=")[::2] for each in self.headers.get("Cookie", "").split(";"))
        value = cookies.get("session", "")
        if path == "/page":
            if value in server.sessions or "open page" in flaws:
                self.answer(200, b"<h1>Welcome</h1>", {"Content-Type": "text/html"})
            else:
                self.answer(302, b"", {"Location": "/login"})
        elif path == "/logout":
            if "outlives" not in flaws:
                server.sessions.pop(value, None)
            self.answer(302, b"", {"Location": "/login"})
        elif self.command == "GET":
            self.answer(200, _FORM.encode(), {"Content-Type": "text/html"})
        else:
            self.form(dict(parse_qsl(body.decode())), value)

    def form(self, form: dict[str, str], sent: str) -> None:
        server, flaws = self.server, self.server.flaws
        user = form.get("username", "")
        if not server.log_in(user, form.get("password", "")):
            told = "telling" in flaws and user not in PASSWORDS
            page = "<p>There is no such user</p>" if told else "<p>Wrong</p>"
            status = 404 if "other status" in flaws and user not in PASSWORDS else 401
            self.answer(status, page.encode(), {"Content-Type": "text/html"})
            return
        value = sent if sent and "keeps session" in flaws else secrets.token_urlsafe(24)
        server.sessions[value] = user
        flags = "".join(
            flag
            for flag, flaw in (
                ("; Secure", "no Secure"),
                ("; HttpOnly", "no HttpOnly"),
                ("; SameSite=Lax", "no SameSite"),
            )
            if flaw not in flaws
        )
        more = "; Domain=example.com" if "wide" in flaws else ""
        cookie = f"session={value}; Path=/{flags}{more}; Partitioned"
        self.answer(303, b"", {"Location": "/page", "Set-Cookie": cookie})

    def json(self, found: object, status: int = 200) -> None:
        self.answer(status, json.dumps(found).encode(), {"Content-Type": "application/json"})

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        origin = self.headers.get("Origin")
        for name, value in {**(headers or {}), **self.crossing(origin)}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def crossing(self, origin: str | None) -> dict[str, str]:
        flaws, good = self.server.flaws, "https://app.example.com"
        if origin is None or "no cors" in flaws:
            return {}
        lets_in = (
            origin == good
            or "reflects" in flaws
            or ("null" in flaws and origin == "null")
            or ("begins" in flaws and origin.startswith(good))
        )
        found = {"Access-Control-Allow-Origin": origin} if lets_in else {}
        if "any origin" in flaws:
            found = {"Access-Control-Allow-Origin": "*"}
        return found | ({"Access-Control-Allow-Credentials": "true"} if "credentials" in flaws else {})

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serving(*flaws: str, algorithm: str = "RS256") -> Iterator[Small]:
    """Serve a platform with flaws while a block runs."""
    server = Small(*flaws, algorithm=algorithm)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
