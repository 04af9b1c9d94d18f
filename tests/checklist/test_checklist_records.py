"""Whatever a record contains, the result is the record or problems with their lines, never a crash."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_deploygate.checklist import attestations, parser, waivers
from pytest_deploygate.checklist.records import RecordsError, is_placeholder, parse_time
from pytest_deploygate.checklist.same_person import same_person
from pytest_deploygate.checklist.vocabulary import time_words
from pytest_deploygate.files.yaml import dumped

SHIPPED = parser.load(Path(__file__).parents[2] / "pytest_deploygate" / "suites" / "checklist.md")
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["2026-03-04T10:00:00Z", "sec.audit", "é"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["file", "url", "sha256", "allowed", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
RECORD = st.dictionaries(
    st.sampled_from(["item", "role", "name", "at", "valid_until", "evidence", "findings", "target", "owner",
                     "approver", "reason", "ticket", "created", "expires", "x"]),
    VALUE,
)  # fmt: skip


@given(record=RECORD)
def test_no_record_breaks_a_reader(record):
    text = dumped(record)
    with pytest.raises(RecordsError) as raised:
        attestations.check(text, "a.yml", SHIPPED)
    assert raised.value.problems
    with pytest.raises(RecordsError) as raised:
        waivers.check(text, "a.yml", SHIPPED)
    assert raised.value.problems


@given(text=st.text(max_size=60) | st.from_regex(r"[-:{}\[\]&*!|>'\"%@ \na1]{0,30}", fullmatch=True))
def test_no_text_breaks_a_reader(text):
    with pytest.raises(RecordsError) as raised:
        waivers.check(text, "a.yml", SHIPPED)
    assert raised.value.problems


@given(when=st.datetimes(timezones=st.just(UTC), min_value=datetime(1971, 1, 1)))  # noqa: DTZ001
def test_times_are_read_as_they_were_written(when):
    assert parse_time(time_words(when)) == when.replace(microsecond=0)


@pytest.mark.parametrize(
    "text",
    ["2021-07-07", "20210707T100000Z", "2021-W27-3T10:00:00Z", "2021-07-07 10:00:00Z", "2021-07-07T10Z",
     "2021-07-07T10:00:00", "07.07.2021", "2021-07-07T24:00:01Z", "2021-13-01T00:00:00Z", "0001-01-01T00:00:00+23:00"],
)  # fmt: skip
def test_no_other_time_is_taken(text):
    with pytest.raises(ValueError, match=r"2026-03-04T10:00:00Z|calendar"):
        parse_time(text)


def test_names_are_compared_as_people_do():
    assert same_person("The  DB Admin ", "the db admin")
    assert same_person("Zoe\u0308", "Zoë")
    assert not same_person("one", "two")


@pytest.mark.parametrize("text", ["TODO", "todo.", "<tbd>", "n/a", "-", "None", "[TODO]"])
def test_placeholders(text):
    assert is_placeholder(text)
