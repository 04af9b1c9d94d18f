"""DORA's four figures and the time to a decision: each from the lines that its definition names, and unknown otherwise."""

from __future__ import annotations

import pytest
from recorded_changes import FAILED, HOLD, Records, many

from pytest_deploygate.decision.incidents import What
from pytest_deploygate.history.change import State
from pytest_deploygate.history.dora import Dora
from pytest_deploygate.model import Verdict


def figures(records: Records) -> Dora:
    (found,) = records.read().dora
    return found


def test_the_figures_of_several_changes(records: Records) -> None:
    many(records)
    found = figures(records)
    assert (found.deployments, found.failed, found.not_settled) == (8, 1, 0)
    assert found.per_week == pytest.approx(1.0, rel=0.01)
    assert found.failure_rate == 1 / 8
    assert found.restore.seconds == pytest.approx(100, abs=20)
    assert found.restore.known == 1
    assert found.lead_time.known == 8
    assert found.lead_time.seconds == pytest.approx(3 * 3600, abs=300)
    assert found.decision.known == 8


def test_a_change_that_only_held_is_not_settled_and_in_no_figure(records: Records) -> None:
    unclear = {"golive.p99": Verdict.INCONCLUSIVE}
    records.change("CHG-1").run("phase2").run(verdicts=unclear)
    found = figures(records)
    (part,) = records.read().parts
    assert part.deployment.state is State.UNSETTLED
    assert (found.deployments, found.not_settled) == (0, 1)
    assert (found.per_week, found.failure_rate, found.lead_time.seconds, found.restore.seconds) == (None,) * 4
    assert found.decision.seconds is None
    assert (found.why_failure_rate, found.restore.why) == ("no deployment", "no incident")


def test_a_run_of_everything_before_go_live_begins_nothing(records: Records) -> None:
    change = records.change("CHG-1").run("", verdicts=FAILED).later(days=3)
    (part,) = records.read().parts
    assert part.deployment.state is State.NOT_LIVE
    began = change.at
    change.run("golive")
    (part,) = records.read().parts
    assert part.deployment.state is State.SUCCEEDED
    assert part.deployment.began is not None
    assert part.deployment.began > began


def test_a_run_of_everything_with_a_go_is_a_deployment(records: Records) -> None:
    records.change("CHG-1").run("")
    (part,) = records.read().parts
    assert part.deployment.state is State.SUCCEEDED
    assert part.deployment.ended_by == "gate"


def test_a_go_of_a_part_of_the_phase_decides_nothing(records: Records) -> None:
    records.change("CHG-1").run("items golive.errors", items=("golive.errors",))
    (part,) = records.read().parts
    assert part.deployment.state is State.UNSETTLED
    assert part.deployment.decided_s is None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"committed": None}, "the journal has no time of the commit"),
        ({"commit": ""}, "the journal names no commit"),
        ({"dirty": ["app.py"]}, "files differed from the commit"),
        ({"committed": "2030-01-01T00:00:00+00:00"}, "the commit is younger than the GO: a clock was wrong"),
    ],
)
def test_a_lead_time_that_the_records_cannot_give_is_unknown(
    records: Records, change: dict, why: str
) -> None:
    one = records.change("CHG-1")
    for name, value in change.items():
        setattr(one, name, value)
    one.run()
    found = figures(records)
    assert (found.lead_time.seconds, found.lead_time.why, found.lead_time.unknown) == (None, why, 1)


def test_a_rollback_is_a_failure_and_ends_when_it_is_verified(records: Records) -> None:
    change = records.change("CHG-1").run(verdicts=FAILED).incident(What.OPENED, "HOLD")
    change.later(seconds=80).incident(What.DECIDED, "ROLLBACK", by="deployment-lead").rollback()
    (part,) = records.read().parts
    (incident,) = part.deployment.incidents
    assert (incident.decided_s, incident.restored_s) == (pytest.approx(90), None)
    assert (figures(records).open_incidents, figures(records).restore.why) == (1, "no incident is over")
    change.later(seconds=180).incident(What.ROLLED_BACK, by="deploygate").later(hours=1).run().incident(
        What.OBSERVED, "GO"
    )
    (part,) = records.read().parts
    (incident,) = part.deployment.incidents
    assert incident.restored_s == pytest.approx(290)
    assert (part.deployment.state, part.deployment.rolled_back) == (State.FAILED, True)
    assert (part.deployment.outcome, part.deployment.ended_by) == ("ROLLBACK", "deployment-lead")


def test_an_incident_that_opened_again_is_over_only_when_it_ended_again(records: Records) -> None:
    change = records.change("CHG-1").run().later(minutes=5)
    change.incident(What.OPENED, "HOLD").later(seconds=50).incident(What.OBSERVED, "GO")
    assert figures(records).restore.seconds == pytest.approx(60)
    change.later(seconds=20).incident(What.OPENED, "HOLD")
    assert (figures(records).restore.seconds, figures(records).open_incidents) == (None, 1)
    change.later(seconds=90).incident(What.DECIDED, "GO", by="deployment-lead")
    assert figures(records).restore.seconds == pytest.approx(190)


def test_an_incident_before_go_live_is_no_failure_of_the_deployment(records: Records) -> None:
    change = records.change("CHG-1").run("", verdicts=FAILED).incident(What.OPENED, "HOLD")
    change.incident(What.OBSERVED, "GO").later(days=2).run()
    assert (figures(records).deployments, figures(records).failed) == (1, 0)


def test_deployments_of_one_day_have_no_frequency(records: Records) -> None:
    records.change("CHG-1").run()
    assert figures(records).why_per_week == "fewer than two deployments"
    records.change("CHG-2", 0.4).run()
    assert (figures(records).per_week, figures(records).why_per_week) == (
        None,
        "all deployments are of one day",
    )
    records.change("CHG-3", 1.5).run()
    assert figures(records).per_week == pytest.approx(2 / 1.5 * 7, rel=0.01)


def test_inventories_are_not_mixed_and_runs_without_a_change_are_none(records: Records) -> None:
    records.change("CHG-1", inventory="staging").run().later(hours=1)
    one = records.change("CHG-1", 0.5)
    one.count = 5
    one.run(verdicts=FAILED)
    records.change("local").run()
    found = {each.inventory: each for each in records.read().dora}
    assert (found["staging"].deployments, found["prod"].deployments, found["prod"].changes) == (1, 0, 1)


def test_a_hold_by_a_person_ends_nothing_and_a_go_does(records: Records) -> None:
    change = records.change("CHG-1").run(verdicts=FAILED).incident(What.OPENED, HOLD.value)
    change.incident(What.DECIDED, "HOLD", by="deployment-lead")
    assert figures(records).decision.seconds is None
    change.later(minutes=4).incident(What.DECIDED, "GO", by="deployment-lead")
    found = figures(records)
    assert found.decision.seconds is not None
    assert found.decision.seconds > 240
    assert found.lead_time.seconds is not None


def test_an_incident_of_a_later_phase_shows_that_users_were_there(records: Records) -> None:
    """As people who measure single items after go-live: no run asks for the go-live phase itself."""
    change = records.change("CHG-1").run("phase2").later(days=1)
    began = change.at
    change.run("items phase2.lag", items=("phase2.lag",), verdicts={"phase2.lag": Verdict.FAIL})
    change.incident(What.OPENED, "HOLD").later(seconds=40).incident(
        What.DECIDED, "ROLLBACK", by="deployment-lead"
    )
    change.rollback().later(seconds=60).incident(What.ROLLED_BACK)
    (part,) = records.read().parts
    one = part.deployment
    assert (one.state, one.rolled_back, one.outcome) == (State.FAILED, True, "ROLLBACK")
    assert one.began is not None
    assert (one.began - began).total_seconds() == 10
    assert figures(records).restore.seconds == pytest.approx(130)


def test_a_rollback_shows_it_also_after_a_run_of_everything(records: Records) -> None:
    change = records.change("CHG-1").run("", verdicts=FAILED).incident(What.OPENED, "HOLD")
    (part,) = records.read().parts
    assert part.deployment.state is State.NOT_LIVE
    change.incident(What.DECIDED, "ROLLBACK", by="deployment-lead").rollback().incident(What.ROLLED_BACK)
    (part,) = records.read().parts
    assert (part.deployment.state, part.deployment.began) == (State.FAILED, part.first)
    assert figures(records).restore.known == 1
