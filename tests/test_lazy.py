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


def test_a_frozen_instance_and_those_of_its_heirs_stay_as_they_are():
    base, heir = made()

    class Plain(base):
        """Has an attribute that is no field."""

    for instance in (base(1), heir(1), Plain(1)):
        with pytest.raises(FrozenInstanceError, match="cannot assign to field 'x'"):
            instance.x = 2
        with pytest.raises(FrozenInstanceError, match="cannot delete field 'x'"):
            del instance.x
    plain = Plain(1)
    plain.other = 2
    del plain.other
    assert not hasattr(plain, "other")
    with pytest.raises(TypeError, match="cannot inherit non-frozen dataclass from a frozen one"):

        @dataclasses.dataclass
        class Thawed(base):
            pass


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


def test_many_instances_are_as_the_first_ones():
    _, heir = made()
    found = [heir(n, z=str(n)) for n in range(100)]
    assert [one.x for one in found] == list(range(100))
    assert found[3] == heir(3, [], "3")
    assert found[99] == heir(x=99, z="99")
    assert vars(found[3]).keys() == vars(found[99]).keys()


def test_dictionaries_of_instances_share_their_keys():
    """Thousands of items and findings take half of the memory then."""

    @dataclass(frozen=True)
    class Wide:
        a: int
        b: int
        c: int
        d: int
        e: int
        f: int
        g: str = ""

    found = [Wide(1, 2, 3, 4, e=5, f=n) for n in range(100)]
    alone = sys.getsizeof(dict(vars(found[0])))
    assert all(sys.getsizeof(vars(one)) < alone for one in found)


@pytest.mark.parametrize("before", [0, 50])
@pytest.mark.parametrize(
    ("args", "named", "said"),
    [
        ((), {}, "missing 1 required positional argument: 'x'"),
        ((1, [], "z", 4), {}, "takes from 2 to 4 positional arguments but 5 were given"),
        ((1,), {"x": 1}, "got multiple values for argument 'x'"),
        ((1,), {"w": 1}, "got an unexpected keyword argument 'w'"),
        ((), {"y": [], "z": "", "w": 1}, "got an unexpected keyword argument 'w'"),
    ],
)
def test_wrong_arguments_are_named_as_by_dataclasses(before, args, named, said):
    _, heir = made()
    for n in range(before):
        heir(n)
    with pytest.raises(TypeError, match=said):
        heir(*args, **named)


def test_what_a_class_says_itself_stays():
    @dataclass(frozen=True)
    class Said:
        """It compares and shows itself."""

        x: int
        y: int = field(default=0, compare=False, repr=False)

        def __repr__(self) -> str:
            return "said"

        def __hash__(self) -> int:
            return 7

    assert (repr(Said(1)), hash(Said(1))) == ("said", 7)
    assert Said(1, 2) == Said(1, 3) != Said(2, 2)


def test_what_refers_to_itself_can_be_shown_and_what_can_change_has_no_hash():
    @dataclass()
    class Node:
        """It may refer to itself."""

        next: object = None
        secret: str = field(default="", repr=False)

    node = Node()
    node.next = node
    assert repr(node).endswith("Node(next=...)")
    with pytest.raises(TypeError, match="unhashable"):
        hash(node)
