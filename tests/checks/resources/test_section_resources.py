"""Mistakes in the section `resources`: a sentence each."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from pytest_deploygate.checks.resources.kinds import KINDS
from pytest_deploygate.checks.resources.section import Resources


def read(watched: dict[str, object], **more) -> Resources:
    return Resources.model_validate({"watched": [{"name": "it"} | watched], **more})


@pytest.mark.parametrize(
    ("watched", "more", "said"),
    [
        ({}, {}, "exactly one of `kind`, `used` and `free`"),
        ({"kind": "disk", "used": "x"}, {}, "exactly one of"),
        ({"kind": "sockets"}, {}, "the kind sockets has no limit that is known"),
        ({"used": "queue_length"}, {}, "a series of your own has no limit"),
        ({"used": "avg_over_time(x[5m])", "limit": 1}, {}, "a function would hide gaps"),
        ({"used": "x", "limit": "sum(y)"}, {}, "not a plain selector"),
        ({"used": "x", "limit": 0}, {}, "more than 0"),
        ({"used": "x", "limit": True}, {}, "neither a number nor"),
        ({"used": "x", "limit": 1, "labels": 'a="b"'}, {}, "`labels` belong to a `kind`"),
        ({"kind": "disk", "labels": "instance=db1"}, {}, "no matchers"),
        ({"kind": "disk", "labels": 'a="b"} or vector(0) #'}, {}, "no matchers"),
        ({"kind": "disk", "cycle": "1d"}, {}, "two cycles of it"),
        ({"kind": "disk"}, {"window": "5m"}, "20 times `every`"),
        ({"kind": "disk"}, {"every": "0s"}, "longer than 0"),
        ({"kind": "discs"}, {}, "disk"),
    ],
)
def test_a_mistake_is_said(watched: dict[str, object], more: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        read(watched, **more)


def test_two_of_a_name_are_refused() -> None:
    with pytest.raises(ValidationError, match="two resources are called a"):
        Resources.model_validate(
            {"watched": [{"name": "a", "kind": "disk"}, {"name": "a", "kind": "memory"}]}
        )


def test_every_kind_says_what_is_used_and_how_it_is_helped() -> None:
    for name, kind in KINDS.items():
        assert bool(kind.used) != bool(kind.free), name
        assert kind.next_step, name
