"""Secrets on hosts: what fails, what is unknown, and what is a note."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.secrets import judge
from pytest_deploygate.checks.secrets.facts import Found, KeyState, Kind, Looked, Place, Search, Seen
from pytest_deploygate.checks.secrets.section import Secrets
from pytest_deploygate.model import Judgement, Verdict

LOOKED = Looked(user="root", processes=3, files=2, logs=1, names=5)


def seen(*found: Found, looked: Looked = LOOKED, **parts: object) -> Search:
    """Return a search of one host."""
    return Search((Seen("db1", ("database",), looked, found, **parts),), ("env:DB_PASSWORD",), {}, 10)  # type: ignore[arg-type]


def judged(search: Search, **keys: object) -> Judgement:
    """Return the judgement with these keys of the section."""
    return judge.judge(search, Secrets.model_validate(keys))


def at(kind: Kind, path: str = "gunicorn", *, contained: bool = False) -> Found:
    """Return the inventory's secret at a place."""
    return Found("env:DB_PASSWORD", True, Place(kind, path, 3, 41, contained), "0" * 32)


def test_nothing_found_passes():
    result = judged(seen())
    assert result.verdict is Verdict.PASS
    assert "none of 1 secrets of the inventory lies open on 1 servers: 3 processes" in result.reason


@pytest.mark.parametrize("kind", list(Kind))
def test_each_place_fails_with_what_to_do(kind):
    result = judged(seen(at(kind)))
    assert result.verdict is Verdict.FAIL
    assert result.reason.startswith("db1: the secret env:DB_PASSWORD ")
    assert "replace" in result.reason or "allowed_environments" in result.reason
    assert [reading.value for reading in result.readings if reading.ok is False] == [1]


def test_environments_may_have_secrets_where_declared():
    found = at(Kind.ENVIRONMENT, contained=True)
    for name in ("containers", "guni*", "gunicorn"):
        result = judged(seen(found), allowed_environments=[name])
        assert result.verdict is Verdict.PASS, result.reason
        assert any("allowed by `allowed_environments`" in note for note in result.notes)
    assert judged(seen(at(Kind.ENVIRONMENT)), allowed_environments=["containers"]).verdict is Verdict.FAIL
    assert judged(seen(at(Kind.ARGUMENTS)), allowed_environments=["*"]).verdict is Verdict.FAIL


def test_accepted_holds_for_one_place(monkeypatch):
    monkeypatch.setenv("KEY_OF_FINGERPRINTS", "long enough to be a key")
    accepted = [{"fingerprint": "0" * 32, "where": "/srv/*", "reason": "a canary that nobody uses"}]
    keys = {"accepted": accepted, "fingerprint_key": "env:KEY_OF_FINGERPRINTS"}
    assert judged(seen(at(Kind.FILE, "/srv/a")), **keys).verdict is Verdict.PASS
    assert judged(seen(at(Kind.FILE, "/opt/a")), **keys).verdict is Verdict.FAIL
    gone = judged(seen(), **keys)
    assert any("was not found: remove the entry" in note for note in gone.notes)


@pytest.mark.parametrize("key", [None, "env:SHORT_KEY"])
def test_accepted_needs_a_key_that_cannot_be_guessed(key, monkeypatch):
    monkeypatch.setenv("SHORT_KEY", "short")
    accepted = [{"fingerprint": "0" * 32, "where": "/srv/*", "reason": "a canary that nobody uses"}]
    with pytest.raises(ValueError, match="key"):
        Secrets.model_validate({"accepted": accepted, "fingerprint_key": key})


@pytest.mark.parametrize(
    ("looked", "said"),
    [
        (Looked(user="app", processes=0), "no process could be seen as app"),
        (Looked(user="app", processes=2, hidepid=True), "hidepid"),
        (Looked(user="app", processes=5, hidden_arguments=2), "only 3 of 5 processes show their arguments"),
        (
            Looked(user="app", processes=5, hidden_environments=(Place(Kind.ENVIRONMENT, "x"),)),
            "only 4 of 5 processes show their environment as app: set `run_as: root`",
        ),
        (
            Looked(user="root", processes=5, hidden_environments=(Place(Kind.ENVIRONMENT, "init"),)),
            "name init in `allowed_environments`",
        ),
        (Looked(user="app", processes=1, unread=("/var/log/a",)), "1 files cannot be read as app"),
        (Looked(user="app", processes=1, closed=("/var/log/b",)), "1 folders cannot be listed as app"),
        (Looked(user="app", processes=1, limited=("logs",)), "logs are larger than what is looked at"),
        (Looked(user="app", processes=1, ended=("files",)), "the search of world-readable files was ended"),
        (Looked(user="app", processes=1, absent=("files",)), "world-readable files did not arrive"),
        (
            Looked(user="root", processes=1, cut=("/srv/a.bin", "/srv/b.bin")),
            "of 2 files that everybody may read only the first 1 MB were looked at: /srv/a.bin, /srv/b.bin; raise `bytes_per_file`",
        ),
        (
            Looked(user="root", processes=1, cut_processes=("java (17)",)),
            "arguments or environment of java (17) are longer than what is looked at: raise `bytes_per_file`",
        ),
        (
            Looked(user="app", processes=1, no_images_by=("docker",)),
            "container images cannot be listed by docker: start its service, let app use it",
        ),
        (
            Looked(user="root", processes=1, images=100, more_images=20),
            "20 container images beyond the first 100 were not looked at",
        ),
    ],
)
def test_what_was_not_looked_into_is_no_pass_unless_chosen(looked, said):
    result = judged(seen(looked=looked), images=True)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert said in result.reason
    chosen = judged(seen(looked=looked), unseen_passes=True, images=True)
    assert chosen.verdict is Verdict.PASS
    assert any(said in note for note in chosen.notes)


def test_a_log_of_which_only_the_end_was_looked_at_is_a_note():
    result = judged(seen(looked=Looked(user="root", processes=1, cut_logs=("/var/log/a.log",))))
    assert result.verdict is Verdict.PASS
    assert "of 1 logs only the end was looked at (`bytes_per_file`), such as /var/log/a.log" in " ".join(
        result.notes
    )


def test_a_hidden_environment_that_may_have_secrets_need_not_be_seen():
    looked = Looked(user="root", processes=5, hidden_environments=(Place(Kind.ENVIRONMENT, "init"),))
    assert judged(seen(looked=looked), allowed_environments=["init"]).verdict is Verdict.PASS


@pytest.mark.parametrize("field", ["files", "logs"])
def test_a_folder_that_no_host_has_is_a_mistake(field):
    looked = Looked(user="root", processes=1, missing=("/srv/logg",))
    result = judged(seen(looked=looked), **{field: ["/srv/logg"]})
    assert result.verdict is Verdict.INCONCLUSIVE
    assert f"`{field}` names /srv/logg, which no server has" in result.reason


KEY = {"path": "/srv/a.key", "mode": "0640", "owner": "app", "group": "tls"}


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (KeyState("/srv/a.key", 0o640, "app", "tls", "/srv/a.key"), ""),
        (KeyState("/srv/a.key", 0o600, "app", "tls", "/srv/a.key"), ""),
        (KeyState("/srv/a.key", 0o644, "app", "tls", "/srv/a.key"), "has mode 0644, at most 0640 is allowed"),
        (KeyState("/srv/a.key", 0o600, "root", "tls", "/srv/a.key"), "belongs to root, expected is app"),
        (KeyState("/srv/a.key", 0o600, "app", "app", "/srv/a.key"), "has the group app, expected is tls"),
        (KeyState("/srv/b.pem", 0o604, "app", "app"), "the private key /srv/b.pem has mode 0604"),
    ],
)
def test_keys(state, said):
    result = judged(seen(keys=(state,)), key_files=[KEY])
    assert result.verdict is (Verdict.FAIL if said else Verdict.PASS)
    assert said in result.reason


def test_keys_for_a_group_are_a_note_unless_chosen():
    search = seen(keys=(KeyState("/srv/b.pem", 0o640, "root", "tls"),))
    result = judged(search)
    assert result.verdict is Verdict.PASS
    assert any("the group tls may read it" in note for note in result.notes)
    assert judged(search, group_readable_keys=False).verdict is Verdict.FAIL


def test_a_declared_key_that_is_missing_is_unknown():
    assert judged(seen(no_key=("/srv/a.key",)), key_files=[KEY]).verdict is Verdict.INCONCLUSIVE


def test_a_rule_that_cannot_be_used_is_no_pass():
    search = Search(seen().hosts, ("env:DB_PASSWORD",), {}, 10, ("odd: no counterpart",))
    result = judged(search)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "odd: no counterpart" in result.reason
