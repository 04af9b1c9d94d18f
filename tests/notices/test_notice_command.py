"""`deploygate notify` as a person types it: what it prints, and its exit codes."""

from __future__ import annotations

import json
import re
from email import message_from_bytes
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from notices_sent import PEOPLE, from_a_shell

from pytest_deploygate.cli import main

INVENTORY = """
name: prod
contacts:
  - {role: deployment-lead, mail: deployment-lead@example.com, zone: America/New_York}
notices:
  sender: Platform operations <platform@example.com>
  server: {host: 127.0.0.1, port: PORT, security: none}
  product: Plant portal
  window: {start: 2026-12-01T17:00:00Z, end: 2026-12-01T19:00:00Z, interruption: 15m}
  changes: [Dashboards load in under a second.]
  action: nothing.
  look: https://status.example.com/
  audiences:
    - {name: customers, file: customers.csv}
    - {name: stakeholders, roles: [deployment-lead]}
    - {name: nobody, roles: [deployment-leed]}
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server) -> Path:
    place = tmp_path / "repository"
    (place / "inventories").mkdir(parents=True)
    (place / "pytest.ini").touch()
    (place / "inventories" / "prod.yml").write_text(INVENTORY.replace("PORT", str(server.at)))
    (place / "inventories" / "customers.csv").write_text(
        "mail,name\n" + "".join(f"{who},\n" for who in PEOPLE)
    )
    monkeypatch.chdir(place)
    return place


def notify(*words: str) -> Result:
    with from_a_shell():
        return CliRunner().invoke(main, ["notify", *words, "--inventory", "prod"], catch_exceptions=False)


SEND = ("send", "pre-deployment", "--to", "customers", "--change", "CHG-1")


def test_dry_run_then_send_then_nothing_more(root, server) -> None:
    said = notify(*SEND, "--dry-run")
    assert said.exit_code == 0, said.output
    assert said.output.endswith("3 would be sent; nothing was sent, as this is a dry run\n")
    assert not (root / "deploygate-out").exists()
    assert notify(*SEND).exit_code == 0
    again = notify(*SEND)
    assert (again.exit_code, again.output) == (0, "3 accepted\n")
    assert [len(server.mails(who)) for who in PEOPLE] == [1, 1, 1]
    change = root / "deploygate-out" / "CHG-1"
    change.rename(change.with_name("CHG-1.before-20261130T100000-ab12"))
    assert notify(*SEND).output == "3 accepted\n"
    assert [len(server.mails(who)) for who in PEOPLE] == [1, 1, 1]
    mail = server.mails(PEOPLE[0])[0].decode()
    assert 'filename="window.ics"' in mail


def test_again_needs_a_reason(root, server) -> None:
    said = notify(*SEND, "--again")
    assert said.exit_code == 4
    assert "--again needs --reason TEXT" in said.output
    notify(*SEND)
    assert notify(*SEND, "--again", "--reason", "the window moved").exit_code == 0
    assert len(server.mails(PEOPLE[0])) == 2
    assert "the window moved" in (root / "deploygate-out/CHG-1/notices/journal.jsonl").read_text()


def test_refused_recipient_exits_with_1(root, server) -> None:
    server.mailbox.refused[PEOPLE[1]] = "550 5.1.1 no such user"
    said = notify(*SEND)
    assert said.exit_code == 1
    assert "2 accepted, 1 refused" in said.output
    assert PEOPLE[1] not in said.output  # the record has digests, and so has the terminal


def test_greylisting_is_waited_for(root, server) -> None:
    server.mailbox.greylists = True
    said = notify(*SEND)
    assert said.exit_code == 21
    assert "3 waiting" in said.output
    assert notify("send", "--change", "CHG-1", "--wait", "1m", "--every", "10ms").exit_code == 0


def test_uncertain_one_is_answered_by_its_id(root, server) -> None:
    server.mailbox.closes = "before the mail is taken"
    said = notify("send", "pre-deployment", "--to", "stakeholders", "--change", "CHG-1", "--json")
    assert said.exit_code == 21
    (one,) = json.loads(said.output)["messages"]
    assert one["state"] == "uncertain"
    server.mailbox.closes = ""
    assert notify("send", "--change", "CHG-1").exit_code == 21
    wrong = notify("send", "--change", "CHG-1", "--sent", "abc")
    assert wrong.exit_code == 4
    assert "abc is not the id of one message" in wrong.output
    assert notify("send", "--change", "CHG-1", "--not-sent", one["id"][:8]).exit_code == 0
    assert len(server.mails("deployment-lead@example.com")) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("send", "pre-deploiment", "--to", "customers"), "did you mean 'pre-deployment'"),
        (("send", "pre-deployment", "--to", "custmers"), "did you mean 'customers'"),
        (("send", "pre-deployment", "--to", "nobody"), "did you mean 'deployment-lead'"),
        (("send", "pre-deployment"), "name the audiences: --to AUDIENCE"),
        (("send", "incident", "--to", "customers"), "there is no value 'summary'"),
        (
            ("send", "status", "--to", "customers", "--set", "summary=[TEXT]"),
            "the placeholder [TEXT] came in with",
        ),
        (("send", "--wait", "soon"), "--wait soon"),
    ],
)
def test_mistakes_exit_with_4_and_nothing_is_sent(root, server, words, said: str) -> None:
    found = notify(*words)
    assert found.exit_code == 4, found.output
    assert said in found.output
    assert server.mailbox.said["MAIL"] == 0


def test_bad_line_of_a_list_is_named(root) -> None:
    (root / "inventories" / "customers.csv").write_text(
        "mail,name\nann@example.com,Ann\nbob.example.com,Bob\n"
    )
    said = notify(*SEND)
    assert said.exit_code == 4
    assert "customers.csv:3: mail: 'bob.example.com' is not a mail address" in said.output


def test_within_pytest_it_refuses(root) -> None:
    said = CliRunner().invoke(main, ["notify", *SEND, "--inventory", "prod"])
    assert said.exit_code == 4
    assert "never by a run of tests" in said.output


def test_preview_as_text_html_and_files(root) -> None:
    said = notify("preview", "pre-deployment", "--to", "stakeholders", "--write", "out")
    assert said.exit_code == 0
    assert "12:00\u00a0PM to 2:00\u00a0PM (Eastern Standard Time, UTC-5)" in said.output
    assert sorted(path.name for path in (root / "out").iterdir()) == [
        "pre-deployment.en.html",
        "pre-deployment.en.txt",
    ]
    assert notify("preview", "success", "--language", "en", "--html").output.startswith("<!doctype html>")
    lacking = notify("preview", "--language", "en")
    assert lacking.exit_code == 4
    assert "incident.txt:7: there is no value 'summary'" in lacking.output


def test_init_copies_and_overwrites_only_with_force(root) -> None:
    run = CliRunner()
    assert run.invoke(main, ["notify", "init"]).exit_code == 0
    assert (root / "notices" / "de" / "rollback.txt").is_file()
    assert run.invoke(main, ["notify", "init"]).exit_code == 4
    assert run.invoke(main, ["notify", "init", "--force"]).exit_code == 0


def test_calendar_is_written(root) -> None:
    said = notify("calendar", "--change", "CHG-1", "--retry", "2026-12-08T20:00Z")
    assert said.exit_code == 0, said.output
    assert (root / "change.ics").read_bytes().count(b"BEGIN:VEVENT") == 2
    assert notify("calendar", "--retry", "soon").exit_code == 4


def test_codes_reach_contacts_and_are_acknowledged_once(root, server) -> None:
    sent = notify("test", "--change", "CHG-1")
    assert (sent.exit_code, sent.output.splitlines()[0]) == (0, "deployment-lead: a code was sent"), (
        sent.output
    )
    (mail,) = server.mails("deployment-lead@example.com")
    code = re.search(
        r"deploygate ack (\S+) --change CHG-1", message_from_bytes(mail).get_payload(decode=True).decode()
    )
    assert code
    said = CliRunner().invoke(main, ["ack", code[1], "--change", "CHG-1"])
    assert (said.exit_code, said.output) == (
        0,
        "deployment-lead acknowledged: this contact can be reached by mail\n",
    )
    assert CliRunner().invoke(main, ["ack", code[1], "--change", "CHG-1"]).exit_code == 4
    kept = b"".join(file.read_bytes() for file in (root / "deploygate-out").rglob("*") if file.is_file())
    assert code[1].encode() not in kept


def test_a_contact_whose_code_is_refused_is_named(root, server) -> None:
    server.mailbox.refused["deployment-lead@example.com"] = "550 5.1.1 no such user"
    sent = notify("test", "--change", "CHG-1")
    assert sent.exit_code == 1
    assert sent.output.splitlines()[0].startswith("deployment-lead: ")
    assert "550 5.1.1 no such user" in sent.output
    assert "1 of 1 have no code" in sent.output
