"""Events are found in whatever form they come out, and counted as often as they are there."""

from __future__ import annotations

import json

import pytest

from pytest_deploygate.checks.pipeline.probe.events import Events
from pytest_deploygate.checks.pipeline.section import Pipeline

MADE = Pipeline.model_validate(
    {
        "devices": ["synthetic-1", "synthetic-2", "synthetic-3"],
        "message": {
            "meta": {"key": "{id}"},
            "n": "{sequence}",
            "at": "{sent_at}",
            "value": "{value}",
            "from": "device {device}",
        },
        "entrances": [
            {"name": "a", "http": {"url": "https://app.example.com/"}, "devices": ["synthetic-2"]},
            {"name": "b", "mqtt": {"host": "mqtt.example.com", "topic": "t"}},
        ],
        "exits": [{"name": "live", "websocket": {"url": "wss://app.example.com/"}}],
    }
)


@pytest.fixture
def events() -> Events:
    return Events(MADE)


def test_message_is_filled_in(events: Events) -> None:
    assert events.shares == [("synthetic-1", 1), ("synthetic-2", 0), ("synthetic-3", 1)]
    message = json.loads(events.message(42, "synthetic-2", 0, 15))
    assert message.pop("at").endswith("Z")
    assert message == {
        "meta": {"key": events.id_of(42)},
        "n": 15,
        "value": 20.0,
        "from": "device synthetic-2",
    }
    assert events.id_of(42).endswith("-00000000002a")


def test_an_object_counts_once(events: Events) -> None:
    one, two = events.id_of(1), events.id_of(2)
    assert events.numbers(json.dumps({"id": one, "key": one, "inner": {"id": one}})) == [1]
    assert events.numbers(json.dumps({"events": [{"id": one}, {"id": two}, {"id": one}]})) == [1, 2, 1]
    assert events.numbers(json.dumps([one, one])) == [1, 1]
    assert events.numbers(json.dumps({"payload": json.dumps({"id": two})})) == [2]
    assert events.numbers(json.dumps({"a": {"id": one}, "b": {"id": one}})) == [1, 1]
    assert events.numbers(json.dumps({"a": {"id": one}, "b": {"id": one}}), "a.id") == [1]


def test_other_writings(events: Events) -> None:
    one = events.id_of(1)
    assert events.numbers(f"reading {one.upper()} {one}") == [1]
    assert events.numbers(json.dumps({"id": one.replace("-", "")})) == [1]
    assert events.numbers(json.dumps({"id": Events(MADE).id_of(1)})) == []
    assert events.numbers("") == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"message": {"id": "{idd}"}}, "{idd} is not known; did you mean 'id'"),
        ({"message": {"device": "{device}"}}, "no value of the message is {id}"),
        ({"devices": ["synthetic-1", "synthetic-1"]}, "two of `devices` are called 'synthetic-1'"),
        ({"exits": [{"name": "live"}]}, "exactly one of `websocket`, `sse`, `api`, `database`"),
        ({"clean_up": [{"sql": "DELETE"}]}, "name the role that may do that"),
        ({"devices": ["synthetic-2"]}, "the entrance 'b' gets no device"),
        (
            {"devices": ["synthetic-9", "synthetic-1"]},
            "names the device 'synthetic-2', which is not in `devices`",
        ),
    ],
)
def test_mistakes_in_the_section(changed: dict[str, object], said: str) -> None:
    told = MADE.model_dump(exclude_unset=True) | changed
    with pytest.raises(ValueError, match=r".+") as error:
        Pipeline.model_validate(told)
    assert said in str(error.value).replace("“", "'")
