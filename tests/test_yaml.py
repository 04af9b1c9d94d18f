"""YAML: the core schema of YAML 1.2, keys with their lines, and what is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from yaml.error import MarkedYAMLError

from pytest_deploygate.files import yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((word, word) for word in ("no", "on", "Yes", "y", "1:30", "0b", "0o8", "1.2.3", "+", "=", "1e")),
        *((word, word == "True") for word in ("True", "False")),
        *((word, None) for word in ("~", "null", "Null", "")),
        ("010", 10),
        ("-0o17", -15),
        ("0x1F", 31),
        ("1_000", 1000),
        ("1.", 1.0),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("-.inf", float("-inf")),
        ("2026-12-01", date(2026, 12, 1)),
        ("2026-12-24T00:00:00Z", datetime(2026, 12, 24, tzinfo=UTC)),
        ("'1'", "1"),
        ("!!str 1", "1"),
    ],
)
def test_words_and_numbers_mean_what_yaml_1_2_says(text, value):
    assert yaml.load(f"a: {text}\n") == {"a": value}


def test_keys_and_entries_know_their_lines():
    read = yaml.load("# first\na: &shared\n  b: 1\n\nc:\n  <<: *shared\n  d:\n  - x\n  -\n    - y\n")
    assert read == {"a": {"b": 1}, "c": {"b": 1, "d": ["x", ["y"]]}}
    assert (read.line, read.lines) == (2, {"a": 2, "c": 5})
    assert read["c"].lines == {"d": 7}, "a merged key is not the mapping's own"
    assert (read["c"]["d"].lines, read["c"]["d"][1].lines) == ((8, 10), (10,))


def test_an_anchor_may_be_given_again():
    assert yaml.load("a: &x 1\nb: *x\nc: &x 2\nd: *x\n") == {"a": 1, "b": 1, "c": 2, "d": 2}


def test_own_keys_count_more_than_merged_ones():
    assert yaml.load("- &a {x: 1}\n- {x: 2, <<: *a}\n- {<<: [*a, {x: 3, y: 4}]}\n")[1:] == [
        {"x": 2},
        {"x": 1, "y": 4},
    ]


@pytest.mark.parametrize(
    ("text", "kind", "line", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", yaml.DuplicateKeyError, 3, "a"),
        ("a: 1\n1: 2\n1: 3\n", yaml.DuplicateKeyError, 3, "1"),
        ("a: &x\n  b: *x\n", yaml.TooMuchError, 2, "the alias 'x' stands for something that contains it"),
        ("a:\n  - !vault b\n", MarkedYAMLError, 2, "could not determine a constructor for the tag '!vault'"),
        ("a: 1\n---\nb: 2\n", MarkedYAMLError, 2, "but found another document"),
        ("a: !!int b\n", MarkedYAMLError, 1, "not a whole number"),
        ("? [a]\n: b\n", MarkedYAMLError, 1, "found unhashable key"),
        ("a: *x\n", MarkedYAMLError, 1, "found undefined alias 'x'"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(text, kind, line, said):
    with pytest.raises(kind) as found:
        yaml.load(text)
    assert (found.value.problem_mark.line + 1, found.value.problem) == (line, said)


def test_what_is_written_is_read_back():
    record = {
        "a": "no",
        "b": ["1", "2026-12-01", {"c": "x: y", "d": "two\nlines"}],
        "e": "é" * 120,
        "f": True,
    }
    written = yaml.dumped(record)
    assert yaml.load(written) == record
    assert list(yaml.load(written)) == list(record)
    assert "\nb:\n  - '1'\n" in written
