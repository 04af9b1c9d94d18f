"""What Patroni says and what the databases say, from frozen values."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_deploygate.checks.patroni.facts import Found, InDatabase, Listed, Reported, Settings, Store
from pytest_deploygate.checks.patroni.judge import judge
from pytest_deploygate.fields.patroni import Patroni
from pytest_deploygate.model import Verdict

CRITERION = Patroni.model_validate(
    {
        "members": [{"name": f"db{n}", "url": f"http://127.0.0.1:800{n}"} for n in (1, 2, 3)],
        "synchronous": "on",
        "failsafe": True,
        "candidates": 2,
    }
)
MEMBERS = (
    Reported("db1", role="master", state="running", timeline=4, dcs_age_s=1.0),
    Reported("db2", role="replica", state="running", timeline=4, dcs_age_s=1.0),
    Reported("db3", role="replica", state="running", timeline=4, dcs_age_s=1.0),
)
LISTED = (
    Listed("db1", "leader", "running", 4, None),
    Listed("db2", "sync_standby", "streaming", 4, 0),
    Listed("db3", "replica", "running", 4, 0),
)
SETTINGS = Settings("on", failsafe=True, ttl_s=30.0, max_lag_bytes=1024**2, paused=False)
DATABASES = (
    InDatabase("db1", "", False, 4, "db2", (("db2", "sync", 0), ("db3", "async", 10))),
    InDatabase("db2", "", True, 4),
    InDatabase("db3", "", True, 4),
)
STORES = tuple(Store(f"http://127.0.0.1:237{n}", healthy=True) for n in (1, 2, 3))
GOOD = Found(MEMBERS, LISTED, SETTINGS, DATABASES, STORES)


def changed(rows, index, **more):
    return tuple(replace(row, **more) if n == index else row for n, row in enumerate(rows))


def test_a_cluster_that_could_fail_over_passes():
    judged = judge(GOOD, CRITERION)
    assert judged.verdict is Verdict.PASS
    assert judged.reason.startswith("db1 leads 2 replicas as its server says, too")


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (
            replace(GOOD, members=changed(MEMBERS, 2, problem="Patroni of db3 does not answer")),
            "start Patroni there",
        ),
        (
            replace(GOOD, members=changed(MEMBERS, 1, role="primary")),
            "2 members say that they lead: db1, db2",
        ),
        (replace(GOOD, members=changed(MEMBERS, 0, role="replica")), "no member says that it leads"),
        (replace(GOOD, members=changed(MEMBERS, 1, paused=True)), "patronictl resume"),
        (replace(GOOD, members=changed(MEMBERS, 1, dcs_age_s=45.0)), "db2 has not reached its DCS for 45 s"),
        (replace(GOOD, listed=LISTED[:2]), "db3 is not in the list of members"),
        (
            replace(GOOD, listed=(*LISTED, replace(LISTED[2], member="db4"))),
            "add it to `database.patroni.members`",
        ),
        (replace(GOOD, listed=changed(LISTED, 2, state="start failed")), "db3 is 'start failed'"),
        (replace(GOOD, listed=changed(LISTED, 2, timeline=3)), "db3 is on timeline 3, the leader on 4"),
        (replace(GOOD, listed=changed(LISTED, 2, lag_bytes=5 * 1024**2)), "maximum_lag_on_failover is 1 MB"),
        (replace(GOOD, listed=changed(LISTED, 2, barred=("nofailover",))), "db3 has the tag nofailover"),
        (replace(GOOD, listed=changed(LISTED, 2, barred=("nosync",))), "db3 has the tag nosync"),
        (replace(GOOD, listed=changed(LISTED, 0, role="standby_leader")), "db1 is a standby leader"),
        (
            replace(GOOD, settings=replace(SETTINGS, synchronous="off")),
            "synchronous_mode is off, declared is on",
        ),
        (replace(GOOD, settings=replace(SETTINGS, failsafe=False)), "failsafe_mode is off, declared is on"),
        (
            replace(GOOD, stores=(STORES[0], *(replace(s, healthy=False) for s in STORES[1:]))),
            "has no quorum: 1 of 3",
        ),
        (
            replace(GOOD, databases=changed(DATABASES, 1, in_recovery=False)),
            "2 servers take writes: db1, db2",
        ),
        (replace(GOOD, databases=changed(DATABASES, 0, in_recovery=True)), "its server is in recovery"),
        (replace(GOOD, databases=changed(DATABASES, 2, timeline=3)), "its server says 3"),
        (
            replace(GOOD, databases=changed(DATABASES, 0, senders=(("db2", "sync", 0),))),
            "Patroni lists db3 as running, but db1 has no sender",
        ),
        (
            replace(GOOD, databases=changed(DATABASES, 0, senders=(("db2", "async", 0), ("db3", "sync", 0)))),
            "Patroni lists db2 as synchronous, but for db1 it is async",
        ),
        (
            replace(
                GOOD, databases=changed(DATABASES, 0, senders=(("db2", "async", 0), ("db3", "async", 0)))
            ),
            "commits on db1 wait for no replica",
        ),
    ],
)
def test_what_fails(found, says):
    judged = judge(found, CRITERION)
    assert judged.verdict is Verdict.FAIL
    assert says in judged.reason


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (
            replace(GOOD, settings=None, settings_problem="db1 answers 503 to /config"),
            "db1 answers 503 to /config",
        ),
        (
            replace(GOOD, listed=(), listed_problem="db1 answers 503 to /cluster"),
            "there is no list of members",
        ),
        (replace(GOOD, databases=changed(DATABASES, 2, problem="db3 cannot be used")), "db3 cannot be used"),
        (replace(GOOD, members=changed(MEMBERS, 2, problem="no such name", ours=True)), "no such name"),
        (
            replace(
                GOOD,
                listed=changed(LISTED, 2, lag_bytes=None),
                databases=changed(DATABASES, 0, senders=(("db2", "sync", 0), ("db3", "async", None))),
            ),
            "db3's lag is unknown",
        ),
    ],
)
def test_what_is_unknown_is_not_good(found, says):
    judged = judge(found, CRITERION)
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert says in judged.reason


def test_quorum_commit_of_patroni_4_counts_as_synchronous():
    databases = changed(DATABASES, 0, senders=(("db2", "quorum", 0), ("db3", "quorum", 0)))
    found = replace(GOOD, settings=replace(SETTINGS, synchronous="quorum"), databases=databases)
    assert judge(found, CRITERION).verdict is Verdict.PASS


def test_one_member_of_the_dcs_less_is_a_note():
    judged = judge(replace(GOOD, stores=(*STORES[:2], replace(STORES[2], healthy=False))), CRITERION)
    assert judged.verdict is Verdict.PASS
    assert "another one less leaves no quorum" in judged.notes[0]
