"""`discovered`: places that nobody has confirmed, how they count, and how they are taken out of the file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_deploygate.files import yaml
from pytest_deploygate.inventory import confirming, unconfirmed, weakening
from pytest_deploygate.inventory.confirming import NotConfirmedError
from pytest_deploygate.inventory.loader import InventoryError, load

_TEXT = """\
# The platform in production.
name: prod
database:
  name: platform  # told
  user: gate
  primary: db1.example.com
  replicas:
    - {name: db2, host: db2.example.com}  # pg_stat_replication
    - db3.example.com
  replication: {synchronous: true}  # synchronous_standby_names

# A remark that stays.
discovered:
  - database.replicas[db2]  # look at its size
  - database.replicas[db3.example.com]
  # this one is odd
  - database.replication

policy: {max_waivers: 3}
"""


def _file(folder: Path, text: str) -> str:
    file = folder / "prod.yml"
    file.write_text(text)
    return str(file)


def test_each_place_is_a_weakening_of_its_own_section(tmp_path: Path) -> None:
    found = weakening.weaker(load(_file(tmp_path, _TEXT), tmp_path).inventory)
    assert [one.path for one in found] == [
        ("database", "replicas"),
        ("database", "replicas"),
        ("database", "replication"),
    ]
    said = "database.replicas[db2] is as discovered; nobody has confirmed it (`deploygate confirm`)"
    assert found[0].text == said


def test_a_change_counts_only_places_that_are_added(tmp_path: Path) -> None:
    before = load(_file(tmp_path, _TEXT.replace("  - database.replication\n", "")), tmp_path).inventory
    after = load(_file(tmp_path, _TEXT), tmp_path).inventory
    assert [one.path for one in weakening.changes(before, after, "main")] == [("database", "replication")]
    assert weakening.changes(after, before, "main") == []


@pytest.mark.parametrize(
    ("place", "says"),
    [
        (
            "database.replicas[db4]",
            "the inventory has no place database.replicas[db4]; did you mean 'database.replicas[db2]'?",
        ),
        ("database.replicaton", "did you mean 'database.replication'?"),
        ("endpoints", "the inventory has no place endpoints"),
    ],
)
def test_a_place_that_does_not_exist_is_a_mistake(tmp_path: Path, place: str, says: str) -> None:
    text = _TEXT.replace("  - database.replication\n", f"  - {place}\n")
    with pytest.raises(InventoryError) as caught:
        load(_file(tmp_path, text), tmp_path)
    [problem] = caught.value.problems
    assert problem.line == 17
    assert says in problem.text


def test_a_place_that_is_named_twice_is_a_mistake(tmp_path: Path) -> None:
    text = _TEXT.replace("  - database.replication\n", "  - database.replicas[db2]\n")
    with pytest.raises(InventoryError, match=r"database\.replicas\[db2\] is named twice; remove one"):
        load(_file(tmp_path, text), tmp_path)


def test_one_line_goes_and_all_else_stays() -> None:
    assert confirming.without(_TEXT, ["database.replicas[db2]"]) == _TEXT.replace(
        "  - database.replicas[db2]  # look at its size\n", ""
    )


def test_the_key_goes_with_the_last_place() -> None:
    places = ["database.replicas[db2]", "database.replicas[db3.example.com]", "database.replication"]
    start, end = _TEXT.index("discovered:"), _TEXT.index("\npolicy:")
    assert confirming.without(_TEXT, places) == _TEXT[:start] + _TEXT[end:]


@pytest.mark.parametrize("list_", ["[policy, name]", "[ policy , name ]  # both", "[policy,\n  name]"])
def test_a_list_in_brackets_is_shortened(list_: str) -> None:
    text = f"name: ä\ndiscovered: {list_}\npolicy: {{max_waivers: 3}}\n"
    left = confirming.without(text, ["name"])
    assert yaml.load(left)["discovered"] == ["policy"]
    assert left.startswith("name: ä\ndiscovered: [policy]")
    assert "discovered" not in confirming.without(text, ["name", "policy"])


def test_line_ends_of_windows_stay() -> None:
    text = _TEXT.replace("\n", "\r\n")
    assert confirming.without(text, ["database.replication"]) == text.replace(
        "  - database.replication\r\n", ""
    )


def test_what_is_around_a_place_stands_for_it() -> None:
    waiting = ["database.replicas[db2]", "database.replication.slots", "dns.zone"]
    assert confirming.chosen(waiting, ["database"]) == waiting[:2]
    with pytest.raises(NotConfirmedError, match=r"did you mean 'dns\.zone'"):
        confirming.chosen(waiting, ["dns.zones"])
    with pytest.raises(NotConfirmedError, match="databas is not among the places"):
        confirming.chosen(waiting, ["databas"])


_KEYS = st.text("ab.[]x", min_size=1, max_size=4).filter(lambda key: not set(key) & set(".[]"))
_VALUES = st.recursive(
    st.integers(0, 9),
    lambda inner: st.dictionaries(_KEYS, inner, max_size=3) | st.lists(inner, max_size=3),
    max_leaves=8,
)


@example({"a": [0, 2, {"a": 0}]})
@given(st.dictionaries(_KEYS, _VALUES, min_size=1, max_size=3))
def test_every_place_leads_to_its_value(document: dict[str, object]) -> None:
    for place in unconfirmed.places(document):
        unconfirmed.value(document, place)  # raises KeyError for a place that is none
        assert unconfirmed.keys_of(place)[0] in document


def test_keys_of_a_place_leave_out_entries_with_points() -> None:
    assert unconfirmed.keys_of("database.replicas[db2.example.com].port") == ("database", "replicas", "port")
    assert unconfirmed.keys_of("monitoring.alertmanagers[http://[::1]:9093]") == (
        "monitoring",
        "alertmanagers",
    )
