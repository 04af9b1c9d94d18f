"""Rules as gitleaks writes them: what is translated, what is named as unusable, and what is found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_deploygate.checks.secrets import formats
from pytest_deploygate.checks.secrets.expressions import translated
from pytest_deploygate.checks.secrets.section import Secrets


@pytest.mark.parametrize(
    ("expression", "matches", "lacks"),
    [
        (r"(?i)token=[a-z]+", "TOKEN=ABC", "tok=abc"),
        (r"a(?i)b|c", "aB", "Ab"),
        (r"a(?i)b|c", "C", "a"),
        (r"x(a(?i)b)c", "xaBc", "xaBC"),
        (r"(?i:a)b", "Ab", "AB"),
        (r"(?i)a(?-i)b", "Ab", "AB"),
        (r"[[:alnum:]]{4}\z", "--ab1Z", "--ab1"),
        (r"[^[:space:]x]+y", "aby", " y"),
        (r"\x{41}b", "Ab", "ab"),
        (r"(?P<key>k)(?<more>m)", "km", "k"),
        (r"[]a]b", "]b", "b"),
        (r"[\w.-]{0,5}?(?:key)(?:[ \t\w.-]{0,5})=([a-f]{3})", "my.key = abc".replace(" ", ""), "key"),
        (r"(?s)a.b", "a\nb", "ab"),
        (r"(?:a|(?:b))\)", "b)", "b"),
        (r"[a&&b]c", "&c", "cc"),
    ],
)
def test_an_expression_means_what_it_means_in_go(expression, matches, lacks):
    compiled = translated(expression)
    assert compiled.search(matches)
    assert not compiled.search(lacks)


def test_letters_mean_ascii():
    assert not translated(r"^\w$").search("ü")


@pytest.mark.parametrize(
    "expression", [r"\pL", r"\Qa\E", r"(?U)a+", "a)", "(a", "[a", r"[[:other:]]", "a\\", "a{2}{3}"]
)
def test_what_cannot_be_translated_is_refused(expression):
    with pytest.raises((ValueError, re.error)):
        translated(expression)


def rules(tmp_path: Path, text: str) -> formats.Rules:
    """Return rules read from a file."""
    file = tmp_path / "rules.toml"
    file.write_text(text)
    return formats.read(file)


RULE = """
[[rules]]
id = "platform-key"
regex = '''(?i)platform[_-]key\\s*=\\s*["']?([a-z0-9]{16})'''
keywords = ["PLATFORM"]
entropy = 3
"""


def found(some: formats.Rules, text: str, path: str = "/srv/a.conf") -> list[str]:
    """Return what is found in a text."""
    return [hit.secret for hit in formats.search([some], text, path)]


def test_a_rule_finds_its_group(tmp_path):
    some = rules(tmp_path, RULE)
    assert found(some, "x\nPLATFORM_KEY = 'a8f3k2m9q1z7x4c6'\n") == ["a8f3k2m9q1z7x4c6"]
    assert found(some, "PLATFORM_KEY = 'aaaaaaaaaaaaaaaa'") == [], "too little entropy"
    assert found(some, "plat_form_key = 'a8f3k2m9q1z7x4c6'") == [], "no keyword"


@pytest.mark.parametrize(
    ("allowlist", "text", "path"),
    [
        ("regexes = ['''^a8f3''']", "platform_key = a8f3k2m9q1z7x4c6", ""),
        ("stopwords = ['K2M9']", "platform_key = a8f3k2m9q1z7x4c6", ""),
        ("paths = ['''\\.example$''']", "platform_key = a8f3k2m9q1z7x4c6", "/srv/conf.example"),
        (
            "regexTarget = 'line'\nregexes = ['''nosecret''']",
            "platform_key = a8f3k2m9q1z7x4c6 # nosecret",
            "",
        ),
        (
            "condition = 'AND'\nregexes = ['''^a8f3''']\npaths = ['''example''']",
            "platform_key = a8f3k2m9q1z7x4c6",
            "/srv/example",
        ),
    ],
)
@pytest.mark.parametrize("where", ["[[rules.allowlists]]", "[rules.allowlist]", "[allowlist]"])
def test_what_is_allowed_is_not_found(tmp_path, allowlist, text, path, where):
    some = rules(tmp_path, f"{RULE}{where}\n{allowlist}\n")
    assert not some.unusable
    assert found(some, text, path) == []
    assert found(some, "platform_key = b8f3k2m1q1z7x4c6", "/srv/other") == ["b8f3k2m1q1z7x4c6"]


def test_both_conditions_are_needed_with_and(tmp_path):
    allowed = "[[rules.allowlists]]\ncondition = 'AND'\nregexes = ['''^a8f3''']\npaths = ['''example''']\n"
    assert found(rules(tmp_path, RULE + allowed), "platform_key = a8f3k2m9q1z7x4c6", "/srv/other")


def test_a_rule_for_paths(tmp_path):
    some = rules(tmp_path, "[[rules]]\nid='p12'\npath='''\\.p12$'''\n")
    assert found(some, "x", "/srv/a.p12") == ["/srv/a.p12"]
    assert found(some, "x", "/srv/a.pem") == []


def test_a_rule_that_cannot_be_used_is_named_and_the_others_are_used(tmp_path):
    some = rules(
        tmp_path,
        RULE
        + "[[rules]]\nid='odd'\nregex='''\\pL+'''\n[[rules]]\nid='group'\nregex='''a(b)'''\nsecretGroup=2\n[extend]\nuseDefault=true\n",
    )
    assert [rule.name for rule in some.usable] == ["platform-key"]
    assert any(why.startswith("odd: ") for why in some.unusable)
    assert any(why.startswith("group: secretGroup is 2") for why in some.unusable)
    assert any(why.startswith("[extend]") for why in some.unusable)


@pytest.mark.parametrize("text", ["[[rules", "title = 'x'", "rules = 3", "[[rules]]\nid = 'a'\nid = 'b'"])
def test_a_file_without_rules_is_a_mistake(tmp_path, text):
    file = tmp_path / "rules.toml"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"rules\.toml"):
        Secrets.model_validate({"rules": str(file)})


def test_our_own_rules_are_all_used():
    own = formats.read(formats.OWN)
    assert own.unusable == ()
    text = "\n".join(
        [
            "AKIA" + "IOSFODNN7ABCDEFG",
            "gh" + "p_" + "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF3hJ5",
            "glp" + "at-" + "aB3dE5gH7jK9mN1pQ3sT",
            "xox" + "b-123456789012-abcdefGHIJKL",
            "npm" + "_" + "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF3hJ5",
            "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEowIBAAKCAQEA" * 8 + "\n-----END RSA PRIVATE KEY-----",
        ]
    )
    assert {hit.rule for hit in formats.search([own], text, "")} == {
        "aws-access-key",
        "github-token",
        "gitlab-token",
        "slack-token",
        "npm-token",
        "private-key",
    }


def test_examples_and_words_are_not_found():
    own = formats.read(formats.OWN)
    text = (
        "AKIA"
        "IOSFODNN7EXAMPLE\nsk_live_ is a prefix\n-----BEGIN PRIVATE KEY----- is how keys begin\nakia npm_config_cache=/x"
    )
    assert list(formats.search([own], text, "")) == []
