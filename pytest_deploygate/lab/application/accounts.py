"""Users, their sessions in a cookie, and the lock after too many wrong passwords."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from typing import Any

from starlette.requests import HTTPConnection

from pytest_deploygate.lab.application import passwords
from pytest_deploygate.lab.application.store import Store
from pytest_deploygate.lab.application.switches import Switches
from pytest_deploygate.lazy import dataclass

COOKIE = "session"
#: Wrong passwords in a row until an account is locked, and for how long it is.
TRIES, LOCKED_S = 5, 60
#: What each role may do includes what the roles before it may.
ROLES = ("viewer", "operator", "admin")


@dataclass(frozen=True)
class User:
    """Somebody who is logged in. A program that has a token of its own is a user of the tenant `plant`."""

    name: str
    tenant: str
    role: str

    def may(self, role: str) -> bool:
        """Return whether this user has a role, or one that includes it."""
        return ROLES.index(self.role) >= ROLES.index(role)


async def check(store: Store, switches: Switches, name: str, password: str) -> User | None:
    """Return the user with this name and password; None where there is none, or where the account is locked.

    With the switch `auth_never_locks` no account is; with `auth_unknown_quick` the password of nobody is not looked at.
    """
    found = await store.row(
        "SELECT *, locked_until > now() AS locked FROM users WHERE name = %(name)s", {"name": name}
    )
    if found is None and switches.on("auth_unknown_quick"):
        return None
    stored = found["password_hash"] if found else passwords.OF_NOBODY
    fits = await asyncio.to_thread(passwords.fits, password, stored)
    if found is None or (found["locked"] and not switches.on("auth_never_locks")):
        return None
    if not fits:
        await store.rows(
            "UPDATE users SET failed = (failed + 1) %% %(tries)s, locked_until = CASE"
            " WHEN failed + 1 >= %(tries)s THEN now() + %(locked_s)s * interval '1 second' END WHERE name = %(name)s",
            {"name": name, "tries": TRIES, "locked_s": LOCKED_S},
        )
        return None
    if found["failed"] or found["locked_until"]:
        await store.rows(
            "UPDATE users SET failed = 0, locked_until = NULL WHERE name = %(name)s", {"name": name}
        )
    return User(name, found["tenant"], found["role"])


async def begin(store: Store, user: User) -> str:
    """Begin a session and return its cookie's value, which only the user has: the database has a digest."""
    value = secrets.token_urlsafe(32)
    await store.rows(
        "INSERT INTO sessions (digest, user_name) VALUES (%(digest)s, %(name)s)",
        {"digest": digest(value), "name": user.name},
    )
    return value


async def end(store: Store, value: str) -> None:
    """End a session."""
    await store.rows("DELETE FROM sessions WHERE digest = %(digest)s", {"digest": digest(value)})


async def by_cookie(store: Store, connection: HTTPConnection) -> User | None:
    """Return whose session a request belongs to."""
    value = connection.cookies.get(COOKIE)
    if not value:
        return None
    found = await store.row(
        "SELECT u.name, u.tenant, u.role FROM sessions s JOIN users u ON u.name = s.user_name"
        " WHERE s.digest = %(digest)s AND s.expires_at > now()",
        {"digest": digest(value)},
    )
    return User(**found) if found else None


async def by_name(store: Store, name: str) -> User | None:
    """Return the user with a name."""
    found = await store.row("SELECT name, tenant, role FROM users WHERE name = %(name)s", {"name": name})
    return User(**found) if found else None


def cookie_flags(switches: Switches) -> dict[str, Any]:
    """Return the flags of the session's cookie."""
    return {
        "secure": not switches.on("cookie_insecure"),
        "httponly": not switches.on("cookie_readable"),
        "samesite": switches.get("cookie_samesite", "lax"),
    }


def digest(value: str) -> str:
    """Return what the database keeps of a secret value."""
    return hashlib.sha256(value.encode()).hexdigest()
