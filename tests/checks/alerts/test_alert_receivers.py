"""What came to receivers: a kept webhook, our own listener, mails, and Slack, PagerDuty and Opsgenie by documentation, not tried."""

from __future__ import annotations

import json
import os
import socket
import ssl
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import slow_server
from alertmanager_server import free_port
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from slow_server import Answer

from pytest_deploygate.checks.alerts.probe import catchers, services
from pytest_deploygate.checks.alerts.probe.kept import Follow
from pytest_deploygate.checks.alerts.section import Imap, Opsgenie, PagerDuty, Receiver, Slack, Webhook
from pytest_deploygate.clients import reach
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import Secret

ONE, TWO = "a1" * 8, "b2" * 8
KEY = "9f2c7d51e0-not-a-key"


@pytest.fixture(autouse=True)
def afresh() -> None:
    reach.begin()


@pytest.fixture
def served() -> Iterator[Callable[..., tuple[str, list[str]]]]:
    """Serve answers on loopback; return the address and the requests that came."""
    opened = []

    def serve(body: object, status: int = 200) -> tuple[str, list[str]]:
        text = body if isinstance(body, str) else json.dumps(body)
        one = slow_server.serving(lambda _n, _t: Answer(0.0, status, text))
        server = one.__enter__()
        opened.append(one)
        return f"http://127.0.0.1:{server.port}", server.seen

    yield serve
    for one in opened:
        one.__exit__(None, None, None)


def notification(number: str, status: str = "firing") -> dict[str, object]:
    alert = {"status": status, "labels": {"alertname": f"DeploygateTest_{number}", "deploygate": number}}
    return {"version": "4", "groupKey": "{}", "alerts": [alert]}


def test_a_kept_webhook(served: Callable[..., tuple[str, list[str]]]) -> None:
    url, _ = served([notification(ONE), notification(ONE, "resolved")])
    kept = catchers.Kept(Webhook(url=url), "deploygate")
    kept.begin()
    assert kept.poll([ONE, TWO]) == {(ONE, "firing"): 1, (ONE, "resolved"): 1}


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [("<html>log in", 200, "no JSON"), ("[]", 503, "HTTP 503"), ("[]", 401, "HTTP 401")],
)
def test_a_kept_webhook_that_cannot_be_read(
    served: Callable[..., tuple[str, list[str]]], body: str, status: int, said: str
) -> None:
    url, _ = served(body, status)
    with pytest.raises(CannotTell, match=said):
        catchers.Kept(Webhook(url=url), "deploygate").begin()


def test_our_own_listener() -> None:
    port = free_port()
    listener = catchers.Listener(f"127.0.0.1:{port}", "deploygate")
    listener.begin()
    try:
        for body in (json.dumps(notification(ONE)), "no JSON", "{}"):
            request = urllib.request.Request(f"http://127.0.0.1:{port}/x", body.encode())
            assert urllib.request.urlopen(request, timeout=5).status == 200
        assert listener.poll([ONE]) == {(ONE, "firing"): 1}
        other = catchers.Listener(f"127.0.0.1:{port}", "deploygate")
        with pytest.raises(CannotTell, match=f"cannot listen on 127.0.0.1:{port}"):
            other.begin()
    finally:
        listener.end()


def mail(folder: Path, name: str, subject: str) -> Path:
    file = folder / "new" / name
    file.write_bytes(f"Subject: {subject}\n\ntext\n".encode())
    return file


def test_mails_in_a_folder(tmp_path: Path) -> None:
    for place in ("new", "cur"):
        (tmp_path / place).mkdir()
    old = mail(tmp_path, "old", f"[FIRING:1] {ONE}")
    os.utime(old, (time.time() - 3600, time.time() - 3600))
    found = catchers.Maildir(tmp_path)
    found.begin()
    file = mail(tmp_path, "1.x", f"[FIRING:1] {ONE}")
    assert found.poll([ONE]) == {(ONE, "firing"): 1}
    file.rename(tmp_path / "cur" / "1.x:2,S")  # somebody reads it
    mail(tmp_path, "2.x", f"[RESOLVED] {ONE}")
    assert found.poll([ONE]) == {(ONE, "firing"): 1, (ONE, "resolved"): 1}


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CannotTell, match="cannot be read: No such file"):
        catchers.Maildir(tmp_path / "none").begin()


class Mailserver:
    """As much of IMAP (RFC 9051) as the probe uses, over TLS."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.mails: list[bytes] = []
        self.said: list[str] = []
        self._context = context
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listening.accept()
                connection = self._context.wrap_socket(plain, server_side=True)
            except ssl.SSLError:  # the client does not trust us
                plain.close()
                continue
            except (OSError, ValueError):
                return
            with connection, connection.makefile("rwb") as stream:
                stream.write(b"* OK ready\r\n")
                stream.flush()
                for line in stream:
                    self._answer(line.decode().strip(), stream)
                    stream.flush()

    def _answer(self, line: str, stream: object) -> None:
        tag, command, *rest = line.split(" ")
        self.said.append(f"{command} {' '.join(rest)}")
        write = stream.write  # type: ignore[attr-defined]
        if command == "LOGIN" and KEY not in line:
            write(f"{tag} NO wrong password\r\n".encode())
            return
        if command == "CAPABILITY":
            write(b"* CAPABILITY IMAP4rev1\r\n")
        elif command in ("SELECT", "EXAMINE"):
            write(f"* {len(self.mails)} EXISTS\r\n".encode())
        elif rest[:1] == ["SEARCH"]:
            numbers = range(1, len(self.mails) + 1)
            if rest[1] == "UID":
                first = int(rest[2].partition(":")[0])
                # `n:*` has the last message, even if n is greater.
                numbers = [n for n in numbers if n >= min(first, len(self.mails))]  # type: ignore[assignment]
            write(f"* SEARCH {' '.join(map(str, numbers))}\r\n".encode())
        elif rest[:1] == ["FETCH"]:
            content = self.mails[int(rest[1]) - 1]
            write(
                f"* {rest[1]} FETCH (UID {rest[1]} BODY[] {{{len(content)}}}\r\n".encode()
                + content
                + b")\r\n"
            )
        write(f"{tag} OK done\r\n".encode())

    def end(self) -> None:
        self._listening.close()


@pytest.fixture
def mailserver(tmp_path: Path) -> Iterator[tuple[Mailserver, Path]]:
    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]),
    )
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "mail.pem"
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(made.public_bytes(pem) + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    server = Mailserver(context)
    yield server, file
    server.end()


def imap(server: Mailserver, trusted: Path | None, password: str = KEY) -> Imap:
    return Imap(host="localhost", port=server.port, user="gate", password=Secret(password), ca_file=trusted)


def test_mails_in_a_mailbox(mailserver: tuple[Mailserver, Path]) -> None:
    server, trusted = mailserver
    server.mails.append(f"Subject: [FIRING:1] {ONE}\r\n\r\nof an earlier test\r\n".encode())
    box = catchers.Mailbox(imap(server, trusted))
    box.begin()
    assert box.poll([ONE]) == {}
    server.mails.append(f"Subject: [FIRING:1] {ONE}\r\n\r\ntext\r\n".encode())
    assert box.poll([ONE]) == {(ONE, "firing"): 1}
    assert box.poll([ONE]) == {(ONE, "firing"): 1}
    box.end()
    assert not any("STORE" in said or "SELECT" in said for said in server.said), server.said


def test_a_mailbox_that_is_not_trusted_or_refuses(mailserver: tuple[Mailserver, Path]) -> None:
    server, trusted = mailserver
    for wanted, said in (
        (imap(server, None), "CERTIFICATE_VERIFY_FAILED"),
        (imap(server, trusted, "other"), "wrong password"),
    ):
        box = catchers.Mailbox(wanted)
        with pytest.raises(CannotTell, match=said):
            box.begin()
        box.end()


def test_slack_by_documentation(served: Callable[..., tuple[str, list[str]]]) -> None:
    attachment = {"title": f"[FIRING:1] DeploygateTest_{ONE}", "text": ""}
    over = {"title": f"[RESOLVED] DeploygateTest_{ONE}", "text": ""}
    url, seen = served(
        {"ok": True, "messages": [{"attachments": [over]}, {"attachments": [attachment]}, {"text": "hello"}]}
    )
    slack = services.InSlack(Slack(channel="C0123456789", token=Secret(KEY), url=url))
    slack.begin()
    assert slack.poll([ONE, TWO]) == {(ONE, "firing"): 1, (ONE, "resolved"): 1}
    assert f"Authorization: Bearer {KEY}" in seen[0]
    assert "/conversations.history?channel=C0123456789&oldest=" in seen[0]


def test_slack_says_no_with_200_by_documentation(served: Callable[..., tuple[str, list[str]]]) -> None:
    url, _ = served({"ok": False, "error": "missing_scope"})
    with pytest.raises(CannotTell, match="Slack refused: missing_scope"):
        services.InSlack(Slack(channel="C0123456789", token=Secret(KEY), url=url)).begin()


@pytest.mark.parametrize(("status", "times"), [("triggered", {}), ("resolved", {(ONE, "resolved"): 1})])
def test_pagerduty_by_documentation(
    served: Callable[..., tuple[str, list[str]]], status: str, times: dict[tuple[str, str], int]
) -> None:
    incidents = [
        {"title": f"[FIRING:1] DeploygateTest_{ONE} (critical)", "status": status},
        {"title": "x", "status": status},
    ]
    url, seen = served({"incidents": incidents, "more": False})
    duty = services.InPagerDuty(PagerDuty(service="PABC123", token=Secret(KEY), url=url))
    duty.begin()
    assert duty.poll([ONE]) == {(ONE, "firing"): 1, **times}
    assert f"Authorization: Token token={KEY}" in seen[0]
    assert "service_ids%5B%5D=PABC123" in seen[0]


@pytest.mark.parametrize(("status", "times"), [("open", {}), ("closed", {(ONE, "resolved"): 1})])
def test_opsgenie_by_documentation(
    served: Callable[..., tuple[str, list[str]]], status: str, times: dict[tuple[str, str], int]
) -> None:
    url, seen = served(
        {"data": [{"message": f"[Alertmanager] DeploygateTest_{ONE}", "status": status, "count": 2}]}
    )
    genie = services.InOpsgenie(Opsgenie(token=Secret(KEY), url=url))
    genie.begin()
    assert genie.poll([ONE]) == {(ONE, "firing"): 2, **times}
    assert f"Authorization: GenieKey {KEY}" in seen[0]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ("<html>", 200, "no JSON"),
        ({"error": "x"}, 401, "HTTP 401: check the token"),
        ([], 200, "another form"),
        ({}, 200, "no list"),
    ],
)
def test_a_service_that_cannot_be_read_by_documentation(
    served: Callable[..., tuple[str, list[str]]], body: object, status: int, said: str
) -> None:
    url, _ = served(body, status)
    with pytest.raises(CannotTell, match=said):
        services.InPagerDuty(PagerDuty(service="PABC123", token=Secret(KEY), url=url)).begin()


def test_an_arrival_came_between_two_polls_and_what_fails_later_is_a_problem(
    served: Callable[..., tuple[str, list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, _ = served([])
    follow = Follow(Receiver(name="pager", webhook=Webhook(url=url)), "deploygate")
    follow.begin()
    sent = time.monotonic()
    follow.poll([ONE], False)
    kept = follow._catcher
    monkeypatch.setattr(kept, "poll", lambda _: Counter({(ONE, "firing"): 2}))
    time.sleep(0.05)
    follow.poll([ONE], False)
    first, second = follow.arrivals(ONE, sent, sent)
    assert first == second
    assert 0 <= first.not_before_s <= 0.05 <= first.after_s < 5
    monkeypatch.undo()
    follow._catcher = catchers.Kept(Webhook(url="http://127.0.0.1:1/"), "deploygate")
    follow.poll([ONE], False)
    assert "http://127.0.0.1:1/ does not answer" in follow.fact.problem
    follow._catcher = kept
    follow.poll([ONE], False)
    assert follow.fact.problem == ""
