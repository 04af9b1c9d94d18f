"""Tokens of users: given by reference, or asked for with their passwords."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_deploygate.checks.authentication.probe.exchange import Answer, Caller
from pytest_deploygate.checks.authentication.section import User
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import Secret


def token(caller: Caller, user: User) -> Secret:
    """Return a user's token. Raises CannotTell with the answer of the token endpoint if there is none."""
    if user.token is not None:
        return user.token
    answer = asked(caller, user.name, user.password.reveal() if user.password else "")
    found = answer.fields()
    if not answer.good or not isinstance(found.get("access_token"), str):
        error = f" ({found['error']})" if isinstance(found.get("error"), str) else ""
        raise CannotTell(
            f"no token for {user.name}: {caller.section.granting.path} answers {answer.said}{error}; correct "
            "`authentication.users`, or give `token: env:NAME` where tokens cannot be had for a password"
        )
    return Secret(found["access_token"], f"token of {user.name}")


def asked(caller: Caller, name: str, password: str) -> Answer:
    """Ask for a token with a password."""
    how = caller.section.granting
    fields = {"grant_type": "password", "username": name, "password": password}
    if how.client_id:
        fields["client_id"] = how.client_id
    if how.client_secret:
        fields["client_secret"] = how.client_secret.reveal()
    if how.scope:
        fields["scope"] = how.scope
    return caller.form(how.path, fields)


def tokens(caller: Caller) -> tuple[Mapping[str, Secret], Mapping[str, str]]:
    """Return the users' tokens by name, and why others have none."""
    found, problems = {}, {}
    for user in caller.section.users:
        try:
            found[user.name] = token(caller, user)
        except CannotTell as error:
            problems[user.name] = str(error)
    return found, problems


def bearer(value: str) -> dict[str, str]:
    """Return the header that carries a token."""
    return {"Authorization": f"Bearer {value}"}
