"""Codes sent to contacts: recorded by their digests, valid once and until their end, whatever is killed in between."""

from __future__ import annotations

import json
import re
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from pytest_deploygate.cli.commands.ack import ack
from pytest_deploygate.contacts import codes, record, sending
from pytest_deploygate.fields.contacts import Contact

NOW = datetime(2026, 11, 30, 8, tzinfo=UTC)
LATER = NOW + timedelta(days=7)
MAIL = "deployment-lead@example.com"


def send(folder: Path, expires: datetime = LATER) -> str:
    return record.sent(folder, "deployment-lead", MAIL, expires, NOW)


def test_codes_are_long_and_differ() -> None:
    made = {codes.made() for _ in range(50)}
    assert len(made) == 50
    assert all(re.fullmatch(r"([0-9A-HJKMNP-TV-Z]{4}-){3}[0-9A-HJKMNP-TV-Z]{4}", code) for code in made)


def test_a_code_is_read_as_people_type_it() -> None:
    assert codes.plain(" oILO-2m3x 9abc\tdef0 ") == "01102M3X9ABCDEF0"
    for bad in ("", "K7QF", "K7QF-2M3X-9ABC-DEF0-1", "K7QF-2M3X-9ABC-DEFU"):
        with pytest.raises(ValueError, match="this is no code"):
            codes.plain(bad)


def test_the_record_has_neither_code_nor_address(tmp_path: Path) -> None:
    code = send(tmp_path)
    text = (tmp_path / record.FILE).read_text()
    assert codes.plain(code) not in text
    assert code not in text
    assert MAIL not in text
    assert (tmp_path / record.FILE).stat().st_mode & 0o777 == 0o600


def test_a_code_acknowledges_once(tmp_path: Path) -> None:
    code = send(tmp_path)
    assert record.acknowledged(tmp_path)("deployment-lead", MAIL) is None
    record.acknowledge(tmp_path, code.lower().replace("-", " "), NOW + timedelta(hours=1))
    assert record.acknowledged(tmp_path)("deployment-lead", MAIL.upper()) == NOW + timedelta(hours=1)
    with pytest.raises(record.CodeError, match="was acknowledged already, on 2026-11-30T09:00Z"):
        record.acknowledge(tmp_path, code, NOW)


def test_an_acknowledgement_belongs_to_role_and_address(tmp_path: Path) -> None:
    record.acknowledge(tmp_path, send(tmp_path), NOW)
    last = record.acknowledged(tmp_path)
    assert last("deployment-lead", "other@example.com") is None
    assert last("security-lead", MAIL) is None


def test_what_acknowledges_nothing_says_why(tmp_path: Path) -> None:
    with pytest.raises(record.CodeError, match="no codes were sent for this change"):
        record.acknowledge(tmp_path, codes.made(), NOW)
    assert not (tmp_path / record.FILE).exists()
    code = send(tmp_path)
    with pytest.raises(record.CodeError, match="no such code was sent"):
        record.acknowledge(tmp_path, codes.made(), NOW)
    with pytest.raises(record.CodeError, match="expired on 2026-12-07T08:00Z: send a new one"):
        record.acknowledge(tmp_path, code, LATER)
    record.acknowledge(tmp_path, code, LATER - timedelta(seconds=1))


def test_of_two_who_type_it_at_once_one_wins(tmp_path: Path) -> None:
    code = send(tmp_path)
    said: list[str] = []

    def attempt() -> None:
        try:
            record.acknowledge(tmp_path, code, NOW)
            said.append("yes")
        except record.CodeError:
            said.append("no")

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said) == ["no"] * 7 + ["yes"]


def test_a_line_that_a_crash_cut_short_is_taken_away(tmp_path: Path) -> None:
    path = tmp_path / record.FILE
    first = send(tmp_path)
    whole = path.read_bytes()
    send(tmp_path)
    second = path.read_bytes()[len(whole) :]
    for cut in (1, len(second) // 2, len(second) - 1):
        path.write_bytes(whole + second[:cut])
        assert len(record.read(tmp_path)) == 1
    record.acknowledge(tmp_path, first, NOW)
    assert [bool(code.acknowledged) for code in record.read(tmp_path)] == [True]


@pytest.mark.parametrize(
    "line", ['{"what": "sent"}', "[]", "{", '{"what": "acknowledged", "code": "x", "at": "y"}']
)
def test_a_line_that_was_changed_is_named(tmp_path: Path, line: str) -> None:
    send(tmp_path)
    with (tmp_path / record.FILE).open("a") as file:
        file.write(line + "\n")
    with pytest.raises(record.RecordError, match=rf"{record.FILE}:2 cannot be read"):
        record.read(tmp_path)


CONTACTS = [
    Contact(
        role="deployment-lead", mail=MAIL, deputies=[{"name": "Night rota", "mail": "night@example.com"}]
    ),
    Contact(role="security-lead", phone="+12125550101"),
    Contact(role="customer-success", mail="customer-success@example.com"),
]


def test_everybody_gets_a_code_of_their_own_and_one_that_fails_stops_nobody(tmp_path: Path) -> None:
    messages: dict[str, str] = {}

    def deliver(to: sending.Addressee, subject: str, text: str) -> None:
        if to.role == "customer-success":
            raise ConnectionRefusedError("mail.example.com refused the connection")
        messages[to.label] = f"{subject}\n{text}"

    found = sending.sends(SimpleNamespace(contacts=CONTACTS), deliver, tmp_path, change="CHG-1", now=NOW)
    assert [(one.to.label, one.problem) for one in found] == [
        ("deployment-lead", ""),
        ("deputy of deployment-lead", ""),
        ("security-lead", "it has no mail address"),
        ("customer-success", "mail.example.com refused the connection"),
    ]
    text = messages["deputy of deployment-lead"]
    assert text.startswith(
        "Please acknowledge: deputy of deployment-lead of the change CHG-1\nHello Night rota,"
    )
    assert "until 2026-12-07 08:00 UTC" in text
    code = re.search(r"deploygate ack (\S+) --change CHG-1\n", text)
    assert code
    record.acknowledge(tmp_path, code[1], NOW)
    assert record.acknowledged(tmp_path)("deployment-lead", "night@example.com") == NOW
    assert [one.failed for one in record.read(tmp_path)] == [False, False, True]


def test_a_code_is_recorded_before_its_message_leaves(tmp_path: Path) -> None:
    def deliver(_to: object, _subject: str, _text: str) -> None:
        assert len(record.read(tmp_path)) == 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sending.sends(SimpleNamespace(contacts=CONTACTS), deliver, tmp_path, now=NOW)


def test_the_command_acknowledges_and_refuses_with_exit_code_4(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    code = record.sent(tmp_path, "deployment-lead", MAIL, now + timedelta(days=1), now)
    run = CliRunner().invoke(ack, [code, "--out", str(tmp_path), "--json"])
    assert run.exit_code == 0, run.output
    assert json.loads(run.output)["role"] == "deployment-lead"
    again = CliRunner().invoke(ack, [code, "--out", str(tmp_path)])
    assert again.exit_code == 4
    assert "was acknowledged already" in again.output
    assert CliRunner().invoke(ack, ["nonsense", "--out", str(tmp_path)]).exit_code == 4
