"""Access tokens: JWTs with RS256, whose keys are published; and the endpoint that gives them out."""

from __future__ import annotations

import base64
import json
import secrets
import time
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pytest_deploygate.lab.application import accounts
from pytest_deploygate.lab.application.accounts import User
from pytest_deploygate.lab.application.settings import Settings
from pytest_deploygate.lab.application.store import Store
from pytest_deploygate.lab.application.switches import Switches

AUDIENCE = "platform-api"
LASTS_S = 900
_PROGRAM = "integration"


class Tokens:
    """The keys of the platform. The newest that is published signs; with the switch `auth_key` another one does."""

    def __init__(self, settings: Settings, switches: Switches) -> None:
        self._switches = switches
        self._issuer = settings.url
        self._rotations = settings.folder / "rotations"
        self._keys = {name: _key(settings.folder / f"{name}.pem") for name in ("key-1", "key-2")}

    def published(self) -> dict[str, RSAPrivateKey]:
        """Return the keys that are published, by their ids: after a rotation the earlier one stays for a while.

        The last one signs. With the switch `auth_old_keys_gone` no earlier one stays.
        """
        rotations = self._rotated() + self._switches.on("auth_keys_rotated")
        names = ("key-1",) if not rotations else ("key-1", "key-2") if rotations % 2 else ("key-2", "key-1")
        if self._switches.on("auth_old_keys_gone"):
            names = names[-1:]
        return {name: self._keys[name] for name in names}

    def rotate(self) -> None:
        """Sign with another key from now on, in all replicas."""
        aside = self._rotations.with_name("rotations.new")
        aside.write_text(str(self._rotated() + 1))
        aside.replace(self._rotations)

    def _rotated(self) -> int:
        try:
            return int(self._rotations.read_text())
        except FileNotFoundError:
            return 0

    def make(self, user: User, **changed: object) -> str:
        """Return a token for a user, with some claims changed."""
        name, key = list(self.published().items())[-1]
        now = int(time.time())
        claims = {
            "iss": self._issuer,
            "aud": AUDIENCE,
            "sub": user.name,
            "role": user.role,
            "tenant": user.tenant,
            "iat": now,
            "nbf": now,
            "exp": now + LASTS_S,
            "jti": secrets.token_hex(8),
            **changed,
        }
        return jwt.encode(claims, key, "RS256", {"kid": name})

    def read(self, token: str) -> dict[str, Any] | None:
        """Return the claims of a token that is good, else None."""
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg", "").lower() == "none" and self._switches.on("auth_none_accepted"):
                return unsigned_claims(token)
            key = self.published()[header["kid"]].public_key()
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                ["RS256"],
                {
                    "require": ["exp", "iss", "aud", "sub"],
                    "verify_exp": not self._switches.on("auth_expired_accepted"),
                },
                audience=None if self._switches.on("auth_audience_ignored") else AUDIENCE,
                issuer=self._issuer,
            )
        except (jwt.InvalidTokenError, KeyError):
            return None
        return claims

    def key_set(self) -> dict[str, Any]:
        """Return the public keys as a JSON Web Key Set (RFC 7517)."""
        made = jwt.algorithms.RSAAlgorithm
        return {
            "keys": [
                {**made.to_jwk(key.public_key(), as_dict=True), "kid": name, "use": "sig", "alg": "RS256"}
                for name, key in self.published().items()
            ]
        }


def unsigned_claims(token: str) -> dict[str, Any]:
    """Return the claims of a token without looking at its signature."""
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def _key(file: Path) -> RSAPrivateKey:
    key = load_pem_private_key(file.read_bytes(), None)
    assert isinstance(key, RSAPrivateKey)  # noqa: S101 (it was made as one)
    return key


async def by_token(connection: HTTPConnection) -> User | None:
    """Return whose token a request brings in its header `Authorization`."""
    kind, _, token = connection.headers.get("authorization", "").partition(" ")
    claims = connection.app.state.tokens.read(token) if kind.lower() == "bearer" else None
    if claims is None:
        return None
    store: Store = connection.app.state.store
    if claims["sub"] == _PROGRAM:
        return User(_PROGRAM, "plant", "operator")
    if (
        await store.row(
            "SELECT 1 AS found FROM revoked_tokens WHERE id = %(id)s", {"id": claims.get("jti", "")}
        )
        is not None
    ):
        return None
    return await accounts.by_name(store, claims["sub"])


async def token(request: Request) -> Response:
    """Give out a token: for a password, for a program's secret, or for a refresh token."""
    form = {name: str(value) for name, value in (await request.form()).items()}
    store: Store = request.app.state.store
    match form.get("grant_type"):
        case "password":
            user = await accounts.check(
                store, request.app.state.switches, form.get("username", ""), form.get("password", "")
            )
        case "client_credentials":
            expected = request.app.state.settings.secret("client")
            fits = secrets.compare_digest(form.get("client_secret", "").encode(), expected.encode())
            user = User(_PROGRAM, "plant", "operator") if fits and form.get("client_id") == _PROGRAM else None
        case "refresh_token":
            user = await _refreshed(store, form.get("refresh_token", ""))
        case _:
            return _no_token("unsupported_grant_type")
    if user is None:
        return _no_token("invalid_grant")
    answer = {
        "access_token": request.app.state.tokens.make(user),
        "token_type": "Bearer",
        "expires_in": LASTS_S,
    }
    if user.name != _PROGRAM:
        answer["refresh_token"] = await _refresh_token(store, user)
    return JSONResponse(answer, headers={"Cache-Control": "no-store"})


def _no_token(error: str) -> Response:
    return JSONResponse({"error": error}, 400, headers={"Cache-Control": "no-store"})


async def _refresh_token(store: Store, user: User) -> str:
    value = secrets.token_urlsafe(32)
    await store.rows(
        "INSERT INTO refresh_tokens (digest, user_name) VALUES (%(digest)s, %(name)s)",
        {"digest": accounts.digest(value), "name": user.name},
    )
    return value


async def _refreshed(store: Store, value: str) -> User | None:
    """Return whose refresh token this is; it is used up."""
    found = await store.row(
        "DELETE FROM refresh_tokens WHERE digest = %(digest)s AND expires_at > now() RETURNING user_name",
        {"digest": accounts.digest(value)},
    )
    return await accounts.by_name(store, found["user_name"]) if found else None


async def revoke(request: Request) -> Response:
    """End a token before its time (RFC 7009)."""
    form = await request.form()
    value = str(form.get("token", ""))
    store: Store = request.app.state.store
    if claims := request.app.state.tokens.read(value):
        await store.rows(
            "INSERT INTO revoked_tokens (id) VALUES (%(id)s) ON CONFLICT DO NOTHING",
            {"id": claims.get("jti", "")},
        )
    await store.rows(
        "DELETE FROM refresh_tokens WHERE digest = %(digest)s", {"digest": accounts.digest(value)}
    )
    return Response()


async def key_set(request: Request) -> Response:
    """Answer with the public keys."""
    return JSONResponse(request.app.state.tokens.key_set())


async def discovery(request: Request) -> Response:
    """Answer with what there is (OpenID Connect Discovery)."""
    url = request.app.state.settings.url
    return JSONResponse(
        {
            "issuer": url,
            "authorization_endpoint": f"{url}/login",
            "token_endpoint": f"{url}/oauth/token",
            "revocation_endpoint": f"{url}/oauth/revoke",
            "jwks_uri": f"{url}/jwks.json",
            "grant_types_supported": ["password", "client_credentials", "refresh_token"],
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }
    )


ROUTES = [
    Route("/oauth/token", token, methods=["POST"]),
    Route("/oauth/revoke", revoke, methods=["POST"]),
    Route("/jwks.json", key_set),
    Route("/.well-known/openid-configuration", discovery),
]
