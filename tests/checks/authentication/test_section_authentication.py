"""Mistakes in the section `authentication`, and what to do about them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from pytest_deploygate.checks.authentication.section import Authentication
from pytest_deploygate.redaction import Secret

_PASSWORD = Secret("a-password-of-tests")
_USERS = [{"name": "anna", "password": _PASSWORD}, {"name": "robot", "token": Secret("a-token-of-tests")}]
_LOCKOUT = {"name": "lockme", "password": _PASSWORD, "other": "anna", "unlocks_after": "30s"}


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"users": []}, "at least 1 item"),
        ({"users": [*_USERS, _USERS[0]]}, "two entries of `users` have the same name"),
        ({"users": [{"name": "anna"}]}, "the user anna needs `password: env:NAME`"),
        (
            {"login": {"user": "ana", "pages": ["/"]}},
            "no user in `users` is named 'ana'; did you mean 'anna'?",
        ),
        ({"login": {"user": "robot", "pages": ["/"]}}, "login.user: the user robot needs a `password`"),
        ({"login": {"user": "anna", "pages": []}}, "at least 1 item"),
        ({"lockout": {**_LOCKOUT, "name": "anna"}}, "it will be locked, so no other check may use it"),
        ({"lockout": {**_LOCKOUT, "other": "robot"}}, "lockout.other: the user robot needs a `password`"),
        ({"lockout": {**_LOCKOUT, "unlocks_after": None}}, "say how the account is unlocked"),
        ({"lockout": {**_LOCKOUT, "unlock": "/unlock"}}, "`unlock` and `unlock_as` belong together"),
        ({"rotation": {"path": "/rotate", "user": "admin"}}, "rotation.user: no user in `users` is named"),
        ({"document": "openapi.json"}, "is no path such as /login and no URL"),
        ({"without": {"everything": "we are in a hurry"}}, "without.everything"),
    ],
)
def test_a_mistake_is_a_sentence(more: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as error:
        Authentication.model_validate({"url": "https://app.example.com", "users": _USERS, **more})
    assert says in str(error.value)


def test_a_small_section_is_enough() -> None:
    found = Authentication.model_validate({"url": "https://app.example.com", "users": _USERS})
    assert found.user("robot").password is None
    assert not found.opt_in
