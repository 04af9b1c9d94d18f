"""What was found is rendered as an inventory that says where; facts of several sources do not hide each other."""

from __future__ import annotations

import string
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pytest_deploygate.discovery import found as founds
from pytest_deploygate.discovery import writer
from pytest_deploygate.discovery.found import Fact, Found
from pytest_deploygate.files import yaml
from pytest_deploygate.inventory.loader import load

_FACTS = (
    Fact(("endpoints",), {"name": "app", "host": "app.example.com"}, "DNS", entry=True),
    Fact(("database", "replicas"), {"host": "db2.example.com"}, "pg_stat_replication", entry=True),
    Fact(("database", "name"), "platform", "the DSN", given=True),
    Fact(("database", "user"), "on", "the DSN", given=True),
    Fact(("database", "primary"), {"host": "db1.example.com"}, "the DSN\n# not a line", given=True),
    Fact(("database", "replication", "synchronous"), True, "synchronous_standby_names"),
)


def test_the_text_is_an_inventory(tmp_path: Path) -> None:
    text = writer.text("prod", Found(_FACTS), "Written for a test.")
    assert text == (
        "# Written for a test.\n"
        "name: prod\n"
        "\n"
        "database:\n"
        "  name: platform  # the DSN\n"
        "  user: 'on'  # the DSN\n"
        "  primary: {host: db1.example.com}  # the DSN # not a line\n"
        "  replicas:\n"
        "    - {host: db2.example.com}  # pg_stat_replication\n"
        "  replication:\n"
        "    synchronous: true  # synchronous_standby_names\n"
        "\n"
        "endpoints:\n"
        "  - {name: app, host: app.example.com}  # DNS\n"
        "\n"
        "# What was seen is not yet what should be. Each place counts like a weakened limit until somebody has looked\n"
        "# at it and taken it out: `deploygate confirm`.\n"
        "discovered:\n"
        "  - endpoints[app]\n"
        "  - database.replicas[db2.example.com]\n"
        "  - database.replication.synchronous\n"
    )
    (tmp_path / "prod.yml").write_text(text)
    assert load(str(tmp_path / "prod.yml"), tmp_path).inventory.discovered == writer.unconfirmed_of(_FACTS)


def test_the_first_source_wins_and_the_other_is_said() -> None:
    one = Found((Fact(("dns", "zone"), "example.com", "SOA"),))
    two = Found(
        (Fact(("dns", "zone"), "example.net", "state.json"), Fact(("dns", "zone"), "example.com", "again"))
    )
    both = founds.together([one, two])
    assert [fact.value for fact in both.facts] == ["example.com"]
    assert both.remarks == (
        "dns.zone: SOA and state.json say different things; the first is written, look at it",
    )


def test_a_part_does_not_hide_the_whole() -> None:
    both = founds.together(
        [
            Found(
                (
                    Fact(("caching",), {"buffers": {}}, "a"),
                    Fact(("caching", "redis"), {"name": "r"}, "b", entry=True),
                )
            )
        ]
    )
    assert [fact.name for fact in both.facts] == ["caching"]
    assert "caching[" not in both.remarks[0]
    assert both.remarks[0].startswith("caching.redis[r]: seen b")


def test_a_database_is_of_one_source() -> None:
    one, two = (Found((Fact(("database", "name"), name, "x"),)) for name in "ab")
    other = Found((Fact(("database", "replicas"), {"host": "c"}, "state", entry=True),))
    assert [fact.value for fact in founds.together([one, two, other]).facts] == ["a"]


_TEXTS = st.text(string.printable + "ä\u2028\u0085#: -", max_size=20)


@given(_TEXTS, _TEXTS)
def test_any_text_stays_one_value_on_one_line(value: str, seen: str) -> None:
    text = writer.text("x", Found((Fact(("description",), value, seen),)), "w")
    [line] = [line for line in text.split("\n") if line.startswith("description")]
    assert yaml.load(line)["description"] == value
