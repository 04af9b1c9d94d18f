"""Which tests run in which shard."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_deploygate.session.division import Divisible, digest, divide

_NAMES = st.builds(
    "{}::test_{}{}".format,
    st.sampled_from(["a.py", "b.py", "c.py"]),
    st.integers(0, 20),
    st.sampled_from(["", "[x]", "[y]", "[z]"]),
)
_TESTS = st.lists(
    st.builds(Divisible, _NAMES, st.booleans(), st.booleans()), unique_by=lambda one: one.test, max_size=60
)


@given(_TESTS, st.integers(2, 9), st.randoms())
def test_each_test_is_in_one_shard_whatever_their_order(tests, of, random):
    found = divide(tests, of, {})
    assert set(found) == {one.test for one in tests}
    assert set(found.values()) <= set(range(1, of + 1))
    shuffled = random.sample(tests, len(tests))
    assert divide(shuffled, of, {}) == found
    assert digest(divide(shuffled, of, {})) == digest(found)


@given(_TESTS, st.integers(2, 9))
def test_what_disturbs_or_must_not_be_disturbed_is_in_one_shard(tests, of):
    found = divide(tests, of, {})
    assert len({found[one.test] for one in tests if one.alone}) <= 1


@given(_TESTS, st.integers(2, 9))
def test_tests_without_a_target_share_what_their_file_has_measured(tests, of):
    found = divide(tests, of, {})
    for file in "abc":
        of_file = [
            one for one in tests if one.test.startswith(file) and "[" not in one.test and not one.reads
        ]
        assert len({found[one.test] for one in of_file}) <= 1


def test_targets_are_divided_evenly():
    tests = [Divisible(f"a.py::test_table[t{number}]") for number in range(400)]
    found = list(divide(tests, 4, {}).values())
    assert [found.count(index) for index in range(1, 5)] == [100] * 4


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=40), st.integers(2, 6))
def test_recorded_durations_balance(lasting, of):
    """No shard lasts longer than an even division and the rest of one test (Graham 1966)."""
    seconds = {f"a.py::test[{number}]": float(one) for number, one in enumerate(lasting)}
    found = divide(map(Divisible, seconds), of, seconds)
    longest = max(sum(seconds[test] for test, index in found.items() if index == i) for i in range(1, of + 1))
    assert longest <= sum(lasting) / of + max(lasting) * (1 - 1 / of) + 1e-6


def test_a_test_that_was_not_recorded_is_taken_to_last_as_most_do():
    seconds = {"a.py::test[1]": 9.0, "a.py::test[2]": 10.0, "a.py::test[3]": 11.0}
    tests = [*map(Divisible, seconds), Divisible("a.py::test[new]")]
    found = list(divide(tests, 2, seconds).values())
    assert found.count(1) == found.count(2) == 2


def test_what_people_attested_takes_no_shard_from_measuring():
    tests = [Divisible(f"a.py::test[{n}]") for n in range(2)]
    tests += [Divisible(f"checklist.md::item{n}", reads=True) for n in range(50)]
    found = divide(tests, 2, {})
    assert {found["a.py::test[0]"], found["a.py::test[1]"]} == {1, 2}
