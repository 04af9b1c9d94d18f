"""Bad mail servers: each ends in a state and a sentence, and nothing is sent twice."""

from __future__ import annotations

import email
import email.policy
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from mail_server import HOST, PASSWORD, authenticator, serving
from notices_sent import PEOPLE, go, notices, put

from pytest_deploygate.notices import record, sending, smtp
from pytest_deploygate.notices.record import Log, State

ANN, BOB, CEM = PEOPLE


def of(known, state=None):
    """What was said of each message."""
    return [one.said for one in known if state is None or one.state is state]


def test_each_gets_one_mail_and_the_record_has_the_answers(server, folder) -> None:
    section = notices(server.at)
    put(section, folder)
    known = go(section, folder)
    assert {one.state for one in known} == {State.ACCEPTED}
    assert all(said.startswith("250 2.0.0 taken as ") for said in of(known))
    assert [len(server.mails(one)) for one in PEOPLE] == [1, 1, 1]
    mail = email.message_from_bytes(server.mails(ANN)[0], policy=email.policy.default)
    assert mail["To"] == ANN
    assert mail["Auto-Submitted"] == "auto-generated"
    assert {part.get_content_type() for part in mail.walk()} >= {"text/plain", "text/html"}
    assert "about 15 minutes" in mail.get_body(("plain",)).get_content()


def test_second_send_sends_nothing(server, folder) -> None:
    section = notices(server.at)
    first = put(section, folder)
    go(section, folder)
    assert put(section, folder) == first
    go(section, folder)
    assert [len(server.mails(one)) for one in PEOPLE] == [1, 1, 1]


def test_again_sends_once_more(server, folder) -> None:
    section = notices(server.at)
    put(section, folder)
    go(section, folder)
    put(section, folder, again=True)
    go(section, folder)
    put(section, folder)
    go(section, folder)
    assert [len(server.mails(one)) for one in PEOPLE] == [2, 2, 2]


def test_change_of_the_text_is_another_notice(server, folder) -> None:
    put(notices(server.at), folder)
    go(notices(server.at), folder)
    later = notices(server.at, action="please log in again.")
    put(later, folder)
    go(later, folder)
    assert len(server.mails(ANN)) == 2


def test_fresh_run_does_not_forget_what_was_sent(server, folder) -> None:
    section = notices(server.at)
    put(section, folder)
    go(section, folder)
    folder.parent.rename(folder.parent.with_name("CHG-1.before-20261130T100000-ab12"))
    put(section, folder)
    go(section, folder)
    assert len(server.mails(ANN)) == 1


def test_refused_recipient_and_the_others(server, folder) -> None:
    server.mailbox.refused[BOB] = f"550 5.1.1 <{BOB}> no such user here"
    section = notices(server.at)
    put(section, folder)
    known = go(section, folder)
    assert of(known, State.REFUSED) == ["550 5.1.1 <(the address)> no such user here (at RCPT TO)"]
    assert len(of(known, State.ACCEPTED)) == 2
    go(section, folder)
    assert server.mailbox.said["RCPT"] == 3  # a refusal is final
    assert BOB not in (folder / "journal.jsonl").read_text()


def test_greylisted_is_accepted_by_the_next_send(server, folder) -> None:
    server.mailbox.greylists = True
    section = notices(server.at)
    put(section, folder)
    known = go(section, folder)
    assert set(of(known, State.WAITING)) == {"450 4.2.0 greylisted, try again later (at RCPT TO; for now)"}
    assert {one.state for one in go(section, folder)} == {State.ACCEPTED}
    assert [len(server.mails(one)) for one in PEOPLE] == [1, 1, 1]


@pytest.mark.parametrize("stage", ["greeting", "EHLO", "MAIL", "RCPT"])
def test_server_that_hangs_before_the_text_waits(server, folder, stage: str) -> None:
    server.mailbox.hangs = stage
    section = notices(server.at, server={"timeout": "300ms"})
    put(section, folder)
    known = go(section, folder)
    assert {one.state for one in known} == {State.WAITING}
    assert all("no answer in time" in said for said in of(known))
    server.mailbox.hangs = ""
    assert {one.state for one in go(notices(server.at), folder)} == {State.ACCEPTED}
    assert [len(server.mails(one)) for one in PEOPLE] == [1, 1, 1]


@pytest.mark.parametrize("stage", ["greeting", "STARTTLS", "AUTH", "354"])
def test_server_that_hangs_with_tls_waits(tmp_path, folder, certificate, monkeypatch, stage: str) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", PASSWORD)
    options = {"tls_context": context_of(certificate), "authenticator": authenticator, "auth_required": True}
    login = {"user": "gate", "password": "env:MAIL_PASSWORD", "security": "starttls", "ca_file": certificate}
    with serving(tmp_path / "boxes", **options) as server:
        server.mailbox.hangs = stage
        section = notices(server.at, server=login | {"timeout": "300ms"})
        put(section, folder)
        assert {one.state for one in go(section, folder)} == {State.WAITING}
        server.mailbox.hangs = ""
        assert {one.state for one in go(notices(server.at, server=login), folder)} == {State.ACCEPTED}
        assert [len(server.mails(one)) for one in PEOPLE] == [1, 1, 1]


def test_server_that_never_begins_tls_waits(server, folder) -> None:
    server.mailbox.hangs = "greeting"
    section = notices(server.at, server={"security": "tls", "timeout": "300ms"})
    put(section, folder)
    known = go(section, folder)
    assert {one.state for one in known} == {State.WAITING}
    assert "no answer in time" in of(known)[0]


def test_server_that_stops_reading_the_text_waits(server) -> None:
    server.mailbox.hangs = "text"
    post = smtp.Post(notices(server.at, server={"timeout": "1s"}).server)
    found = post.deliver(
        "platform@example.com", ANN, b"Subject: x\r\n\r\n" + b"words\r\n" * 4_000_000, lambda: None
    )
    post.close()
    # On a machine with much to do the time is over at an earlier stage: nothing is uncertain then, either.
    assert found.state is State.WAITING
    assert "no answer in time (at " in found.said


def test_server_that_hangs_after_the_text_is_uncertain_and_not_guessed(server, folder) -> None:
    server.mailbox.hangs = "DATA"
    one = [{"name": "customers", "people": [{"mail": ANN}]}]
    section = notices(server.at, server={"timeout": "2s"}, audiences=one)
    put(section, folder)
    known = go(section, folder)
    assert {one.state for one in known} == {State.UNCERTAIN}
    assert all("it may have been delivered" in said for said in of(known))
    server.mailbox.hangs = ""
    go(section, folder)
    assert len(server.mails(ANN)) == 1


@pytest.mark.parametrize("closes", ["DATA", "before the mail is taken"])
def test_server_that_closes_after_the_text_is_asked_about(server, folder, closes: str) -> None:
    server.mailbox.closes = closes
    section = notices(server.at, audiences=[{"name": "customers", "people": [{"mail": ANN}]}])
    put(section, folder)
    (known,) = go(section, folder)
    assert known.state is State.UNCERTAIN
    server.mailbox.closes = ""
    log = Log(folder)
    log.answer(known.notice.id, sent=closes == "DATA", by="tester")
    log.close()
    (known,) = go(section, folder)
    assert known.state is State.ACCEPTED
    assert len(server.mails(ANN)) == 1


def test_refusal_after_the_text_is_final(server, folder) -> None:
    server.mailbox.after_data = "554 5.7.1 looks like spam"
    section = notices(server.at)
    put(section, folder)
    assert set(of(go(section, folder), State.REFUSED)) == {"554 5.7.1 looks like spam (at end of the text)"}


def test_server_without_starttls_gets_nothing(server, folder) -> None:
    section = notices(server.at, server={"security": "starttls"})
    put(section, folder)
    known = go(section, folder)
    assert {one.state for one in known} == {State.WAITING}
    assert "offers no STARTTLS, which `security: starttls` requires: nothing was sent" in of(known)[0]
    assert server.mailbox.said["MAIL"] == 0
    assert server.mailbox.said["EHLO"] == 1  # the others are not tried one by one


def test_nobody_listens(folder) -> None:
    with serving(folder.parent.parent) as gone:
        port = gone.at
    section = notices(port)
    put(section, folder)
    assert of(go(section, folder))[0] == f"{HOST}:{port}: the connection is refused"


def test_null_sender_is_on_the_envelope(server, folder) -> None:
    section = notices(server.at, bounces="<>")
    put(section, folder)
    assert {one.state for one in go(section, folder)} == {State.ACCEPTED}
    assert set(server.mailbox.senders) == {"<>"}
    mail = email.message_from_bytes(server.mails(ANN)[0], policy=email.policy.default)
    assert mail["From"] == "Platform operations <platform@example.com>"


def test_refused_sender_is_no_refusal_of_a_recipient(server, folder) -> None:
    server.mailbox.refused["<>"] = "550 5.7.1 null sender not accepted here"
    section = notices(server.at, bounces="<>")
    put(section, folder)
    known = go(section, folder)
    assert {one.state for one in known} == {State.WAITING}
    assert "550 5.7.1 null sender not accepted here (at MAIL FROM, sender <>)" in of(known)[0]
    put(notices(server.at), folder)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    """A key and a certificate for 127.0.0.1 that signs itself."""
    import ipaddress

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "mail.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


def context_of(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_starttls_and_login(tmp_path, folder, certificate, monkeypatch) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", PASSWORD)
    options = {"tls_context": context_of(certificate), "require_starttls": True}
    options |= {"authenticator": authenticator, "auth_required": True}
    with serving(tmp_path / "boxes", **options) as server:
        login = {
            "user": "gate",
            "password": "env:MAIL_PASSWORD",
            "security": "starttls",
            "ca_file": certificate,
        }
        section = notices(server.at, server=login)
        put(section, folder)
        assert {one.state for one in go(section, folder)} == {State.ACCEPTED}
        assert len(server.mails(CEM)) == 1


def test_wrong_password_is_tried_once_and_not_shown(tmp_path, folder, certificate, monkeypatch) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", "not-the-right-one")
    options = {"tls_context": context_of(certificate), "authenticator": authenticator, "auth_required": True}
    with serving(tmp_path / "boxes", **options) as server:
        login = {
            "user": "gate",
            "password": "env:MAIL_PASSWORD",
            "security": "starttls",
            "ca_file": certificate,
        }
        section = notices(server.at, server=login)
        put(section, folder)
        known = go(section, folder)
    assert {one.state for one in known} == {State.WAITING}
    assert "refuses to log in gate: 535" in of(known)[0]
    assert "not-the-right-one" not in (folder / "journal.jsonl").read_text()


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_wrong_certificate_gets_nothing(tmp_path, folder, certificate, security: str) -> None:
    context = context_of(certificate)
    options = {"tls_context": context} if security == "starttls" else {"ssl_context": context}
    with serving(tmp_path / "boxes", **options) as server:
        section = notices(server.at, server={"security": security})
        put(section, folder)
        known = go(section, folder)
        assert "its certificate is not good: self-signed certificate" in of(known)[0]
        assert server.mailbox.said["MAIL"] == 0
        trusting = notices(server.at, server={"security": security, "ca_file": certificate})
        assert {one.state for one in go(trusting, folder)} == {State.ACCEPTED}


def test_two_commands_at_once(server, folder) -> None:
    section = notices(server.at)
    put(section, folder)
    log = Log(folder)
    with pytest.raises(record.journal.BusyError, match="another `deploygate notify` is sending"):
        Log(folder)
    log.close()


def test_run_of_tests_cannot_send(server, folder) -> None:
    section = notices(server.at)
    put(section, folder)
    log = Log(folder)
    with pytest.raises(sending.WithinTestsError, match="never by a run of tests"):
        sending.send(section, log, folder, sending.due(log))
    log.close()
    assert server.mails(ANN) == []
