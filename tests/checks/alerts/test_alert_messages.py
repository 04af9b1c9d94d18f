"""Our alerts in what receivers get."""

from __future__ import annotations

import json
from email.message import EmailMessage

import pytest

from pytest_deploygate.checks.alerts.probe import messages

ONE, TWO = "a1" * 8, "b2" * 8


def notification(number: str = ONE, status: str = "firing", **more: object) -> dict[str, object]:
    """Return what Alertmanager posts (its documented form, version 4)."""
    alert = {"status": status, "labels": {"alertname": f"DeploygateTest_{number}", "deploygate": number}}
    return {"version": "4", "groupKey": "{}:{}", "status": status, "alerts": [alert], **more}


def test_each_notification_of_a_webhook_counts() -> None:
    got = [notification(), notification(), notification(status="resolved"), notification(TWO)]
    assert messages.in_webhooks(got, "deploygate", [ONE]) == {(ONE, "firing"): 2, (ONE, "resolved"): 1}


def test_notifications_are_found_wherever_a_catcher_keeps_them() -> None:
    got = {
        "data": [{"id": 1, "content": json.dumps(notification())}, {"body": {"json": notification()}}],
        "note": "{not json",
    }
    assert messages.in_webhooks(got, "deploygate", [ONE]) == {(ONE, "firing"): 2}


@pytest.mark.parametrize(
    "got",
    [
        None,
        "x",
        3,
        {"alerts": 3, "groupKey": ""},
        {"alerts": [3, {"labels": None}], "groupKey": ""},
        '{"alerts": [',
    ],
)
def test_what_is_no_notification_is_none(got: object) -> None:
    assert messages.in_webhooks(got, "deploygate", [ONE]) == {}


def test_a_document_nested_without_end_is_given_up() -> None:
    got: object = notification()
    for _ in range(50):
        got = [got]
    assert messages.in_webhooks(got, "deploygate", [ONE]) == {}


def mail(subject: str, text: str, html: str = "", coding: str = "quoted-printable") -> bytes:
    made = EmailMessage()
    made["Subject"] = subject
    made.set_content(text, cte=coding)
    if html:
        made.add_alternative(html, subtype="html", cte=coding)
    return made.as_bytes()


@pytest.mark.parametrize("coding", ["quoted-printable", "base64", "7bit"])
def test_a_mail_counts_once_however_it_is_coded(coding: str) -> None:
    text = f"{'x' * 60} {ONE} {'x' * 200}"
    got = mail(f"[FIRING:1] DeploygateTest_{ONE} (critical)", text, f"<p>{text}</p>", coding)
    assert messages.in_mail(got, [ONE, TWO]) == {(ONE, "firing"): 1}


def test_a_mail_that_an_alert_is_resolved() -> None:
    assert messages.in_mail(mail(f"[RESOLVED] {ONE}", ""), [ONE]) == {(ONE, "resolved"): 1}


def test_a_mail_of_a_group_tells_the_state_by_the_heading_before_the_alert() -> None:
    got = mail("[FIRING:1] database", f"[1] Firing\n{ONE}\n[1] Resolved\n{TWO}")
    assert messages.in_mail(got, [ONE, TWO]) == {(ONE, "firing"): 1, (TWO, "resolved"): 1}


def test_a_mail_that_does_not_say_the_state() -> None:
    assert messages.in_mail(mail("an alert", ONE), [ONE]) == {(ONE, ""): 1}


def test_a_broken_mail_is_none() -> None:
    assert messages.in_mail(b"\xff\x00Content-Type: text/plain; charset=nonsense\n\n\xff", [ONE]) == {}
    assert (
        messages.in_mail(b"Content-Type: text/plain; charset=nonsense\nSubject: x\n\n" + ONE.encode(), [ONE])
        == {}
    )
