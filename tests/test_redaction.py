"""Secrets: hidden by their type, and masked in every form in which they appear in a text."""

from __future__ import annotations

import base64
import copy
import html
import json
import pickle
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_deploygate import redaction
from pytest_deploygate.redaction import Secret, redact, redact_values

CANARY = "c4n\"a'r\\y é/+&<x>"


@pytest.fixture(autouse=True)
def forget(monkeypatch):
    """Forget the secrets of earlier tests."""
    for name in ("_known", "_clues", "_without_clues"):
        monkeypatch.setattr(redaction, name, ())
    for name in ("_weak", "_weak_anywhere", "_sources"):
        monkeypatch.setattr(redaction, name, {})


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
        lambda s: f"u:{urllib.parse.quote(s, safe='')}@db1/x",
        lambda s: f"u:{urllib.parse.quote(s)}@db1/x",
        lambda s: urllib.parse.quote(urllib.parse.quote(s, safe=""), safe=""),
        lambda s: urllib.parse.quote(urllib.parse.quote(s)).lower(),
        lambda s: "".join(f"%{byte:02X}" for byte in s.encode()),
        lambda s: "".join(f"%25{byte:02x}" for byte in s.encode()),
        lambda s: "".join(f"&#{ord(c)};" for c in s),
        lambda s: "".join(f"&#x{ord(c):x};" for c in s),
        lambda s: "".join(f"\\u{ord(c):04x}" for c in s),
        html.escape,
        lambda s: html.escape(html.escape(s)),
        lambda s: html.escape(s).replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),
        lambda s: html.escape(urllib.parse.quote(s)),
        lambda s: json.dumps(json.dumps({"said": s})),
        lambda s: json.dumps(s).replace("/", "\\/"),
        lambda s: repr(s.encode()),
        lambda s: json.dumps(html.escape(s)),
        lambda s: s.encode().decode("latin-1"),
        lambda s: base64.urlsafe_b64encode(b"ab" + s.encode()).decode(),
        lambda s: urllib.parse.quote(base64.b64encode(b"a:" + s.encode()).decode(), safe=""),
        lambda s: json.dumps(base64.b64encode(b"u" + s.encode() + b"more").decode()).replace("/", "\\/"),
        lambda s: s.encode().hex().upper(),
        lambda s: s.encode().hex(":"),
        lambda s: s.encode().hex(" "),
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


@pytest.mark.parametrize("secret", [CANARY, "hunter2extra", "p@s$w!rd", "tok_En-0.9~/+=", "aéîõü-ß"])
@pytest.mark.parametrize("around", ["", "u:", "us:", "use:", "\x00\xff~~"])
def test_the_quick_look_sees_every_writing(secret, around):
    """What `redact` masks, `may_hold` has seen in the JSON text; nothing of the secret stays in base64."""
    Secret(secret)
    raw = around.encode() + secret.encode()
    writings = [
        secret,
        html.escape(secret),
        urllib.parse.quote(urllib.parse.quote_plus(secret)),
        raw.hex(),
        raw.hex().upper(),
        base64.b64encode(raw + around.encode()).decode(),
        base64.urlsafe_b64encode(raw).decode(),
        "".join(f"%{byte:02x}" for byte in raw),
    ]
    for writing in writings:
        assert "[secret]" in redact(f"it said {writing}."), writing
        assert redaction.may_hold(json.dumps({"said": f"it said {writing}."}, ensure_ascii=False)), writing


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("https://u:p@h/x", "https://…@h/x"),
        ("https://ghp_token@github.com/a.git", "https://…@github.com/a.git"),
        ("HTTPS://u:p%40@h/x", "HTTPS://…@h/x"),
        ("https://u:p@s@h/x", "https://…@h/x"),
        ("wss://u@h:99 and redis://:p@h:6379/0", "wss://…@h:99 and redis://…@h:6379/0"),
        ("ssh://deploy@db1, mail a@example.com", "ssh://deploy@db1, mail a@example.com"),
        ("https://h/x?token=abc&page=2#top", "https://h/x?token=…&page=…#top"),
        ("<a href='https://h/x?a=1;b=2'>", "<a href='https://h/x?a=…;b=…'>"),
        ("https://h/cb#access_token=abc&state=x", "https://h/cb#access_token=…&state=…"),
        ("https://h/hook?abcdef0123", "https://h/hook?…"),
        ("GET /login?user=a&pw=b%20c HTTP/1.1", "GET /login?user=…&pw=… HTTP/1.1"),
        ("max retries with url: /x?k=v (caused by it)", "max retries with url: /x?k=… (caused by it)"),
        (r'{"u": "https:\/\/u:p@h\/x?k=v"}', r'{"u": "https:\/\/…@h\/x?k=…"}'),
        ("is it 5? x=1 and a/b?c", "is it 5? x=1 and a/b?c"),
        ("https://h/a/b, https://h/#part", "https://h/a/b, https://h/#part"),
        ("say why? // a comment: x@y", "say why? // a comment: x@y"),
        ("10/20 # a=b, see /etc/x#y", "10/20 # a=b, see /etc/x#y"),
    ],
)
def test_urls_are_printed_without_users_and_values(text, left):
    """Whether somebody said that they are secret or not; what is left out once is left out the same again."""
    assert redact(text) == left
    assert redact(left) == left
    if left != text:
        assert redaction.may_hold(json.dumps(text, ensure_ascii=False))


def test_the_secrets_in_a_url_are_masked_wherever_they_appear():
    """A server echoes them without the URL."""
    Secret("https://gate:the%20passphrase@h/x?api_key=k%2Fy-of-mine&page=chapter-two", "env:ADDRESS")
    redaction.hide_those_of_url("see https://h/?sig=0a1b2c3d4e, https://somebody-with-token@h/")
    assert redact("the passphrase, k/y-of-mine, 0a1b2c3d4e, somebody-with-token, chapter-two") == (
        "[secret], [secret], [secret], [secret], chapter-two"
    )


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
    redaction._know(())
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
        ("postgresql://gate:prod@db1/platform", "postgresql://…@db1/platform"),
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


def test_a_text_is_cut_after_its_secrets_are_masked():
    """Half a secret at the cut would not be known."""
    Secret("hunter2extra-long")
    assert redaction.shortened("title hunter2extra-long and more", 14) == "title [secret]"
    assert "hunt" not in redaction.shortened("title hunter2extra-long", 10)


#: What makes a secret's form differ from place to place: quotes, backslashes, percent signs, accents, control characters.
_HARD = st.text(st.sampled_from("aKſ5é€\\\"'%/+& \n\t\x7f\udcff😀"), min_size=1, max_size=9)
_SECRETS = st.lists(st.one_of(_HARD, st.integers(0, 10**8).map(str), st.floats(0, 1e9).map(str)), max_size=3)


def _forms(secret: str) -> set[str]:
    raw = secret.encode(errors="surrogateescape")
    quoted = urllib.parse.quote(raw, safe="")
    found = {secret, html.escape(secret), quoted, urllib.parse.quote(quoted), raw.hex(), raw.hex().upper()}
    found |= {repr(secret)[1:-1], json.dumps(secret)[1:-1], secret.replace("'", "''")}
    return found | {base64.b64encode(before + raw).decode() for before in (b"", b"u:", b"use:")}


@st.composite
def _data(draw: st.DrawFn, secrets: list[str]) -> object:
    """Draw JSON data that has the secrets in all of their forms, as texts, in texts, and as numbers."""
    forms = sorted({form for secret in secrets for form in _forms(secret)})
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
    for name in ("_known", "_clues", "_without_clues"):
        setattr(redaction, name, ())
    for name in ("_weak", "_weak_anywhere", "_sources"):
        setattr(redaction, name, {})
    for secret in secrets:
        Secret(secret)
    record = data.draw(_data(secrets))
    for keep in (frozenset[str](), frozenset({"verdict", "at"})):
        text, masked = (
            json.dumps(each, sort_keys=True, ensure_ascii=False)
            for each in (record, redact_values(record, keep=keep))
        )
        assert redaction.may_hold(text) or text == masked


@pytest.mark.parametrize(
    "url", ["ssh://deploys@db1.example.com", "podman://deploys@web", "ansible://deploys@x"]
)
def test_who_logs_in_to_a_host_is_no_secret(url):
    """The name would be masked wherever it stands, such as in `deploysgate`."""
    redaction.hide_those_of_url(url)
    assert redaction.redact("the user deploys") == "the user deploys"


def test_a_token_in_place_of_a_user_of_the_web_is_a_secret():
    redaction.hide_those_of_url("https://tokentoken@example.com/")
    assert "tokentoken" not in redaction.redact("the token tokentoken")
