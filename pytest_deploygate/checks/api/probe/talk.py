"""What all requests of one document share: its login, its addresses, and the comparison of each answer with the document."""

from __future__ import annotations

import threading
import time
from dataclasses import field

from pytest_deploygate.checks.api.facts import Attempt, Call, Purpose
from pytest_deploygate.checks.api.probe import differs
from pytest_deploygate.checks.api.probe.asking import Answer, Asker, Missing
from pytest_deploygate.checks.api.probe.made import Made
from pytest_deploygate.checks.api.section import Api, Values
from pytest_deploygate.clients.http import oauth
from pytest_deploygate.clients.openapi import Document, Operation
from pytest_deploygate.fields.oauth import TokenAccess
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell

#: A difference counts if it is seen again after this time; a server that asks us to wait gets a little more.
_PAUSE_S, _LONGER_S = 0.5, 2.0
_TOO_MANY = 429


@dataclass()
class Session:
    """What all requests of one document share: `base` is the address that the inventory names, empty if it is the document's, `at`.

    Logins are fetched when the first operation needs them.
    """

    api: Api
    document: Document
    base: str
    at: str
    asker: Asker
    _logins: dict[str, TokenAccess | CannotTell] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    unknown: list[str] = field(default_factory=list)

    def values(self, operation: Operation) -> Values | None:
        """Return what the inventory says about an operation."""
        found = (v for name, v in self.api.operations.items() if operation.answers_to([name]))
        return next(found, None)

    def login(self, name: str | None) -> TokenAccess | None:
        """Return a login with its token, None if there is none. Raises CannotTell if its token cannot be fetched."""
        key = name or ""
        with self._lock:
            return self._fetched(key, name)

    def _fetched(self, key: str, name: str | None) -> TokenAccess | None:
        if key not in self._logins:
            access: TokenAccess = self.api.logins[name] if name else self.api
            if access.ca_file is None:
                access = access.model_copy(update={"ca_file": self.api.ca_file})
            try:
                self._logins[key] = oauth.logged_in(access, self.asker.timeout_s)
            except CannotTell as error:
                self._logins[key] = error
        found = self._logins[key]
        if isinstance(found, CannotTell):
            raise found
        return found if found.login else None

    def url(self, operation: Operation, path: str) -> str:
        """Return the whole address of an operation."""
        return f"{(self.base or operation.server).rstrip('/')}{path}"

    def ask(
        self,
        operation: Operation,
        request: Made,
        login: TokenAccess | None,
        *,
        body: bytes | None = None,
        afresh: bool = False,
    ) -> tuple[Attempt, Answer | None]:
        """Send one request of an operation, and compare its answer with the document."""
        headers = dict(request.headers) | ({"Content-Type": "application/json"} if body is not None else {})
        answer = self.asker.ask(
            operation.method,
            self.url(operation, request.path),
            login,
            query=request.query,
            headers={"Accept": "application/json, */*;q=0.5"} | headers,
            body=body,
            afresh=afresh,
        )
        if isinstance(answer, Missing):
            return Attempt(None, took_s=round(answer.took_s, 4), said=answer.said, ours=answer.ours), None
        found: tuple[str, ...] = ()
        try:
            found = differs.differs(self.document, operation, answer)
        except CannotTell as error:
            self.unknown.append(str(error))
        return Attempt(
            answer.status,
            answer.content_type,
            round(answer.took_s, 4),
            differs=found,
            error=answer.error,
        ), answer

    def call(
        self, operation: Operation, request: Made, purpose: Purpose, login: TokenAccess | None, who: str = ""
    ) -> Call:
        """Ask an operation; ask it again if the answer was not as documented."""
        attempts = [self.ask(operation, request, login)[0]]
        if doubtful(attempts[0]):
            time.sleep(_LONGER_S if attempts[0].status == _TOO_MANY else _PAUSE_S)
            attempts.append(self.ask(operation, request, login, afresh=True)[0])
        return Call(operation.name, purpose, tuple(attempts), tuple(operation.responses), who)


def doubtful(attempt: Attempt) -> bool:
    """Whether an answer is worth a second look: none, an error of the server, or one that is not as documented."""
    return (
        attempt.status is None
        or attempt.status >= 500
        or attempt.status == _TOO_MANY
        or bool(attempt.differs)
    )
