"""A token that is ended before its time (RFC 7009), as a logout of programs does."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_deploygate.checks.authentication.facts import Attempt
from pytest_deploygate.checks.authentication.probe import refusal
from pytest_deploygate.checks.authentication.probe.exchange import Caller
from pytest_deploygate.checks.authentication.probe.granting import bearer, token
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import Secret


def revoke(
    caller: Caller, endpoint: str, name: str, place: str, in_use: Secret, logins: Sequence[str]
) -> tuple[Attempt | None, str]:
    """End a new token of a user and send it to a protected `place`. Return what became of it, or why that is not known."""
    user = caller.section.user(name)
    if user.token is not None:
        return None, f"the token of {name} is given by reference, and would be lost"
    try:
        own = token(caller, user).reveal()
    except CannotTell as error:
        return None, str(error)
    if own == in_use.reveal():
        return None, f"{name} gets the same token each time, and the one in use would be lost"
    control = caller.ask("GET", place, bearer(own))
    if not control.good:
        return None, f"a new token of {name} is answered {control.said} by GET {place}"
    how = caller.section.granting
    fields = {"token": own, "token_type_hint": "access_token"}
    if how.client_id:
        fields["client_id"] = how.client_id
    if how.client_secret:
        fields["client_secret"] = how.client_secret.reveal()
    ended = caller.form(endpoint, fields, bearer(own))
    if not ended.good:
        return None, f"POST {endpoint} answers {ended.said}"
    return (
        refusal.attempt(
            f"GET {place}",
            "a token that was ended",
            lambda: caller.ask("GET", place, bearer(own)),
            control,
            logins,
        ),
        "",
    )
