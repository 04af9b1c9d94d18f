"""A rollback on the live page: in the middle, failed, gone on, and done; and signatures beside it."""

from __future__ import annotations

import re

import pytest
from live_journal import Change, served

from pytest_deploygate.decision.incidents import What
from pytest_deploygate.journal import utcnow
from pytest_deploygate.model import Verdict
from pytest_deploygate.report.live import page, parts
from pytest_deploygate.report.live.following import Following
from pytest_deploygate.report.live.page import Sign, Signature
from pytest_deploygate.rollback.progress import Mark

STEPS = ("page", "fence", "dns")
CAUSE = "app.example.com still answers with 203.0.113.7"


@pytest.fixture
def change(tmp_path):
    """A change with a failure after go-live, and the decision to go back."""
    change = Change(tmp_path).begin()
    change.finds(change.items[1], Verdict.FAIL, "9 s, limit 5 s")
    change.ends().reopened()
    change.incident()
    change.incident(What.DECIDED, "deployment-lead", "ROLLBACK")
    yield change
    change.writer.close()


@pytest.fixture
def shown(tmp_path):
    """What the page shows, read by one reader that follows: the outcome, the steps' states, and all of the text."""
    following = Following(tmp_path)

    def look():
        seen = following.look()
        text = parts.document(page.live(seen, utcnow(), {}), "CHG-1", utcnow())
        outcome = re.search('class="outcome">([^<]+)<', text)[1]
        steps = re.findall(r'class="state">([^<]+)</b> <span><b>(\w+)</b>', text)
        return outcome, {name: state for state, name in steps}, text

    return look


def test_each_state_of_a_rollback_has_its_words(change, shown):
    outcome, steps, text = shown()
    assert (outcome, steps) == ("ROLLBACK", {})
    assert "Clock: roll back" in text
    change.rollback(Mark.BEGUN, said="\n".join(STEPS))
    change.rollback(Mark.INTENT, "page")
    change.rollback(Mark.DONE, "page", "503 on 2 of 2 addresses", 1.2)
    change.rollback(Mark.INTENT, "fence")
    outcome, steps, text = shown()
    assert outcome == "ROLLING BACK"
    assert steps == {"page": "done", "fence": "under way", "dns": "not done"}
    assert "1 of 3 steps done and verified" in text
    assert "503 on 2 of 2 addresses" in text
    assert "<b>not finished</b>; the policy allows until" in text

    change.rollback(Mark.FAILED, "fence", CAUSE, 61.0)
    change.rollback(Mark.STOPPED, "fence", CAUSE)
    seen = [
        {"step": "fence", "good": False, "said": "3 sessions"},
        {"step": "page", "good": True, "said": "503"},
    ]
    change.writer.append("platform", {"rollback": "INC-1 of CHG-1", "seen": seen})
    outcome, steps, text = shown()
    assert outcome == "ROLLBACK FAILED"
    assert steps == {"page": "done", "fence": "failed", "dns": "not done"}
    assert CAUSE in text
    assert "fence NOT as intended (3 sessions); page as intended (503)" in text
    assert "stopped at a step that failed" in text

    change.rollback(Mark.INTENT, "fence")
    outcome, steps, text = shown()
    assert (outcome, steps["fence"]) == ("ROLLING BACK", "under way")
    assert "started 2 times" in text
    change.rollback(Mark.DONE, "fence")
    change.rollback(Mark.INTENT, "dns")
    change.rollback(Mark.DONE, "dns")
    change.rollback(Mark.ENDED)
    change.incident(What.ROLLED_BACK)
    outcome, steps, text = shown()
    assert (outcome, set(steps.values())) == ("ROLLED BACK", {"done"})
    assert "Rollback: 3 of 3 steps done" in text
    assert "Clock: after" in text
    assert "valid until" not in text


def test_a_run_after_a_rollback_is_shown_as_the_run_that_it_is(change, shown):
    for mark, step in ((Mark.BEGUN, ""), (Mark.INTENT, "page"), (Mark.DONE, "page"), (Mark.ENDED, "")):
        change.rollback(mark, step, said="page" if mark is Mark.BEGUN else "")
    change.incident(What.ROLLED_BACK)
    change.writer.close()
    Change(change.folder).passes("run-2")
    outcome, steps, text = shown()
    assert outcome == "HOLD", "the work after the rollback is not done: no GO"
    assert "incident INC-1 is open (after)" in text
    assert steps == {"page": "done"}
    change.reopened().incident(What.AFTER_DONE)
    assert shown()[0] == "GO"


def test_names_and_reasons_of_a_rollback_are_text(change, shown):
    change.rollback(Mark.BEGUN, said="<script>alert(1)</script>")
    change.rollback(Mark.INTENT, "<script>alert(1)</script>")
    change.rollback(Mark.FAILED, "<script>alert(1)</script>", "<img src=x>\x1b[31m")
    text = shown()[2]
    assert "<script>alert" not in text
    assert "<img" not in text
    assert "\x1b" not in text
    assert "&lt;img src=x&gt;" in text


def test_who_signed_who_must_and_what_does_not_count(tmp_path):
    Change(tmp_path).passes(roles=("Release manager", "Technical lead", "Operations", "Sponsor"))
    seen = Following(tmp_path).look()
    signed = {
        "release-manager": Signature(Sign.GOOD, "Ann on Monday"),
        "technical-lead": Signature(Sign.BAD, "<b>another"),
        "sponsor": Signature(Sign.UNKNOWN, "Eve on Monday"),
    }
    text = parts.document(page.live(seen, utcnow(), signed), "CHG-1", utcnow())
    assert "Who must sign (1 of 4 signed)" in text
    found = re.findall(r'class="state \w+">([^<]+)</b> <span><b>([^<]+)</b>(?:: ([^<]*))?', text)
    assert found == [
        ("signed", "Release manager", "Ann on Monday"),
        ("does not count", "Technical lead", "&lt;b&gt;another"),
        ("must sign", "Operations", ""),
        ("key unknown", "Sponsor", "Eve on Monday"),
    ]


def test_all_steps_are_seen_on_a_wall_screen_as_they_are_done(change, browser):
    change.rollback(Mark.BEGUN, said="\n".join(STEPS))
    change.rollback(Mark.INTENT, "page")
    with served(change.folder) as port:
        look = browser.new_page(viewport={"width": 1920, "height": 1080})
        look.goto(f"http://127.0.0.1:{port}/")
        look.wait_for_selector("text=under way")
        change.rollback(Mark.DONE, "page")
        change.rollback(Mark.INTENT, "fence")
        change.rollback(Mark.FAILED, "fence", CAUSE)
        change.rollback(Mark.STOPPED, "fence", CAUSE)
        look.wait_for_selector(f"text={CAUSE}")
        ends = look.evaluate(
            "[...document.querySelectorAll('.step, .left')].map(it => it.getBoundingClientRect().bottom)"
        )
        assert len(ends) == 4
        assert max(ends) <= 1080, "nobody scrolls on a wall"
        look.close()
