"""The account that is made for being locked: wrong passwords, then the right one, another user, and the unlocking."""

from __future__ import annotations

import secrets
import time
from dataclasses import replace

from pytest_deploygate.checks.authentication.facts import Locking
from pytest_deploygate.checks.authentication.probe import form, granting
from pytest_deploygate.checks.authentication.probe.exchange import Caller
from pytest_deploygate.checks.authentication.section import Authentication, Lockout
from pytest_deploygate.clients.budget import Spending
from pytest_deploygate.model import CannotTell, NotReached

#: A longer lock is not waited for.
_PATIENCE_S, _STEP_S = 60.0, 0.25


def measure(section: Authentication, lockout: Lockout, spending: Spending) -> Locking:
    """Lock the account, look, and unlock it. Raises NotReached if the platform gives no answer, and Ended."""
    caller = Caller(section, spending)
    try:
        return _measure(caller, lockout)
    finally:
        caller.close()


def _measure(caller: Caller, lockout: Lockout) -> Locking:
    name, password = lockout.name, lockout.password.reveal()
    good, said = _log_in(caller, name, password)
    if not good and _unlock(caller, lockout) == "":
        good, said = _log_in(caller, name, password)  # a run that was cut off had left it locked
    if not good:
        return Locking(name, False, said)
    answers: dict[str, None] = {}
    for _ in range(lockout.after):
        answers[_log_in(caller, name, secrets.token_urlsafe(12))[1]] = None
    locked = Locking(name, True, said, lockout.after, tuple(answers))
    after_good, after = _log_in(caller, name, password)
    other = caller.section.user(lockout.other)
    other_good, other_said = _log_in(caller, other.name, other.password.reveal() if other.password else "")
    locked = replace(locked, after_good=after_good, after=after, other_good=other_good, other=other_said)
    if problem := _unlock(caller, lockout):
        return replace(locked, problem=problem)
    good, said = _log_in(caller, name, password)
    return replace(locked, unlocked_good=good, unlocked=said)


def _log_in(caller: Caller, name: str, password: str) -> tuple[bool, str]:
    """Log in as users do: by the form, or where there is none for a token. Return whether that was good, and the answer."""
    login = caller.section.login
    if login is None:
        answer = granting.asked(caller, name, password)
        if answer.status is None:
            raise NotReached(f"{caller.url(caller.section.granting.path)} gives no answer: {answer.problem}")
        return answer.good and "access_token" in answer.fields(), answer.said
    sent = form.send(caller, login, name, password, form.blank(caller, login))
    if sent.answer.status is None:
        raise NotReached(f"{caller.url(login.path)} gives no answer: {sent.answer.problem}")
    return sent.let_in, sent.answer.said


def _unlock(caller: Caller, lockout: Lockout) -> str:
    """Unlock the account, or wait until it is. Return why it is not, else nothing."""
    if lockout.unlock and lockout.unlock_as:
        try:
            token = granting.token(caller, caller.section.user(lockout.unlock_as))
        except CannotTell as error:
            return str(error)
        answer = caller.ask("POST", lockout.unlock, granting.bearer(token.reveal()))
        return "" if answer.good else f"{lockout.unlock} answers {answer.said} to {lockout.unlock_as}"
    wait_s = lockout.unlocks_after.total_seconds() if lockout.unlocks_after else 0.0
    if wait_s > _PATIENCE_S:
        return f"the lock lasts {wait_s:g} s, which is not waited for"
    until = time.monotonic() + wait_s
    while time.monotonic() < until:
        caller.spending.check()
        time.sleep(min(_STEP_S, max(0.0, until - time.monotonic())))
    return ""
