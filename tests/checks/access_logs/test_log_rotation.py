"""What logrotate itself says of a file, and what systemd's journal has of a unit."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from pytest_deploygate.checks.access_logs.facts import Rule
from pytest_deploygate.checks.access_logs.probe import hosts, rotation
from pytest_deploygate.checks.access_logs.probe.kept import Kept
from pytest_deploygate.clients.host.asking import ask
from pytest_deploygate.judging.silent_hosts import Failure

#: What logrotate 3.21 prints with `-d`.
SAID = """warning: logrotate in debug mode does nothing except printing debug messages!

reading config file a.conf
Reading state from file: /var/lib/logrotate/status
state file /var/lib/logrotate/status does not exist
Allocating hash table for state file, size 64 entries

Handling 1 logs

rotating pattern: /var/log/nginx/*.log  after 1 days (14 rotations)
empty log files are rotated, old logs are removed
considering log /var/log/nginx/access.log
Creating new state
  Now: 2026-11-29 11:36
  Last rotated at 2026-11-29 11:00
  log does not need rotating (log has already been rotated)
"""


@pytest.mark.parametrize(
    ("path", "said", "rule"),
    [
        ("/var/log/nginx/access.log", SAID, Rule(has=True)),
        ("/var/log/nginx/access", SAID, Rule(has=False)),
        ("/var/log/nginx/other.log", SAID, Rule(has=False)),
        ("/a.log", "none", Rule(has=False, problem="there is no logrotate")),
        ("/a.log", "", Rule(has=False, problem="there is no logrotate")),
        ("/a.log", "unreadable", Rule(has=False, problem="logrotate's configuration cannot be read")),
    ],
)
def test_whether_there_is_a_rule(path, said, rule):
    assert rotation.rule(path, said) == rule


@pytest.mark.parametrize(
    "said",
    [
        "error: a.conf:3 unknown option 'dayly' -- ignoring line",
        f"error: cannot stat /etc/logrotate.d/x: Permission denied\n{SAID}",
        f'error: skipping "/a.log" because parent directory has insecure permissions\n{SAID}',
    ],
)
def test_a_configuration_that_was_not_read_whole_says_nothing(said):
    rule = rotation.rule("/a.log", said)
    assert (rule.has, bool(rule.problem)) == (False, True)


def test_logrotate_itself(tmp_path):
    if shutil.which("logrotate", path=os.environ["PATH"] + ":/usr/sbin:/sbin") is None:
        pytest.skip("there is no logrotate here: apt install logrotate")
    config = tmp_path / "logrotate.conf"
    log = tmp_path / "access.log"
    log.write_text("one\n")
    config.write_text(f"{tmp_path}/access*.log {{\n  daily\n  rotate 14\n}}\n")
    config.chmod(0o644)
    told = ask("local://", None, {"said": rotation.command(str(config))}, 20.0)
    assert not isinstance(told, Failure)
    assert rotation.rule(str(log), told.parts["said"]) == Rule(has=True)
    assert rotation.rule(str(tmp_path / "other.log"), told.parts["said"]) == Rule(has=False)
    assert log.read_text() == "one\n"


def test_no_configuration():
    told = ask("local://", None, {"said": rotation.command("/nowhere/logrotate.conf")}, 20.0)
    assert not isinstance(told, Failure)
    assert rotation.rule("/a.log", told.parts["said"]).problem


class Lines(Kept):
    """Keeps every line."""

    def __init__(self) -> None:
        super().__init__("web1", None, [])
        self.lines: list[str] = []

    def take(self, line: str) -> None:
        """Keep a line."""
        self.lines.append(line)


def taken(*entries: object, end: str = "") -> tuple[list[str], str]:
    """Return the lines of entries in the journal's JSON, and the cursor after them."""
    log = hosts.Followed(Lines(), unit="nginx.service")
    text = "\n".join(json.dumps(entry) for entry in entries)
    hosts._take_journal(log, f"{text}\n{end}")
    assert isinstance(log.kept, Lines)
    return log.kept.lines, log.cursor


def test_entries_of_the_journal():
    """Its documented form: text, bytes as numbers, null for what is too long, and one that was cut off."""
    text = {"__CURSOR": "s=1;i=1", "MESSAGE": "one", "_SYSTEMD_UNIT": "nginx.service"}
    raw = {"__CURSOR": "s=1;i=2", "MESSAGE": [116, 119, 111, 255]}
    assert taken(text, raw, {"__CURSOR": "s=1;i=3", "MESSAGE": None}, {"__CURSOR": "s=1;i=4"}) == (
        ["one", "two\\xff"],
        "s=1;i=4",
    )
    assert taken(text, end='{"__CURSOR": "s=1;i=2", "MES') == (["one"], "s=1;i=1")
    assert taken("no entry", text) == (["one"], "s=1;i=1")


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("none", "it has no journalctl"),
        ("", "its journal is empty"),
        ("No journal files were found.", "its journal is empty"),
        ("No journal files were opened due to insufficient permissions.", "its journal may not be read"),
        (
            "Hint: You are currently not seeing messages from other users and the system.\n{}",
            "its journal may not be read",
        ),
        ('{"MESSAGE": "one"}', ""),
    ],
)
def test_whether_the_journal_can_be_read(said, problem):
    """What journalctl(1) says."""
    log = hosts.Followed(Lines(), unit="nginx.service")
    hosts._begin_journal(log, 0, {"journal_0": said}, 1_795_951_801)
    assert log.kept.problem.startswith(problem)
    assert bool(log.kept.problem) is bool(problem)


def test_the_journal_is_read_from_where_it_ended():
    log = hosts.Followed(Lines(), unit="a b.service", since=1_795_951_801)
    assert "-u 'a b.service' --since=@1795951801 " in hosts._lines(log)
    log.cursor = "s=1;i=2"
    assert "--after-cursor='s=1;i=2'" in hosts._lines(log)


def test_a_pattern_in_the_name_of_a_log_is_its_own(tmp_path: Path):
    assert rotation.rule("/var/log/nginx/.*", SAID) == Rule(has=False)
