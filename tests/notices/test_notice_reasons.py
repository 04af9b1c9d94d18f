"""What the report says of each thing that can happen to a notice: one line, from a real server to the finding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from mail_server import serving
from notices_sent import PEOPLE, go, notices, put

from pytest_deploygate.checks.notices import judge, probe
from pytest_deploygate.checks.notices.facts import Wanted
from pytest_deploygate.checks.notices.probe import Told
from pytest_deploygate.model import Judgement, Verdict
from pytest_deploygate.notices.record import Log, State

ANN, BOB, CEM = PEOPLE


def judged(section, folder: Path) -> Judgement:
    """The finding of `day.customers`."""
    told = Told((), "prod", "CHG-1", folder.parent)
    wanted = Wanted("pre-deployment", "customers")
    found = judge.judge(probe.sent(section, told, wanted), wanted)
    for text in (found.reason, *found.notes):
        assert text == " ".join(text.split()), "more than one line"
        assert not [who for who in PEOPLE if who in text], "an address"
    return found


def refuses(box) -> None:
    box.refused[BOB] = f"550-5.1.1 <{BOB}>\r\n550 5.1.1 no such user here"


def greylists(box) -> None:
    box.greylists = True


def hangs(box) -> None:
    box.hangs = "RCPT"


def closes(box) -> None:
    box.closes = "DATA"


def refuses_bounces(box) -> None:
    box.refused["<>"] = "550 5.7.1 null sender not accepted here"


def does_nothing(_box) -> None:
    """A server as it should be."""


@pytest.mark.parametrize(
    ("does", "changed", "verdict", "says"),
    [
        (refuses, {}, Verdict.FAIL, "no such user here (at RCPT TO); mend the address"),
        (greylists, {}, Verdict.INCONCLUSIVE, "not accepted yet: 450 4.2.0 greylisted, try again later"),
        (hangs, {"server": {"timeout": "300ms"}}, Verdict.INCONCLUSIVE, "no answer in time"),
        (closes, {}, Verdict.INCONCLUSIVE, "the connection was closed (at the answer to the text)"),
        (does_nothing, {"server": {"security": "starttls"}}, Verdict.INCONCLUSIVE, "offers no STARTTLS"),
        (does_nothing, {"server": {"security": "tls"}}, Verdict.INCONCLUSIVE, "TLS failed"),
        (refuses_bounces, {"bounces": "<>"}, Verdict.INCONCLUSIVE, "550 5.7.1 null sender not accepted here"),
        (does_nothing, {}, Verdict.PASS, "was accepted for all 3 recipients of customers"),
    ],
)
def test_one_line(server, folder, does: Callable, changed: dict, verdict: Verdict, says: str) -> None:
    does(server.mailbox)
    section = notices(server.at, **changed)
    put(section, folder)
    go(section, folder)
    found = judged(section, folder)
    assert found.verdict is verdict
    assert says in found.reason


def test_nobody_listens(folder) -> None:
    with serving(folder.parent.parent) as gone:
        section = notices(gone.at)
    put(section, folder)
    go(section, folder)
    found = judged(section, folder)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "the connection is refused" in found.reason


def test_crash_between_two_recipients_is_asked_about(server, folder) -> None:
    section = notices(server.at)
    first, second, _ = put(section, folder)
    log = Log(folder)
    log.attempt(first)
    log.result(first, State.ACCEPTED, "250 taken")
    log.attempt(second)  # the command is killed here
    log.close()
    found = judged(section, folder)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "nobody knows whether it arrived (the command ended before the server's answer" in found.reason
    assert f"`deploygate notify send --sent {second[:8]}` or `--not-sent {second[:8]}`" in found.reason
    log = Log(folder)
    log.answer(second, sent=True, by="dana")
    log.close()
    go(section, folder)
    assert [len(server.mails(one)) for one in PEOPLE] == [0, 0, 1]
    found = judged(section, folder)
    assert found.verdict is Verdict.PASS
    (note,) = found.notes
    assert note.startswith("no server's answer is recorded for customers ")
    assert note.endswith(": dana says that it arrived")


def test_greylisted_one_that_was_accepted_later_is_noted(server, folder) -> None:
    server.mailbox.greylists = True
    section = notices(server.at)
    put(section, folder)
    go(section, folder)
    assert {known.tries for known in go(section, folder)} == {2}
    found = judged(section, folder)
    assert found.verdict is Verdict.PASS
    assert found.notes[0].startswith("not accepted at the first try, but later, after up to 2 tries: ")


def test_second_send_is_noted_with_its_reason(server, folder) -> None:
    section = notices(server.at)
    put(section, folder)
    go(section, folder)
    put(section, folder)
    go(section, folder)
    assert judged(section, folder).notes == ()
    put(section, folder, again=True, reason="the first one had the wrong link")
    go(section, folder)
    (note,) = judged(section, folder).notes
    assert note.startswith("sent once more to customers ")
    assert note.endswith(": the first one had the wrong link")
