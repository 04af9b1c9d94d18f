"""Templates: what is missing or left is named with its file and line, and what values say stays text."""

from __future__ import annotations

from pathlib import Path

import pytest
from notices_sent import notices

from pytest_deploygate.notices import blocks, placeholders, preparing, templates
from pytest_deploygate.notices.recipients import Recipient
from pytest_deploygate.notices.templates import UnrenderableError
from pytest_deploygate.notices.values import Said

GIVEN = {
    "summary": "All is well.",
    "impact": "Nothing.",
    "next_update": "at 6 PM",
    "retry": "2026-12-08T20:00Z",
    "runbook": "https://wiki.example.com/runbook",
    "monitoring": "https://grafana.example.com/",
    "on_call": "operations",
}


def shown(section, name: str, *, language: str = "en", zone: str = "UTC", given=GIVEN, called: str = ""):
    """A notice as somebody gets it."""
    someone = Recipient("mail", "someone@example.com", "customers", called, language, zone)
    template = templates.load(section.templates, language, name)
    return preparing.rendered_for(Said(section, "CHG-1", given), template, "customers", someone)


def own(folder: Path, text: str, name: str = "note", html: str | None = None):
    """A section with a template of its own."""
    (folder / "en").mkdir(exist_ok=True)
    (folder / "en" / f"{name}.txt").write_text(text)
    if html is not None:
        (folder / "en" / f"{name}.html").write_text(html)
    return notices(templates=folder)


def problems(section, name: str = "note", **more) -> list[str]:
    with pytest.raises(UnrenderableError) as found:
        shown(section, name, **more)
    return [f"{Path(problem.file).name}:{problem.line}: {problem.text}" for problem in found.value.problems]


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("name", templates.SHIPPED)
def test_shipped_notices_are_whole(name: str, language: str) -> None:
    found = shown(notices(), name, language=language, called="Ann")
    assert "Ann" in found.text
    assert found.text.count("\n\n\n") == 0
    assert list(placeholders.found(found.text)) == []
    words = {word.strip(".,:") for word in found.text.split()} - {"-"}
    assert {word for word in words if word not in found.html} == set()


def test_each_language_has_all_notices() -> None:
    assert templates.languages(None) == ["de", "en"]
    assert templates.names(None, "de") == templates.names(None, "en") == sorted(templates.SHIPPED)


@pytest.mark.parametrize(
    ("language", "zone", "wanted"),
    [
        ("en", "America/New_York", "12:00\u00a0PM to 2:00\u00a0PM (Eastern Standard Time, UTC-5)"),
        ("de", "Europe/Berlin", "18:00 bis 20:00 (Mitteleuropäische Normalzeit, UTC+1)"),
        ("en", "Asia/Kolkata", "(India Standard Time, UTC+5:30)"),
        ("en", "UTC", "5:00\u00a0PM to 7:00\u00a0PM (UTC)"),
        ("en", "Pacific/Auckland", "Wednesday, December 2, 2026"),
    ],
)
def test_times_are_those_of_the_recipient(language: str, zone: str, wanted: str) -> None:
    assert wanted in shown(notices(), "pre-deployment", language=language, zone=zone).text


def test_window_over_midnight_names_the_second_day() -> None:
    assert "8:00\u00a0PM" not in shown(notices(), "pre-deployment", zone="Asia/Tokyo").text
    section = notices(
        window={"start": "2026-12-01T23:00:00Z", "end": "2026-12-02T01:00:00Z", "interruption": "0s"}
    )
    text = shown(section, "pre-deployment").text
    assert "11:00\u00a0PM to Wednesday, December 2, 2026, 1:00\u00a0AM" in text
    assert "none expected" in text


def test_missing_values_are_all_named_with_their_lines() -> None:
    section = notices(product=None, look=None)
    found = problems(section, "incident", given={"summary": "x", "impact": "x"})
    assert found == [
        "incident.txt:1: there is no value 'product': add `notices.product`",
        "incident.txt:9: there is no value 'next_update': add `--set next_update=…`, such as `at 21:30`",
        "incident.txt:14: there is no value 'look': add `notices.look`",
    ]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"action": " "}, "note.txt:3: the value 'action' is empty: fill in `notices.action`"),
        ({"changes": []}, "note.txt:5: the value 'changes' is empty: fill in `notices.changes`"),
        ({"changes": ["one", ""]}, "note.txt:5: the value 'changes' is empty"),
        ({"values": {"tip": ""}}, "note.txt:4: the value 'tip' is empty: fill in `notices.values.tip`"),
    ],
)
def test_empty_value_leaves_no_hole(tmp_path, changed: dict, said: str) -> None:
    text = (
        "Subject: News\n\nDo {{ action }}\n{{ tip }}\n{% for one in changes %}\n- {{ one }}\n{% endfor %}\n"
    )
    values = {"values": {"tip": "look"}} | changed
    own(tmp_path, text)
    (found,) = problems(notices(templates=tmp_path, **values))
    assert found.startswith(said)


@pytest.mark.parametrize(
    "text",
    [
        "{% if tip %}{{ tip }}{% else %}nothing{% endif %}",
        "{{ tip or 'nothing' }}",
        "{{ tip | default('nothing', true) }}",
        "{{ tip if tip else 'nothing' }}",
    ],
)
def test_empty_value_that_the_template_asks_about(tmp_path, text: str) -> None:
    own(tmp_path, f"Subject: News\n\nHello, {text}\n")
    section = notices(templates=tmp_path, values={"tip": ""})
    assert shown(section, "note").text == "Hello, nothing\n"


def test_recipient_without_a_name_is_not_addressed_by_it(tmp_path) -> None:
    own(tmp_path, "Subject: News\n\nDear {{ name }},\n")
    (said,) = problems(notices(templates=tmp_path))
    assert said.startswith(
        "note.txt:3: the value 'name' is empty: fill in `name` of the person or the contact"
    )
    assert shown(notices(templates=tmp_path), "note", called="Ann").text == "Dear Ann,\n"


def test_is_defined_says_nothing_about_what_is_in_it(tmp_path) -> None:
    own(tmp_path, "Subject: News\n\n{% if tip is defined %}Hello, {{ tip }}{% endif %}\n")
    (said,) = problems(notices(templates=tmp_path, values={"tip": ""}))
    assert said.startswith("note.txt:3: the value 'tip' is empty")


def test_clocks_that_change_are_told() -> None:
    night = {"start": "2026-10-24T23:00:00Z", "end": "2026-10-25T04:00:00Z", "interruption": "15m"}
    section = notices(window=night)
    text = shown(section, "pre-deployment", language="de", zone="Europe/Berlin").text
    assert (
        "01:00 bis 05:00 (Mitteleuropäische Sommerzeit, UTC+2 → Mitteleuropäische Normalzeit, UTC+1)" in text
    )
    given = GIVEN | {"retry": "2027-04-10T09:00Z"}
    text = shown(section, "rollback", language="en", zone="Europe/Berlin", given=given).text
    assert "Saturday, April 10, 2027, 11:00\u00a0AM (Central European Summer Time, UTC+2)" in text


def test_misspelt_value_has_the_nearest(tmp_path) -> None:
    (found,) = problems(own(tmp_path, "Subject: News\n\nHello,\n{{ prodcut }}\n"))
    assert found.startswith("note.txt:4: there is no value 'prodcut'; did you mean 'product'?")


@pytest.mark.parametrize(
    "left",
    [
        *("[DATE]", "[YOUR NAME]", "[Your name]", "[date]", "TODO", "TBD", "XXX", "<name>", "{{", "____"),
        *("${DATE}", "{date}", "%DATE%", "HH:MM", "DD.MM.YYYY", "21:XX", "??:??", "Lorem ipsum"),
    ],
)
def test_placeholder_in_the_template(tmp_path, left: str) -> None:
    said = problems(own(tmp_path, f"Subject: News\n\nHello,\nwe start on {left}\n"))
    assert said[0].startswith("note.txt:4: "), said


@pytest.mark.parametrize("left", ["[DATE]", "TBD", "<name>", "{{ date }}"])
def test_placeholder_in_a_value_names_the_value(tmp_path, left: str) -> None:
    section = own(tmp_path, "Subject: News\n\nHello of {{ product }},\n\nwhat is new:\n{{ action }}\n")
    (said,) = problems(section.model_copy(update={"action": f"wait for {left}"}))
    assert said.startswith("note.txt:6: the placeholder ")
    assert said.endswith("it stands in the value 'action'")


@pytest.mark.parametrize(
    "good",
    [
        *(
            "[a]",
            "see [1]",
            "List<int> is 3 < 4",
            "ask ann@example.com",
            "XX",
            "a... b",
            "[Plant portal] news",
        ),
        *("5% of HTTP", "what?", "100%", "see {1}", "at 21:30", "2026-12-01", "[starting]"),
    ],
)
def test_what_looks_similar_is_no_placeholder(good: str) -> None:
    assert list(placeholders.found(good.replace("<int>", ""))) == []


def test_values_are_escaped_in_html_and_not_run(tmp_path) -> None:
    section = own(tmp_path, "Subject: News\n\nHello, {{ action }}\n")
    found = shown(section.model_copy(update={"action": 'a & b < c, "quoted" {# no comment #}'}), "note")
    assert 'a & b < c, "quoted" {# no comment #}' in found.text
    assert "a &amp; b &lt; c, &#34;quoted&#34; {# no comment #}" in found.html


def test_own_html_is_escaped_and_looked_at(tmp_path) -> None:
    section = own(tmp_path, "Subject: News\n\nHello\n", html="<p>{{ action }}</p>\n<p>[TIME]</p>")
    assert problems(section) == [
        "note.html:2: the placeholder [TIME] is left in the template: write the value itself, or a `{{ name }}`"
    ]
    section = own(tmp_path, "Subject: News\n\nHello\n", html="<p>{{ action }}</p>")
    assert shown(section.model_copy(update={"action": "<1>x"}), "note").html == "<p>&lt;1&gt;x</p>"
    (said,) = problems(section.model_copy(update={"action": "ask <name>"}))
    assert said.endswith("it stands in the value 'action'")


@pytest.mark.parametrize(
    "attack",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ product.__class__.__init__.__globals__ }}",
        "{{ cycler.__init__.__globals__.os.system('id') }}",
        "{% for x in range(999999999) %}{{ x }}{% endfor %}",
    ],
)
def test_template_cannot_reach_out(tmp_path, attack: str) -> None:
    said = problems(own(tmp_path, f"Subject: News\n\n{attack}\n"))
    assert said[0].startswith("note.txt:3: "), said


def test_syntax_error_has_its_line(tmp_path) -> None:
    said = problems(own(tmp_path, "Subject: News\n\nHello\n{% if product %}\nx\n"))
    assert said[0].startswith("note.txt:5: is no template: Unexpected end of template"), said


def test_subject_is_required(tmp_path) -> None:
    assert problems(own(tmp_path, "Hello\n\nyou\n"))[0].startswith(
        "note.txt:1: the first line must be `Subject: …`"
    )


def test_unknown_notice_and_language() -> None:
    with pytest.raises(
        UnrenderableError, match="there is no template 'sucess' in 'en'; did you mean 'success'"
    ):
        templates.load(None, "en", "sucess")
    with pytest.raises(UnrenderableError, match="there are no templates in 'fr'; valid here: de, en"):
        templates.load(None, "fr", "success")


def test_value_that_is_not_in_the_language() -> None:
    section = notices(product={"en": "Portal"})
    with pytest.raises(UnrenderableError, match=r"notices\.product: has no text in 'de', only in en"):
        shown(section, "success", language="de")


def test_blocks_have_links_lists_and_facts() -> None:
    found = blocks.of(
        "Hello\n\nWhen:  now\nWhere:  https://a.example/b.\n\nList:\n- one\n  more\n- two a@b.example\n"
    )
    assert [block.kind for block in found] == ["paragraph", "facts", "paragraph", "list"]
    assert found[1].rows[1][1][0].url == "https://a.example/b"
    assert [len(block.rows) for block in found] == [1, 2, 1, 2]
    assert found[3].rows[1][1][1].url == "mailto:a@b.example"
