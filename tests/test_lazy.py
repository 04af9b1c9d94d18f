"""Dataclasses that are made late behave like those that are made at once."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import sys
import threading
from dataclasses import FrozenInstanceError, field, fields, replace

import pytest

from pytest_deploygate.lazy import dataclass


def made():
    """Return two classes without instances, the second of which extends the first."""

    @dataclass(frozen=True)
    class Base:
        """What a test makes."""

        x: int
        y: list[int] = field(default_factory=list)

        def __post_init__(self) -> None:
            if self.x < 0:
                raise ValueError("x")

    @dataclass(frozen=True)
    class Heir(Base):
        """One more field."""

        z: str = "z"

    return Base, Heir


def test_nothing_is_made_before_the_first_instance():
    base, heir = made()
    assert "__eq__" not in vars(base) | vars(heir)
    assert heir(1, z="a") == heir(1, [], "a") != heir(1)
    assert base(1) == base(1) != heir(1)
    assert repr(heir(1)) == f"{heir.__qualname__}(x=1, y=[], z='z')"
    assert hash(base(1, ())) == hash(base(1, ()))


def test_a_class_without_a_docstring_is_made_once():
    @dataclass(frozen=True)
    class Bare:
        x: int = 1
        y: list[int] = field(default_factory=list)

    assert Bare() == Bare(1, [])
    assert Bare().y is not Bare().y


def test_a_class_of_a_module_that_was_taken_out_of_sys_modules_can_be_made(tmp_path, monkeypatch):
    (tmp_path / "gone_by_then.py").write_text(
        "from __future__ import annotations\n"
        "from pytest_deploygate.lazy import dataclass\n"
        "@dataclass(frozen=True)\nclass Late:\n    x: int = 1\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    late = importlib.import_module("gone_by_then").Late
    del sys.modules["gone_by_then"]
    assert late() == late(1)
    assert "gone_by_then" not in sys.modules


def test_what_is_asked_of_the_class_makes_it():
    base, heir = made()
    assert [one.name for one in fields(heir)] == ["x", "y", "z"]
    assert dataclasses.is_dataclass(base)
    assert replace(heir(1), x=2) == heir(2)
    assert copy.deepcopy(heir(1, [2])) == heir(1, [2])


def test_mistakes_are_those_of_dataclasses():
    base, heir = made()
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'x'"):
        heir()
    with pytest.raises(ValueError, match="x"):
        heir(-1)
    for name in ("x", "other"):
        with pytest.raises(FrozenInstanceError):
            setattr(base(1), name, 2)


def test_what_is_not_frozen_can_be_changed():
    @dataclass(eq=False)
    class Count:
        """A number."""

        n: int = 0

    count = Count()
    count.n += 1
    assert (count.n, count == Count(1)) == (1, False)


def test_threads_that_make_the_first_instance_together_get_whole_ones():
    for _ in range(50):
        base, heir = made()
        start, got = threading.Barrier(4), []

        def make(kind, start=start, got=got):
            start.wait()
            got.append(kind(1))

        threads = [threading.Thread(target=make, args=(kind,)) for kind in (base, heir, heir, base)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(map(repr, got)) == sorted(map(repr, [base(1), base(1), heir(1), heir(1)]))
