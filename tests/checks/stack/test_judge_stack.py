"""Both judges, without a host."""

from __future__ import annotations

from pytest_deploygate.checks.stack import judge
from pytest_deploygate.checks.stack.facts import (
    Deployed,
    Health,
    Planned,
    Replaced,
    Running,
    Seen,
    State,
    Told,
    Watched,
)
from pytest_deploygate.checks.stack.section import Stack
from pytest_deploygate.judging.silent_hosts import Cause, Failure
from pytest_deploygate.model import Judgement, Verdict

DIGEST, OTHER = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
UP = Seen(State.UP, "active (running)", "one", 0, 3600.0)
DOWN = Seen(State.DOWN, "failed (failed)")
STARTING = Seen(State.STARTING, "activating (auto-restart)")
UNKNOWN = Seen(State.UNKNOWN, "the host has no systemctl")


def stack(**keys: object) -> Stack:
    app = {"name": "app", "hosts": ["web"], "unit": "app.service", "package": "app", "version": "2.4.1"}
    box = {"name": "box", "hosts": ["web"], "container": "box", "image": DIGEST}
    plans = [{"name": "cloud", "folder": "infra", "ignored": ["auto.scaled"]}]
    return Stack.model_validate({"components": [app, box], "plans": plans, **keys})


def deployed(**changes: object) -> Judgement:
    good = {
        "versions": (Told("app", "package app", "web1", "2.4.1-1"),),
        "images": (Running("box", "container box", "web1", ((DIGEST,),)),),
        "plans": (Planned("cloud", 0, complete=True),),
    }
    return judge.judge_deployed(Deployed(**{**good, **changes}), stack())  # type: ignore[arg-type]


def health(*reads: Seen, **changes: object) -> Judgement:
    watched = (Watched("app", "unit app.service", "web1", reads or (UP, UP, UP)),)
    return judge.judge_health(Health(**{"watched": watched, "over_s": 2.0, **changes}), stack())  # type: ignore[arg-type]


def test_all_as_named():
    found = deployed()
    assert found.verdict is Verdict.PASS
    assert "1 components have their version" in found.reason
    assert "1 plan has no changes" in found.reason


def test_a_wrong_version_on_two_hosts_is_said_once():
    found = deployed(versions=tuple(Told("app", "package app", host, "2.3.9-1") for host in ("web1", "web2")))
    assert found.verdict is Verdict.FAIL
    assert "web1, web2: app: package app is 2.3.9-1, expected 2.4.1" in found.reason


def test_half_of_the_servers_behind_a_page_are_old():
    told = [Told("app", "http://app/version", version=version) for version in ("2.4.1", "2.3.9", "2.4.1")]
    found = deployed(versions=tuple(told))
    assert found.verdict is Verdict.FAIL
    assert "is 2.3.9 in 1 of 3 answers" in found.reason


def test_a_package_that_is_not_installed():
    found = deployed(
        versions=(Told("app", "package app", "web1", why="it is not installed (dpkg)", absent=True),)
    )
    assert found.verdict is Verdict.FAIL


def test_nothing_told_is_never_a_pass():
    assert deployed(versions=()).verdict is Verdict.INCONCLUSIVE
    assert deployed(images=()).verdict is Verdict.INCONCLUSIVE
    found = deployed(versions=(Told("app", "http://app/version", why="HTTP 503, expected 200"),))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "HTTP 503" in found.reason


def test_a_wrong_image_names_both():
    found = deployed(images=(Running("box", "container box", "web1", ((OTHER,),)),))
    assert found.verdict is Verdict.FAIL
    assert "sha256:bbbbbbbbbbbb…, expected sha256:aaaaaaaaaaaa…" in found.reason


def test_one_pod_of_an_older_image():
    found = deployed(images=(Running("box", "deployment/box", "", ((DIGEST,), (OTHER,), (DIGEST,))),))
    assert "in 1 of 3 pods" in found.reason


def test_a_program_that_was_replaced_under_its_process():
    found = deployed(replaced=(Replaced("app", "web1", "/usr/sbin/app"),))
    assert found.verdict is Verdict.FAIL
    assert "restart it" in found.reason


def test_drift_and_what_is_ignored():
    found = deployed(plans=(Planned("cloud", 2, (("aws_instance.web", "update"),), complete=True),))
    assert found.verdict is Verdict.FAIL
    assert "aws_instance.web (update)" in found.reason
    ignored = deployed(plans=(Planned("cloud", 2, (("auto.scaled", "update"),), complete=True),))
    assert ignored.verdict is Verdict.PASS
    assert "auto.scaled (update)" in ignored.notes[0]


def test_a_plan_that_could_not_be_made():
    for planned in (
        Planned("cloud", 1, said="Error: no credentials"),
        Planned("cloud", None),
        Planned("cloud", 0, said="hello"),
    ):
        assert deployed(plans=(planned,)).verdict is Verdict.INCONCLUSIVE
    assert deployed(plans=(Planned("cloud", 2),)).verdict is Verdict.FAIL


def test_hosts_that_do_not_answer():
    silent = (("web1", Failure(Cause.DOWN, "no answer within 20 s")),)
    assert deployed(silent=silent).verdict is Verdict.INCONCLUSIVE
    found = health(silent=silent)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "web1: cannot be asked" in found.reason


def test_up_in_all_reads():
    found = health()
    assert found.verdict is Verdict.PASS
    assert "3 reads over 2 s" in found.reason


def test_down_in_all_reads():
    found = health(DOWN, DOWN, DOWN)
    assert found.verdict is Verdict.FAIL
    assert "web1: app (unit app.service): failed (failed)" in found.reason
    assert found.confirmed


def test_flapping_is_told_from_healthy_and_from_down():
    for reads in ((UP, DOWN, UP), (UP, STARTING, UP), (DOWN, UP, UP)):
        found = health(*reads)
        assert found.verdict is Verdict.FAIL
        assert "it flaps: up in" in found.reason


def test_another_one_in_each_read():
    found = health(UP, Seen(State.UP, "active (running)", "two", 0, 0.5))
    assert found.verdict is Verdict.FAIL
    assert "it was restarted while it was watched" in found.reason


def test_a_count_of_restarts_that_rises():
    found = health(STARTING, Seen(State.UP, "running", "b", 4, 0.1), Seen(State.UP, "running", "c", 6, 0.1))
    assert found.verdict is Verdict.FAIL
    assert "it restarts: 2 times within 2 s, 6 times in all" in found.reason


def test_restarted_shortly_before():
    young = Seen(State.UP, "active (running)", "one", 7, 4.0)
    assert health(young, young).verdict is Verdict.FAIL
    old = Seen(State.UP, "active (running)", "one", 7, 4000.0)
    found = health(old, old)
    assert found.verdict is Verdict.PASS
    assert "restarted 7 times" in found.notes[0]


def test_started_a_moment_ago_is_not_known_to_be_steady():
    young = Seen(State.UP, "2 running", "one", None, 4.0)
    found = health(young, young)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "less than the 30 s" in found.reason


def test_what_is_not_told_is_unknown():
    assert health(UNKNOWN, UNKNOWN).verdict is Verdict.INCONCLUSIVE
    assert health(UP, UNKNOWN, UP).verdict is Verdict.INCONCLUSIVE
    assert health(STARTING, STARTING).verdict is Verdict.INCONCLUSIVE
    assert health(watched=()).verdict is Verdict.INCONCLUSIVE
