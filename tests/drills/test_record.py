"""The dated record of a drill: it is read back as it was written, and an unusable one says why."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_deploygate.drills import record as drills
from pytest_deploygate.drills.record import Record, digest
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import Secret

ABOUT = {"zone": "example.com", "stop": "stop it"}


@dataclass(frozen=True, slots=True)
class Facts:
    took_s: float | None = None
    names: tuple[str, ...] = ()
    until: datetime | None = None
    rows: int = 0


WHOLE = Facts(1.5, ("a", "ü"), datetime(2026, 3, 1, tzinfo=UTC), 7)


def test_a_record_comes_back_as_it_was_written(tmp_path):
    written = drills.made(WHOLE, "good", ABOUT, reason="fine", environment="prod")
    drills.write(tmp_path / "deep" / "r.json", written)
    assert drills.read(tmp_path / "deep" / "r.json", Facts) == (written, "")
    assert [file.name for file in (tmp_path / "deep").iterdir()] == ["r.json"]
    assert datetime.now(UTC) - written.date < timedelta(minutes=1)
    raw = json.loads((tmp_path / "deep" / "r.json").read_text())
    assert (raw["environment"], raw["configuration"], raw["took_s"]) == ("prod", ABOUT, 1.5)


@given(
    st.builds(
        Record,
        st.datetimes(timezones=st.just(UTC)),
        st.sampled_from(["good", "failed", ""]),
        st.builds(Facts, st.none() | st.floats(allow_nan=False, allow_infinity=False)),
        reason=st.text(),
        environment=st.text(),
        configuration=st.dictionaries(st.text(), st.text(), max_size=2),
    )
)
def test_any_record_comes_back(tmp_path_factory, record):
    """For any texts; a lone surrogate cannot be written as UTF-8 and is not made by `st.text`."""
    file = tmp_path_factory.mktemp("records") / "r.json"
    drills.write(file, record)
    assert drills.read(file, Facts) == (record, "")


def test_a_persons_record_needs_date_and_outcome(tmp_path):
    (tmp_path / "r.json").write_text(
        '{"date": "2026-03-01T00:00:00Z", "outcome": "good", "took_s": 5, "note": "x"}'
    )
    found, problem = drills.read(tmp_path / "r.json", Facts)
    assert problem == ""
    assert found == Record(datetime(2026, 3, 1, tzinfo=UTC), "good", Facts(5.0))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot be read: it is not JSON: Expecting property name"),
        ("[]", "cannot be read: it is not a JSON object"),
        ('{"outcome": "good"}', "cannot be read: date: Field required"),
        ('{"date": "2026-03-01T00:00:00Z"}', "cannot be read: outcome: Field required"),
        ('{"date": "2026-03-01T00:00:00", "outcome": "good"}', "has a date without time zone"),
        ('{"date": 5, "outcome": "good"}', "cannot be read: date"),
        ('{"date": "2026-03-01T00:00:00Z", "outcome": true}', "cannot be read: outcome"),
        ('{"date": "2026-03-01T00:00:00Z", "outcome": "good", "took_s": "5"}', "took_s: Input should be a valid number"),
        ('{"date": "2026-03-01T00:00:00Z", "outcome": "good", "took_s": NaN}', "NaN is not a number"),
        ('{"date": "2026-03-01T00:00:00Z", "outcome": "good", "rows": true}', "rows: Input should be a valid integer"),
        ('{"date": "2026-03-01T00:00:00Z", "outcome": "good", "names": "a"}', "names"),
        ('{"date": "2026-03-01T00:00:00Z", "outcome": "good", "configuration": []}', "configuration"),
    ],
)  # fmt: skip
def test_a_record_that_is_none_says_why(tmp_path, text, words):
    (tmp_path / "r.json").write_text(text)
    found, problem = drills.read(tmp_path / "r.json", Facts)
    assert found is None
    assert words in problem
    assert str(tmp_path / "r.json") in problem


def test_no_file_bytes_that_are_no_text_and_a_folder(tmp_path):
    assert drills.read(tmp_path / "no.json", Facts) == (None, f"there is no record {tmp_path / 'no.json'}")
    (tmp_path / "r.json").write_bytes(b"\xff")
    for path in (tmp_path, tmp_path / "r.json"):
        found, problem = drills.read(path, Facts)
        assert found is None
        assert "cannot be read" in problem


def test_several_records_in_one_file(tmp_path):
    """Each is kept when another is written; a missing one is named."""
    one, other = (drills.made(Facts(seconds), "good", ABOUT) for seconds in (1.0, 2.0))
    file = tmp_path / "r.json"
    file.write_text("not JSON, so it is replaced")
    drills.write(file, one, of="a")
    drills.write(file, other, of="b")
    assert drills.read(file, Facts, of="a") == (one, "")
    assert drills.read(file, Facts, of="b") == (other, "")
    assert drills.read(file, Facts, of="c") == (None, f"there is no record of c in {file}")


def test_a_file_of_an_earlier_version_is_turned_into_todays_keys(tmp_path):
    (tmp_path / "r.json").write_text('{"at": "2026-03-01T00:00:00Z", "outcome": "good"}')
    found, _ = drills.read(tmp_path / "r.json", Facts, former=lambda raw: raw | {"date": raw["at"]})
    assert found is not None
    assert found.date == datetime(2026, 3, 1, tzinfo=UTC)


def test_no_secret_is_written_nor_digested(tmp_path):
    Secret("canary-of-a-drill", "test")
    Secret("good", "a weak password that is also an outcome")
    about = {"stop": "stop --password canary-of-a-drill"}
    record = drills.made(Facts(names=("canary-of-a-drill",)), "good", about, reason="canary-of-a-drill")
    drills.write(tmp_path / "r.json", record)
    assert "canary-of-a-drill" not in (tmp_path / "r.json").read_text()
    found, problem = drills.read(tmp_path / "r.json", Facts)
    assert found is not None, problem
    assert found.outcome == "good"
    assert found.digest == digest({"stop": "stop --password [secret]"})


def test_a_record_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotTell, match=r"the drill's record .*r\.json cannot be written: "):
        drills.write(tmp_path / "file" / "r.json", drills.made(Facts(), "good", ABOUT))


def test_the_digest_is_of_the_settings_in_any_order():
    assert digest(ABOUT) == digest(dict(reversed(ABOUT.items())))
    assert digest(ABOUT) != digest(ABOUT | {"stop": "other"})


def test_evidence_is_the_drill_of_this_run_before_the_one_on_record(tmp_path):
    file = tmp_path / "r.json"
    earlier = replace(drills.made(Facts(1.0), "good", ABOUT), date=datetime(2026, 3, 1, tzinfo=UTC))
    drills.write(file, earlier)
    ran = drills.made(Facts(2.0), "good", ABOUT)
    found = drills.evidence(file, Facts, ran=ran, configuration=ABOUT, environment="prod")
    assert (found.record, found.ran_now, found.problem) == (ran, True, "")
    found = drills.evidence(file, Facts, configuration=ABOUT, environment="prod")
    assert (found.record, found.ran_now, found.configuration) == (earlier, False, ABOUT)
    assert found.age == found.now - earlier.date
    none = drills.evidence(None, Facts)
    assert (none.record, none.problem, none.age) == (None, "the inventory names no file for its record", None)
