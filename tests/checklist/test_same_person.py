"""Names of people compared as people read them: two writings of one name are one person, and look-alikes are named."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_deploygate.checklist.same_person import look_alike, same_person
from pytest_deploygate.visible import letters, says, visible

INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f\u115f\u3164\uffa0\u2800\u180e\ufe0f\u202e\u2066\U000e0041\U000e0100"


@pytest.mark.parametrize(
    "other",
    [
        "operations manager",
        "OPERATIONS  MANAGER",
        "Operations-Manager",
        "operations_manager.",
        "«Operations», manager!",
        "Operations\u00a0manager",
        "\uff2f\uff50\uff45\uff52\uff41\uff54\uff49\uff4f\uff4e\uff53 manager",
        "\U0001d40epera\U0001d42dions manager",
        "O\ufb01"[:1] + "perations manager",
        *(f"Oper{c}ations manager{c}" for c in INVISIBLE),
    ],
)
def test_one_name_written_twice_is_one_person(other):
    assert same_person("Operations manager", other)
    assert not look_alike("Operations manager", other)


@pytest.mark.parametrize(
    ("one", "other", "named"),
    [
        ("Operations manager", "Оperations manager", "'О' is CYRILLIC CAPITAL LETTER O"),
        ("Operations manager", "Operatiοns manager", "'ο' is GREEK SMALL LETTER OMICRON"),
        ("Alpha lead", "Αlpha lead", "'Α' is GREEK CAPITAL LETTER ALPHA"),
        ("ops", "оρѕ", "'ѕ' is CYRILLIC SMALL LETTER DZE"),
        ("Alice", "AIice", "'I' is LATIN CAPITAL LETTER I"),
        ("Ivan", "lvan", "'l' is LATIN SMALL LETTER L"),
        ("Bob 1", "Bob l", "'1' is DIGIT ONE"),
        ("0scar", "Oscar", "'0' is DIGIT ZERO"),
        ("Team manager", "Tearn manager", "'rn' and 'm'"),
        ("o-ps", "о\u200bps", "'о' is CYRILLIC SMALL LETTER O"),
    ],
)
def test_names_that_look_alike_are_named(one, other, named):
    assert not same_person(one, other)
    for pair in ((one, other), (other, one)):
        assert named in look_alike(*pair)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Deployment lead", "Technical lead"),
        ("Müller", "Möller"),
        ("Lead 2", "Lead 3"),
        ("Ольга", "Олег"),
        ("Operations manager", "Оперативный руководитель"),
        ("山田", "山本"),
        ("a", "b"),
    ],
)
def test_two_names_are_two_people(one, other):
    assert not same_person(one, other)
    assert not look_alike(one, other)


def test_plain_names_need_no_tables():
    """The tables of look-alikes take a third of a second to read."""
    said = (
        "import sys; from pytest_deploygate.checklist.same_person import look_alike as l; l('one lead', 'other lead'); "
        "sys.exit('confusable_homoglyphs' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", said], check=False).returncode == 0


@pytest.mark.parametrize(
    "text", ["", "   ", INVISIBLE, "…………………………………………", "\u0301\u0301\u0301", "- - - - - - - - - -"]
)
def test_nothing_to_read_says_nothing(text):
    assert not says(text)
    assert letters(text) == ""


@pytest.mark.parametrize("text", ["a reason", "理由があります", "причина", "5 %", "é", "नमस्ते"])
def test_what_can_be_read_says_something(text):
    assert says(text)
    assert visible(f"\u200b{text}\ufeff") == text
