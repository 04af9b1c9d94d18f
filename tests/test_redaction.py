"""Secrets: hidden by their type, and masked in every form in which they appear in a text."""

from __future__ import annotations

import base64
import copy
import json
import pickle
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_deploygate import redaction
from pytest_deploygate.redaction import Secret, may_hold, redact, redact_values

CANARY = "c4n\"a'r\\y é/+&<x>"


@pytest.fixture(autouse=True)
def forget(monkeypatch):
    """Forget the secrets of earlier tests."""
    monkeypatch.setattr(redaction, "_known", ())
    monkeypatch.setattr(redaction, "_weak", {})
    monkeypatch.setattr(redaction, "_sources", {})


def test_only_reveal_shows_it():
    """repr, str, format, an f-string and a container show where a secret comes from, never the secret."""
    secret = Secret("hunter2", "env:DB_PASSWORD")
    for text in (repr(secret), str(secret), f"{secret}", f"{[secret]!r}", f"{secret!s}"):
        assert "hunter2" not in text
        assert "env:DB_PASSWORD" in text
    assert secret.reveal() == "hunter2"
    assert "hunter2" not in repr(Secret("hunter2"))


def test_it_is_not_pickled():
    """A secret cannot be pickled (pytest-xdist, multiprocessing)."""
    with pytest.raises(TypeError):
        pickle.dumps(Secret("hunter2"))
    with pytest.raises(TypeError):
        copy.copy(Secret("hunter2"))


@pytest.mark.parametrize(
    "form",
    [
        lambda s: s,
        repr,
        lambda s: repr({"password": s}),
        lambda s: json.dumps({"password": s}),
        lambda s: json.dumps({"password": s}, ensure_ascii=False),
        lambda s: f"postgresql://u:{urllib.parse.quote(s, safe='')}@db1/x",
        lambda s: f"postgresql://u:{urllib.parse.quote(s)}@db1/x",
        lambda s: f"password={urllib.parse.quote_plus(s)}",
        lambda s: base64.b64encode(s.encode()).decode(),
        lambda s: "Basic " + base64.b64encode(f"user:{s}".encode()).decode(),
        lambda s: "Basic " + base64.b64encode(f"user1:{s}".encode()).decode(),
        lambda s: s.encode().hex(),
        lambda s: "ALTER ROLE x PASSWORD '" + s.replace("'", "''") + "'",
    ],
)
def test_every_form_is_masked(form):
    """The value itself, in a URL, in base64 (also within a longer text), in hex, escaped: none stays readable."""
    Secret(CANARY)
    masked = redact(f"before {form(CANARY)} after")
    assert "[secret]" in masked
    for piece in (CANARY, CANARY[:8], "c4n", base64.b64encode(CANARY.encode()).decode()[4:16]):
        assert piece not in masked
    assert masked.startswith("before ")
    assert masked.endswith(" after")


def test_of_two_secrets_the_longer_one_goes_first():
    """A secret that begins like another leaves no remainder."""
    Secret("hunter")
    Secret("hunter2extra")
    assert redact("it is hunter2extra, not hunter") == "it is [secret], not [secret]"


def test_an_empty_secret_masks_nothing():
    """An empty value does not turn every text into masks."""
    Secret("")
    assert redact("a text") == "a text"


def test_what_is_not_utf8_is_a_secret_too():
    """A password with bytes that are not UTF-8 (surrogates from os.environ) is masked, not an error."""
    Secret("p\udcffw-long")
    assert redact("it is p\udcffw-long") == "it is [secret]"


@given(secret=st.text(min_size=6, max_size=12), around=st.text(max_size=20))
def test_no_text_keeps_the_secret(secret, around):
    """Whatever the secret, unless it is weak, and the text around it: it is not in the masked text."""
    redaction._known = ()
    Secret(secret)
    if (
        secret in "[secret]" or secret == "\0"
    ):  # the mask's own letters, and the character that replaces it below
        return
    assert secret not in redact(around + secret + around).replace("[secret]", "\0")


@pytest.mark.parametrize("weak", ["a", "1", '"', "test", "verdict", "pass", "[", "\\", "null", "0"])
def test_a_weak_password_takes_no_record_apart(weak):
    """Masking values keeps the JSON structure, all keys, and the values under our own keys."""
    Secret(weak)
    record = {"verdict": "pass", "test": "test_1", "n": 10, "none": None, "list": ["a test", {"ok": True}]}
    masked = redact_values(record, keep=frozenset({"verdict"}))
    assert json.loads(json.dumps(masked)).keys() == record.keys()
    assert masked["verdict"] == "pass"
    assert masked["n"] == 10
    assert masked["list"][0] == "a test"


def test_a_number_that_is_a_secret_is_masked():
    """A PIN of six digits or more is masked as a number too; a short number stays, or nothing would be readable."""
    Secret("86753091")
    Secret("42")
    assert redact_values({"pin": 86753091, "n": 42}) == {"pin": "[secret]", "n": 42}


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("password=prod host=db1", "password=[secret] host=db1"),
        ('{"password": "prod"}', '{"password": "[secret]"}'),
        ("{'passwd': 'prod'}", "{'passwd': '[secret]'}"),
        ("postgresql://gate:prod@db1/platform", "postgresql://gate:[secret]@db1/platform"),
        ("ALTER ROLE gate PASSWORD 'prod'", "ALTER ROLE gate PASSWORD '[secret]'"),
        ("Authorization: Bearer prod", "Authorization: Bearer [secret]"),
        ("in base64 cHJvZA==, in hex 70726f64", "in base64 [secret], in hex [secret]"),
        (
            "/etc/prod/gate.conf on prod-db1, inventory prod",
            "/etc/prod/gate.conf on prod-db1, inventory prod",
        ),
        ("password production", "password production"),
    ],
)
def test_a_short_secret_is_masked_only_where_a_password_stands(text, masked):
    Secret("prod", "env:DB_PASSWORD")
    assert redact(text) == masked


def test_a_word_of_the_inventory_is_weak_too():
    """A long one as well: it would take every path and name apart. Another secret stays masked everywhere."""
    Secret("platform", "env:DB_PASSWORD")
    Secret("s3cr3t-and-long", "env:TOKEN")
    assert redact("the database platform") == "the database [secret]"
    told = redaction.weak(["name: prod", "platform", "/srv/platform/x"])
    assert told == {"env:DB_PASSWORD": "is a word that this file uses elsewhere"}
    Secret("platform", "env:DB_PASSWORD")
    assert redact("the database platform, password=platform") == "the database platform, password=[secret]"
    assert redact("s3cr3t-and-long") == "[secret]"
    values = {"password": "platform", "database": "platform"}
    assert redact_values(values) == {"password": "[secret]", "database": "platform"}


#: What makes a secret's form differ from place to place: quotes, backslashes, percent signs, accents, control characters.
_HARD = st.text(st.sampled_from("aKſ5é€\\\"'%/+& \n\t\x7f\udcff😀"), min_size=1, max_size=9)
_SECRETS = st.lists(st.one_of(_HARD, st.integers(0, 10**8).map(str), st.floats(0, 1e9).map(str)), max_size=3)


@st.composite
def _data(draw: st.DrawFn, secrets: list[str]) -> object:
    """Draw JSON data that has the secrets in all of their forms, as texts, in texts, and as numbers."""
    forms = sorted({form for secret in secrets for form in redaction._forms(secret)})
    numbers = [
        float(form) if "." in form else int(form) for form in forms if form.replace(".", "").isdecimal()
    ]
    form = st.sampled_from(forms) if forms else _HARD
    before = st.sampled_from(["", "password=", "PWD: ", "://user:", 'token "', "x", "\\", "é"])
    either = st.one_of(form, form.map(str.swapcase))
    held = st.builds(lambda *parts: "".join(parts), before, either, _HARD)
    leaf = st.one_of(
        form, held, _HARD, form.map(str.swapcase), st.sampled_from([None, True, 10, 0.5, *numbers])
    )
    keys = st.sampled_from(["password", "api_key", "verdict", "at", "n"])
    return draw(
        st.recursive(
            leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3)
        )
    )


@given(data=st.data(), secrets=_SECRETS)
def test_the_quick_look_at_a_text_masks_what_a_look_at_each_value_masks(data, secrets):
    """A text in which `may_hold` sees no secret is what masking its values would have given."""
    for name, empty in (("_known", ()), ("_weak", {}), ("_weak_in_json", {}), ("_in_json", set())):
        setattr(redaction, name, empty)
    for secret in secrets:
        Secret(secret)
    record = data.draw(_data(secrets))
    for keep in (frozenset[str](), frozenset({"verdict", "at"})):
        text, masked = (
            json.dumps(each, sort_keys=True, ensure_ascii=False)
            for each in (record, redact_values(record, keep=keep))
        )
        assert may_hold(text) or text == masked
