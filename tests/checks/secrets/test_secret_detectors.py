"""Baselines of detect-secrets: written by its own program, read with its own detectors, and what cannot be used is named."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_deploygate.checks.secrets import detectors, rule_files
from pytest_deploygate.checks.secrets.probe import seeking
from pytest_deploygate.checks.secrets.section import Secrets

AWS = "AKIA" + "IOSFODNN7ABCDEFG"
WORD = "hunter2-" + "correct-horse"
ENTROPY = "c3VwZXIgbG9uZyBzdHJpbmcgc2hvdWxk" + "IGNhdXNlIGVub3VnaCBlbnRyb3B5"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return a baseline that detect-secrets wrote for a folder with one key."""
    folder = tmp_path_factory.mktemp("repository")
    (folder / "settings.py").write_text(f'key = "{AWS}"\n')
    command = [sys.executable, "-m", "detect_secrets", "scan", "--all-files", "."]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    assert [each["type"] for each in found["results"]["settings.py"]] == ["AWS Access Key"]
    return found


def baseline(tmp_path: Path, written: dict[str, Any], **changes: object) -> Path:
    """Return the file of a baseline."""
    file = tmp_path / ".secrets.baseline"
    file.write_text(json.dumps({**written, **changes}, indent=2))
    return file


def found(file: Path, text: str, path: str = "/srv/app/settings.txt") -> list[tuple[str, str, int]]:
    """Return rule, secret and place of what is found in a text."""
    return [(hit.rule, hit.secret, hit.at) for hit in rule_files.read(file).search(text, path)]


def test_a_baseline_of_its_own_program_is_used_whole(tmp_path, written):
    read = rule_files.read(baseline(tmp_path, written))
    assert read.unusable == ()
    assert len(read.usable) == len(written["plugins_used"]) > 20


def test_its_detectors_find_what_they_find(tmp_path, written):
    text = f"nothing\nthe key {AWS} stands here\npostgresql://app:{WORD}@db1/platform\n"
    file = baseline(tmp_path, written)
    assert found(file, text) == [
        ("AWS Access Key", AWS, text.index(AWS)),
        ("Basic Auth Credentials", WORD, text.index(WORD)),
    ]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/etc/app.yaml", f"a: 1\nsalt: {ENTROPY}\n"),
        ("/etc/app.ini", f"[app]\nsalt = {ENTROPY}\n"),
        ("/etc/app.py", f"# first\nsalt = '{ENTROPY}'\n"),
    ],
)
def test_values_of_yaml_and_ini_need_no_quotes(tmp_path, written, path, text):
    hits = found(baseline(tmp_path, written), text, path)
    assert ("Base64 High Entropy String", ENTROPY, text.index(ENTROPY)) in hits


@pytest.mark.parametrize(
    "text",
    [
        "a: [\n",
        "- &a [*a]\n",
        "[x\n=\n",
        "\0\xff: {",
        "",
        "[" * 60000,
        "a: &a [x]\nb: &b [" + "*a," * 1000 + "]\n",
    ],
)
@pytest.mark.parametrize("path", ["/etc/a.yaml", "/etc/a.ini", "/etc/a"])
def test_files_that_are_not_what_their_name_says(tmp_path, written, path, text):
    hits = found(baseline(tmp_path, written), f"{text}\n{AWS}\n", path)
    assert any(secret == AWS for _, secret, _ in hits)


def test_what_people_found_to_be_no_secret_is_passed_over(tmp_path, written):
    entry = written["results"]["settings.py"][0]
    for is_secret, number in ((False, 0), (True, 1)):
        audited = baseline(tmp_path, written, results={"settings.py": [{**entry, "is_secret": is_secret}]})
        assert len(found(audited, AWS)) == number
    assert len(found(baseline(tmp_path, written), AWS)) == 1, "seen before is not looked at"


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (
            {"path": "detect_secrets.filters.regex.should_exclude_line", "pattern": ["sample"]},
            f"{AWS} sample",
        ),
        ({"path": "detect_secrets.filters.regex.should_exclude_file", "pattern": ["^/srv/app/"]}, AWS),
        ({"path": "detect_secrets.filters.regex.should_exclude_secret", "pattern": "7ABC"}, AWS),
        ({"path": "detect_secrets.filters.common.is_baseline_file", "filename": "settings.txt"}, AWS),
        (
            {"path": "detect_secrets.filters.allowlist.is_line_allowlisted"},
            f"{AWS} # pragma: allowlist secret",
        ),
    ],
)
def test_filters_leave_out_what_they_do_there(tmp_path, written, entry, text):
    assert len(found(baseline(tmp_path, written, filters_used=[]), text)) == 1
    assert found(baseline(tmp_path, written, filters_used=[entry]), text) == []
    other = f"AKIA{'ABCDEFGHIJKLMNOP'[::-1]}"
    assert len(found(baseline(tmp_path, written, filters_used=[entry]), other, "/other")) == 1


def test_what_its_default_filters_take_for_no_secret(tmp_path, written):
    text = 'api_key = "123e4567-e89b-12d3-a456-426614174000"\n'
    assert found(baseline(tmp_path, written), text, "/srv/a.py") == []
    assert found(baseline(tmp_path, written, filters_used=[]), text, "/srv/a.py")


@pytest.mark.parametrize(
    ("key", "entry", "says"),
    [
        ("plugins_used", {"name": "AWSKeyDetecter"}, "AWSKeyDetecter: detect-secrets has no such detector; did you mean"),
        ("plugins_used", {"name": "Own", "path": "file:///srv/own.py"}, "Own: a detector of your own is Python code"),
        ("plugins_used", {"name": "HexHighEntropyString", "limit": 9}, "HexHighEntropyString: The limit set"),
        ("plugins_used", {"name": "AWSKeyDetector", "more": 1}, "AWSKeyDetector: "),
        ("filters_used", {"path": "detect_secrets.filters.wordlist.should_exclude_secret"}, "this filter cannot be used"),
        ("filters_used", {"path": "file://own.py::leaves_out"}, "this filter cannot be used"),
        ("filters_used", {"path": "detect_secrets.filters.regex.should_exclude_line", "pattern": ["("]}, "should_exclude"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named_and_the_rest_is_used(tmp_path, written, key, entry, says):
    file = baseline(tmp_path, written, **{key: [*written[key], entry]})
    (said,) = rule_files.read(file).unusable
    assert said.startswith(says) or says in said
    assert found(file, AWS)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"results": {}}', "is JSON without `plugins_used`"),
        ('{"plugins_used": []}', "`plugins_used` is empty"),
        ('{"plugins_used": {"name": "x"}}', "`plugins_used` is not a list"),
        ('{"plugins_used": ["x"]}', "`plugins_used` is not a list"),
        ('{"plugins_used": [{"name": "AWSKeyDetector"}], "results": 3}', "`results` is not a mapping"),
        ('{"plugins_used": [{"name": "AWSKeyDetector"}], "results": {"a": 3}}', "is no baseline"),
        ('{\n"plugins_used": [', "line 2: is not JSON"),
    ],
)
def test_a_file_that_is_no_baseline_is_a_mistake(tmp_path, text, says):
    file = tmp_path / "a.baseline"
    file.write_text(text)
    with pytest.raises(ValueError, match=says):
        Secrets.model_validate({"rules": str(file)})


def test_without_the_library_the_extra_is_named(tmp_path, written, monkeypatch):
    monkeypatch.setitem(sys.modules, "detect_secrets.core.plugins.util", None)
    with pytest.raises(ValueError, match=r"pip install 'pytest-deploygate\[detect-secrets\]'"):
        Secrets.model_validate({"rules": str(baseline(tmp_path, written))})


def test_nothing_is_asked_of_a_network(tmp_path, written, monkeypatch):
    """Some detectors can ask the service whether a secret is a real one, and the default baseline says that they do."""
    assert any("verification" in each["path"] for each in written["filters_used"])
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("it connects"))
    assert found(baseline(tmp_path, written), AWS)


def test_one_text_gives_a_bounded_number(tmp_path, written):
    text = "\n".join(f"AKIA{number:016d}" for number in range(1000))
    assert len(found(baseline(tmp_path, written), text)) == detectors._MOST


@pytest.mark.parametrize("at", [0, 7100, 7160, 8180, 8192, 100_000])
def test_a_secret_in_a_long_line(tmp_path, written, at):
    text = f"{'. ' * (at // 2)}{AWS}{' .' * 20_000}"
    assert {(secret, place) for _, secret, place in found(baseline(tmp_path, written), text)} == {(AWS, at)}


def test_a_long_line_of_addresses(tmp_path, written):
    """The expression for npm's tokens looks from each `//` to the end of the line."""
    assert found(baseline(tmp_path, written), "https://a/b " * 5_000) == []


def test_the_search_names_the_detector_and_a_fingerprint(tmp_path, written):
    section = Secrets.model_validate({"rules": str(baseline(tmp_path, written)), "known_formats": False})
    wanted, _ = seeking.wanted(section)
    (match,) = seeking.search(wanted, f"\n{AWS}\n", "/srv/a")
    assert (match.what, match.line) == ("AWS Access Key", 2)
    assert AWS not in repr(match)
    assert seeking.without(wanted, f"/srv/{AWS}.txt") == "/srv/[secret].txt"


def test_an_access_log_has_none(tmp_path, written):
    line = '127.0.0.1 - - [01/Sep/2026:06:25:01 +0000] "GET /version?x=abc HTTP/1.1" 200 44 0.002 "monitor"\n'
    assert found(baseline(tmp_path, written), line * 200, "/var/log/a.log") == []
