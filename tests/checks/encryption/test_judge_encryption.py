from __future__ import annotations

import pytest
from agreeing import disagreements

from pytest_deploygate.checks.encryption import judge
from pytest_deploygate.checks.encryption.facts import AtRest, Column, Volume
from pytest_deploygate.checks.encryption.probe import volumes
from pytest_deploygate.checks.encryption.section import Encryption
from pytest_deploygate.model import Judgement, Verdict

MAILS = {"columns": [{"table": "app.users", "column": "email"}]}
DATA = {"volumes": [{"hosts": ["db1"], "path": "/data"}]}


def judged(found: AtRest, **declared: object) -> Judgement:
    said = judge.judge(found, Encryption.model_validate(declared))
    assert disagreements(said.verdict, said.readings) == []
    return said


@pytest.mark.parametrize(
    ("column", "verdict", "words"),
    [
        (Column("app.users", "email", 3), Verdict.PASS, "none of 3 values in 1 column can"),
        (Column("app.users", "email", 3, readable=1), Verdict.FAIL, "1 of 3 values of app.users.email"),
        (Column("app.users", "email", 3, unknown=2), Verdict.INCONCLUSIVE, "say in `form`"),
        (Column("app.users", "email", 3, readable=1, more=True), Verdict.FAIL, "1 of the first 3 values"),
        (Column("app.users", "email"), Verdict.INCONCLUSIVE, "run again after phase 4"),
        (Column("app.users", "email", problem="db1: no"), Verdict.INCONCLUSIVE, "db1: no"),
    ],
)
def test_columns(column: Column, verdict: Verdict, words: str) -> None:
    found = judged(AtRest((column,)), **MAILS)
    assert found.verdict is verdict
    assert words in found.reason


def test_an_empty_column_is_looked_at_after_the_data_came() -> None:
    assert judged(AtRest((Column("app.users", "email"),)), **MAILS).deferred_to == "phase4"


def test_equal_values_are_a_note() -> None:
    found = judged(AtRest((Column("app.users", "email", 4, equal=2),)), **MAILS)
    assert found.verdict is Verdict.PASS
    assert "2 values of app.users.email occur more than once" in found.notes[0]


#: Output of util-linux 2.38 and OpenZFS 2.1 by their manuals.
OUTPUT = {
    "luks": ({"mount": "/dev/mapper/data ext4", "devices": "crypt\npart\ndisk"}, Verdict.PASS),
    "lvm on luks": ({"mount": "/dev/mapper/vg-data xfs", "devices": "lvm\ncrypt\ndisk"}, Verdict.PASS),
    "plain": ({"mount": "/dev/sda2 ext4", "devices": "part\ndisk"}, Verdict.FAIL),
    "btrfs": ({"mount": "/dev/sda2[/data] btrfs", "devices": "part\ndisk"}, Verdict.FAIL),
    "zfs on": ({"mount": "tank/data zfs", "zfs": "aes-256-gcm"}, Verdict.PASS),
    "zfs off": ({"mount": "tank/data zfs", "zfs": "off"}, Verdict.FAIL),
    "zfs unknown": ({"mount": "tank/data zfs"}, Verdict.INCONCLUSIVE),
    "ecryptfs": ({"mount": "/home/.private ecryptfs"}, Verdict.PASS),
    "nfs": ({"mount": "nas:/data nfs4"}, Verdict.INCONCLUSIVE),
    "overlay": ({"mount": "overlay overlay"}, Verdict.INCONCLUSIVE),
    "no findmnt": ({}, Verdict.INCONCLUSIVE),
}


@pytest.mark.parametrize("name", OUTPUT)
def test_volumes_by_documented_output(name: str) -> None:
    parts, verdict = OUTPUT[name]
    found = judged(AtRest(volumes=(volumes.parse("db1", "/data", parts),)), **DATA)
    assert found.verdict is verdict, found.reason


def test_what_encrypts_below_the_host_is_said_and_not_measured() -> None:
    declared = {"volumes": [{"hosts": ["db1"], "path": "/data", "below": "the provider"}]}
    volume = Volume("db1", "/data", "/dev/vda", "ext4", ("disk",))
    alone = judged(AtRest(volumes=(volume,)), **declared)
    assert (alone.verdict, alone.reason) == (Verdict.INCONCLUSIVE, "nothing was measured")
    found = judged(AtRest((Column("app.users", "email", 3),), (volume,)), **declared, **MAILS)
    assert found.verdict is Verdict.PASS
    assert "no host can see that" in found.notes[0]


def test_this_machine_says_what_its_root_is_on() -> None:
    declared = Encryption.model_validate({"volumes": [{"hosts": ["here"], "path": "/"}]})
    (found,) = volumes.read(declared.volumes[0], None, 20)
    assert found.source or "util-linux" in found.problem
    assert found.host == "here"


def test_something_must_be_named() -> None:
    with pytest.raises(ValueError, match="name what must be encrypted"):
        Encryption.model_validate({})
