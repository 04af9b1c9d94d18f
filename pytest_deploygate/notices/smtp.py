"""Sending mails, one recipient at a time, so that each has the server's answer of its own (RFC 5321).

`sendmail` of the standard library raises only when every recipient is refused. Here each stage is done by itself, and what
the server said last is known of each mail: before its text was complete nothing was sent; after that, without an answer, it
is uncertain.
"""

from __future__ import annotations

import contextlib
import re
import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator

from pytest_deploygate.clients.deadline import Deadline, end
from pytest_deploygate.fields.mail import MailServer
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.notices.record import State
from pytest_deploygate.problems import one_line

_MOST_SAID = 300


@dataclass(frozen=True)
class Outcome:
    """What became of a message. `whole`: the server as a whole cannot be used, so that others need not be tried."""

    state: State
    said: str
    stage: str = ""
    code: int = 0
    whole: bool = False


class _StoppedError(Exception):
    """A stage ended the delivery."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        super().__init__(outcome.said)


class Post:
    """A connection to a mail server, opened for the first mail and used for the others."""

    def __init__(self, server: MailServer) -> None:
        self._server = server
        self._client: smtplib.SMTP | None = None
        self._sender = ""
        self._where = f"{server.host}:{server.at}"

    def close(self) -> None:
        """Take leave of the server."""
        if self._client is not None:
            with contextlib.suppress(OSError, smtplib.SMTPException), self._limited(Deadline(2.0)):
                self._client.quit()
        self._drop()

    def deliver(self, sender: str, to: str, mail: bytes, before: Callable[[], None]) -> Outcome:
        """Send a mail to one recipient; `before` is called before its text goes out. What it raises is raised."""
        deadline = Deadline(self._server.timeout.total_seconds())
        try:
            try:
                return self._deliver(sender, to, mail, before, deadline)
            except _StoppedError as stop:
                return stop.outcome
        finally:
            # After a refusal the server must forget the sender and the recipient before the next mail.
            if self._client is not None:
                try:
                    with self._limited(Deadline(5.0)):
                        self._client.rset()
                except (OSError, smtplib.SMTPException):
                    self._drop()

    def _deliver(
        self, sender: str, to: str, mail: bytes, before: Callable[[], None], deadline: Deadline
    ) -> Outcome:
        client = self._client or self._open(deadline)
        local, _, host = to.rpartition("@")
        address = f"{local}@{host if host.isascii() else host.encode('idna').decode()}"
        options: list[str] = []
        if not address.isascii():
            if not client.has_extn("smtputf8"):
                raise _StoppedError(
                    Outcome(
                        State.REFUSED,
                        f"{self._where} takes no address with letters beyond ASCII (no SMTPUTF8)",
                        "RCPT",
                    )
                )
            options = ["SMTPUTF8"]
            client.command_encoding = "utf-8"
        self._sender = f"<{sender}>"
        self._asked("MAIL FROM", deadline, lambda: client.mail(sender, options))
        self._asked("RCPT TO", deadline, lambda: client.rcpt(address))
        before()
        self._asked("DATA", deadline, lambda: client.docmd("DATA"), good=(354,))
        # A line that begins with a dot gets a second one (RFC 5321, section 4.5.2).
        text = re.sub(rb"(?m)^\.", b"..", mail if mail.endswith(b"\r\n") else mail + b"\r\n")
        try:
            with self._limited(deadline):
                client.send(text)
        except (OSError, smtplib.SMTPException) as error:
            self._drop()
            # Without the end of the text a server must not deliver it (RFC 5321, section 4.1.1.4).
            raise _StoppedError(Outcome(State.WAITING, self._lost("the text", error), "text")) from None
        try:
            with self._limited(deadline):
                client.send(b".\r\n")
                code, said = client.getreply()
        except (OSError, smtplib.SMTPException) as error:
            self._drop()
            why = f"{self._lost('the answer to the text', error)}: it may have been delivered"
            raise _StoppedError(Outcome(State.UNCERTAIN, why, "end of the text")) from None
        return self._judged("end of the text", code, said)

    def _asked(
        self,
        stage: str,
        deadline: Deadline,
        ask: Callable[[], tuple[int, bytes]],
        good: tuple[int, ...] = (250, 251, 252),
    ) -> None:
        try:
            with self._limited(deadline):
                code, said = ask()
        except (OSError, smtplib.SMTPException) as error:
            self._drop()
            raise _StoppedError(Outcome(State.WAITING, self._lost(stage, error), stage)) from None
        if code not in good:
            if code == 421:  # the server is going away
                self._drop()
            if stage == "MAIL FROM" and code >= 500:  # it is about us, not about the recipient
                raise self._unusable(f"{code} {_words(said)} (at {stage}, sender {self._sender})", stage)
            raise _StoppedError(self._judged(stage, code, said))

    def _judged(self, stage: str, code: int, said: bytes) -> Outcome:
        words = f"{code} {_words(said)}"
        if 200 <= code < 300:
            return Outcome(State.ACCEPTED, words, stage, code)
        if 400 <= code < 500:
            return Outcome(State.WAITING, f"{words} (at {stage}; for now)", stage, code)
        state = State.REFUSED if 500 <= code < 600 else State.WAITING
        return Outcome(state, f"{words} (at {stage})", stage, code)

    def _open(self, deadline: Deadline) -> smtplib.SMTP:
        """Connect, secure and log in. What fails here fails for all mails."""
        server = self._server
        try:
            # `smtplib` says what it waits for by itself only with a timeout for each byte; the deadline is for all of it.
            client = smtplib.SMTP(timeout=max(0.1, deadline.left_s()), local_hostname=server.hello or None)
            context = self._context()
            raw = self._connected(deadline)
            if server.security == "tls":
                raw.settimeout(deadline.left_s())
                raw = context.wrap_socket(raw, server_hostname=server.host)
            client.sock, client.file, client._host = raw, None, server.host  # type: ignore[attr-defined]  # noqa: SLF001
            self._client = client
            self._said("the greeting", deadline, client.getreply, (220,))
            self._said("EHLO", deadline, lambda: _hello(client), (250,))
            if server.security == "starttls":
                if not client.has_extn("starttls"):
                    raise self._unusable(
                        "offers no STARTTLS, which `security: starttls` requires: nothing was sent",
                        "STARTTLS",
                    )
                self._said("STARTTLS", deadline, lambda: client.starttls(context=context), (220,))
                self._said("EHLO", deadline, lambda: _hello(client), (250,))
            if server.password is not None:
                self._log_in(client, deadline)
        except _StoppedError:
            self._drop()
            raise
        except ssl.SSLCertVerificationError as error:
            self._drop()
            raise self._unusable(f"its certificate is not good: {error.verify_message}", "TLS") from None
        except (OSError, smtplib.SMTPException) as error:
            self._drop()
            raise self._unusable(_why(error), "connecting") from None
        return client

    def _connected(self, deadline: Deadline) -> socket.socket:
        return socket.create_connection((self._server.host, self._server.at), timeout=deadline.left_s())

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self._server.ca_file) if self._server.ca_file else None)

    def _said(
        self, stage: str, deadline: Deadline, ask: Callable[[], tuple[int, bytes]], good: tuple[int, ...]
    ) -> None:
        try:
            with self._limited(deadline):
                code, said = ask()
        except ssl.SSLCertVerificationError:
            raise
        except (OSError, smtplib.SMTPException) as error:
            raise self._unusable(f"{_why(error)} (at {stage})", stage) from None
        if code not in good:
            raise self._unusable(f"{code} {_words(said)} (at {stage})", stage)

    def _log_in(self, client: smtplib.SMTP, deadline: Deadline) -> None:
        password = self._server.password
        try:
            with self._limited(deadline):
                client.login(self._server.user, password.reveal() if password else "")
        except smtplib.SMTPAuthenticationError as error:
            raw = error.smtp_error
            said = _words(raw if isinstance(raw, bytes) else raw.encode())
            raise self._unusable(
                f"refuses to log in {self._server.user}: {error.smtp_code} {said}", "AUTH"
            ) from None
        except smtplib.SMTPNotSupportedError:
            raise self._unusable("offers no way to log in (AUTH)", "AUTH") from None

    def _unusable(self, why: str, stage: str) -> _StoppedError:
        return _StoppedError(Outcome(State.WAITING, f"{self._where}: {why}", stage, whole=True))

    def _lost(self, stage: str, error: Exception) -> str:
        return f"{self._where}: {_why(error)} (at {stage})"

    @contextlib.contextmanager
    def _limited(self, deadline: Deadline) -> Iterator[None]:
        client = self._client
        if client is None or client.sock is None:
            raise smtplib.SMTPServerDisconnected("the connection is closed")
        client.sock.settimeout(deadline.left_s())
        with deadline.cutting(lambda: end(client.sock)):
            yield

    def _drop(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


def _hello(client: smtplib.SMTP) -> tuple[int, bytes]:
    code, said = client.ehlo()
    return (code, said) if code == 250 else client.helo()


def _words(said: bytes) -> str:
    text = one_line(" ".join(said.decode(errors="replace").split()))
    return text if len(text) <= _MOST_SAID else f"{text[:_MOST_SAID]}…"


def _why(error: BaseException) -> str:
    if isinstance(error, TimeoutError | socket.timeout):
        return "no answer in time"
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return "the connection was closed"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or error}"
    if isinstance(error, ConnectionRefusedError):
        return "the connection is refused"
    if isinstance(error, smtplib.SMTPResponseException):
        raw = error.smtp_error
        return f"{error.smtp_code} {_words(raw if isinstance(raw, bytes) else raw.encode())}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return one_line(str(error)) or type(error).__name__
