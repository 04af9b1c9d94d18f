"""Observes; never sees a limit. Bad tokens and wrong passwords are sent only where that is allowed."""

from __future__ import annotations

from pytest_deploygate.checks.authentication import facts
from pytest_deploygate.checks.authentication.section import Authentication
from pytest_deploygate.clients.budget import Budget
from pytest_deploygate.model import CannotTell

__all__ = ["try_access", "try_lockout", "try_logins", "try_tokens"]


def try_tokens(section: Authentication, environment: str, budget: Budget, *, allowed: bool) -> facts.Tokens:
    """Ask for every protected operation without a token, with bad ones and with a good one.

    Raises CannotTell if the inventory does not allow that or nothing can be tried, NotReached, and Ended.
    """
    _allowed(section, environment, allowed=allowed)
    from pytest_deploygate.checks.authentication.probe import exchange, tokens  # noqa: PLC0415 (cryptography)

    with budget.probe("tokens", control=lambda: exchange.alive(section, budget.item)) as spending:
        return tokens.measure(section, spending)


def try_access(section: Authentication, environment: str, budget: Budget, *, allowed: bool) -> facts.Access:
    """Ask for what roles may not do, for objects of other users, and from other origins. Raises CannotTell, NotReached, and Ended.

    What was not answered is a value of the facts.
    """
    _allowed(section, environment, allowed=allowed)
    from pytest_deploygate.checks.authentication.probe import access, exchange  # noqa: PLC0415 (as above)

    with budget.probe("access", control=lambda: exchange.alive(section, budget.item)) as spending:
        return access.measure(section, spending)


def try_logins(
    section: Authentication, environment: str, budget: Budget, *, allowed: bool
) -> facts.Logins | None:
    """Log in and out, and try logins that must be refused; None if the section has no login.

    Raises CannotTell if the inventory does not allow that, NotReached, and Ended.
    """
    _allowed(section, environment, allowed=allowed)
    if section.login is None:
        return None
    from pytest_deploygate.checks.authentication.probe import exchange, logins  # noqa: PLC0415 (as above)

    with budget.probe("logins", control=lambda: exchange.alive(section, budget.item)) as spending:
        return logins.measure(section, section.login, spending)


def try_lockout(
    section: Authentication, environment: str, budget: Budget, *, allowed: bool
) -> facts.Locking | None:
    """Lock the account that is made for it; None if the section has none.

    Raises CannotTell if the inventory does not allow that, NotReached, and Ended.
    """
    _allowed(section, environment, allowed=allowed)
    if section.lockout is None:
        return None
    from pytest_deploygate.checks.authentication.probe import exchange, lockout  # noqa: PLC0415 (as above)

    with budget.probe("lockout", control=lambda: exchange.alive(section, budget.item)) as spending:
        return lockout.measure(section, section.lockout, spending)


def _allowed(section: Authentication, environment: str, *, allowed: bool) -> None:
    if not allowed and section.opt_in != environment:
        raise CannotTell(
            f"no bad token and no wrong password was sent: set `authentication.opt_in: {environment}` if this environment may "
            f"get them for the users of the section, or run with --allow-disruptive={environment}"
        )
