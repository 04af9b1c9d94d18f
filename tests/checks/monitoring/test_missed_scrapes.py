"""A target that missed one scrape is waited for, until the next one; one that is down is not."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from prometheus_answers import Answers, answering

from pytest_deploygate.clients import scrapes
from pytest_deploygate.fields.prometheus import Prometheus

LABELS = {"job": "node", "instance": "a.b:9100", "zone": 'x"y\\'}
Scrapes = list[tuple[float, int]]


class Told:
    """What Prometheus tells of `up`: scrapes as (seconds from now, value). Those of the future come then."""

    def __init__(self) -> None:
        self.began = time.time()
        self.targets: list[tuple[dict[str, str], Scrapes]] = []
        self.selectors: list[str] = []

    def query(self, asked: dict[str, str]) -> object:
        now = time.time()
        seen = [
            (labels, [(self.began + at, value) for at, value in told if self.began + at <= now])
            for labels, told in self.targets
        ]
        if asked["query"] == "up == 0":
            down = [(labels, samples[-1]) for labels, samples in seen if samples[-1][1] == 0]
            result: list[object] = [
                {"metric": {"__name__": "up"} | labels, "value": [at, "0"]} for labels, (at, _) in down
            ]
            return {"resultType": "vector", "result": result}
        self.selectors.append(asked["query"])
        result = [
            {"metric": {"__name__": "up"} | labels, "values": [[at, str(value)] for at, value in samples]}
            for labels, samples in seen
        ]
        return {"resultType": "matrix", "result": result}


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def server(told: Told) -> Iterator[Prometheus]:
    with answering(Answers({"/api/v1/query": told.query})) as answers:
        yield Prometheus(url=answers.url)


def every_second(*values: int, next_one: int | None = None) -> Scrapes:
    """The scrapes until now, the last of them just now, and the next one in a second."""
    told = [(number - len(values) + 0.9, value) for number, value in enumerate(values)]
    return [(at - 1, value) for at, value in told] + ([] if next_one is None else [(0.9, next_one)])


def test_the_next_scrape_of_a_target_that_missed_one_is_waited_for(told: Told, server: Prometheus) -> None:
    told.targets = [(LABELS, every_second(1, 1, 1, 0, next_one=1)), ({"job": "other"}, every_second(1, 1))]
    assert scrapes.missed(server) == ("node a.b:9100",)
    assert time.time() >= told.began + 0.9
    assert told.selectors[0] == 'up{job=~"node", instance=~"a\\\\.b:9100"}[300000ms]'


def test_a_target_that_fails_again_is_down(told: Told, server: Prometheus) -> None:
    told.targets = [(LABELS, every_second(1, 1, 1, 0, next_one=0))]
    assert scrapes.missed(server) == ()
    assert time.time() >= told.began + 0.9


@pytest.mark.parametrize(
    "samples",
    [
        every_second(1, 1, 0, 0, next_one=1),
        every_second(0, 1, 1, 1, 0, next_one=1),
        every_second(0, next_one=1),
        [(-300, 1), (-150, 1), (-1, 0), (0.9, 1)],
    ],
    ids=["failed twice", "failed of late", "was never up", "scraped too seldom"],
)
def test_others_are_not_waited_for(told: Told, server: Prometheus, samples: Scrapes) -> None:
    told.targets = [(LABELS, samples)]
    assert scrapes.missed(server) == ()
    assert scrapes.missed(server) == ()
    assert len(told.selectors) == 2  # each time what was before, and not what comes


def test_many_that_are_down_at_once_are_not_asked_about(told: Told, server: Prometheus) -> None:
    told.targets = [({"job": f"{n}"}, every_second(1, 1, 0, next_one=1)) for n in range(21)]
    assert scrapes.missed(server) == ()
    assert not told.selectors


def test_a_target_that_is_gone_is_waited_for_no_longer_than_two_intervals(
    told: Told, server: Prometheus
) -> None:
    told.targets = [(LABELS, every_second(1, 1, 1, 0))]
    began = time.monotonic()
    assert scrapes.missed(server) == ()
    assert 2 <= time.monotonic() - began < 30


def test_what_cannot_be_asked_is_left_to_the_next_question() -> None:
    with answering(Answers({"/api/v1/query": (503, {}, "busy")})) as answers:
        assert scrapes.missed(Prometheus(url=answers.url)) == ()
