"""Every example of the pages is tried, by what would read it. What cannot be tried is listed here, with the reason."""

from __future__ import annotations

import re

import pytest
from example_commands import WrongError, commands, help_examples, known, options, tried
from example_files import MARKDOWN, as_checklist, as_json, as_toml, as_yaml, parts
from example_python import as_python
from page_examples import ALL, Block, in_sentences

PRINTED = "what a program prints"
OTHERS = "for a program that is not ours"
#: Blocks that nothing of ours reads, by page and first line. The list may only shrink: an example of a new kind needs a way
#: to try it.
NOT_TRIED = {
    ("CONTRIBUTING.md", "inventory ──> probe ──> Measurement ──> judge(crit"): "a drawing",
    ("docs/checks/backups.md", "db.restore  pass  20260301-023000F was restored in"): PRINTED,
    ("docs/checks/blast_radius.md", "if ($http_deploygate_probe) { return 403; }"): OTHERS,
    ("docs/checks/dns.md", "platform.example.com: 1 of 3 have the new answer,"): PRINTED,
    ("docs/checks/privacy.md", "comp.erasure  fail  3 s after the erasure the synt"): PRINTED,
    ("docs/checks/timescale.md", "telemetry.readings_hourly: 1 of 3396 rows differ f"): PRINTED,
    ("docs/getting-started.md", "pg_dump … ; code=$?"): OTHERS,
    ("docs/manual-items.md", "deploygate: waivers/db.pooling--20260304.yml does"): PRINTED,
    ("docs/pull-requests.md", "4 settings weaker than the checklist:"): PRINTED,
    ("docs/rollback.md", "seen twice? yes; green before the change? yes, cha"): PRINTED,
    ("docs/rollback.md", "0:05  version 1.4.2 serves users at 127.0.0.9; the"): PRINTED,
    ("docs/signing.md", 'echo "deployment-lead namespaces=\\"deploygate-sign'): OTHERS,
    ("docs/signing.md", "ssh-keygen -Y verify -f allowed_signers -I deploym"): OTHERS,
}
MOST = 13
#: Options in sentences that belong to other programs.
OF_OTHERS = {
    "--parts-folder": "our module for Locust",
    "--add-ca": "testssl.sh",
    "--cluster.peer-timeout": "Alertmanager",
    "--cov": "pytest-cov",
    "--enable-feature": "Prometheus",
    "--git-dir": "git",
    "--latency": "wrk2",
    "--rules.alert.resend-delay": "Prometheus",
    "--schema-only": "pg_dump",
    "--deploygate-NAME": "stands for each option of the plugin",
}
PYTHON = re.compile(r"(@pytest\.|from \w|import \w|class \w+.*:$|def \w+\()", re.MULTILINE)


def was_tried(block: Block, config: pytest.Config) -> bool:
    """Try a block as what it is; of a block that is several things, each part. False: it is nothing that we read."""
    if _as_one(block, config):
        return True
    several = [Block(block.page, block.line, block.language, part) for part in parts(block.text)]
    return len(several) > 1 and all(_as_one(part, config) for part in several)


def _as_one(block: Block, config: pytest.Config) -> bool:
    text = block.text.lstrip()
    if block.language == "toml":
        as_toml(block)
    elif block.language == "json" or text.startswith('{"'):
        as_json(block)
    elif text.startswith("- [ ]"):
        as_checklist(block)
    elif block.language == "python" or PYTHON.match(text):
        as_python(block)
    elif begin := next((begin for begin in MARKDOWN if text.startswith(begin)), ""):
        if not MARKDOWN[begin](block.text):
            raise WrongError("not as the pages of its kind are")
    elif as_yaml(block, config):
        return True
    else:
        return _commands(block, config)
    return True


def _commands(block: Block, config: pytest.Config) -> bool:
    ours = [words for words in commands(block.text) if known(words)]
    for words in ours:
        tried(words, config)
    return bool(ours) and block.language in ("", "bash", "sh", "console")


@pytest.mark.parametrize("block", [b for b in ALL if (b.page, b.first) not in NOT_TRIED], ids=str)
def test_an_example_is_what_its_reader_takes(block: Block, pytestconfig: pytest.Config):
    try:
        done = was_tried(block, pytestconfig)
    except WrongError as error:
        pytest.fail(f"{block}: {error}")
    assert done, f"{block}: nothing of ours reads this: {block.first}"


def test_what_is_not_tried_is_still_there_and_cannot_be_tried(pytestconfig: pytest.Config):
    left = {(block.page, block.first): block for block in ALL if (block.page, block.first) in NOT_TRIED}
    assert set(left) == set(NOT_TRIED)
    assert [key for key, block in left.items() if was_tried(block, pytestconfig)] == []
    assert len(NOT_TRIED) <= MOST


def test_commands_in_sentences_are_known(pytestconfig: pytest.Config):
    wrong = []
    for where, text in in_sentences():
        if text.startswith(("deploygate ", "pytest ")):
            for words in commands(re.sub(r"[\[\]]", "", text)):
                try:
                    tried(words, pytestconfig, in_part=True)
                except WrongError as error:
                    wrong.append(f"{where}: {error}")
    assert not wrong


def test_options_in_sentences_are_known(pytestconfig: pytest.Config):
    known_ones = options(pytestconfig) | set(OF_OTHERS)
    named = [
        (where, found[0]) for where, text in in_sentences() if (found := re.match(r"--[a-z][\w.-]*\w", text))
    ]
    assert len(named) > 100
    assert [(where, option) for where, option in named if option not in known_ones] == []
    assert set(OF_OTHERS) <= {option for _, option in named}


def test_examples_in_the_help_are_known(pytestconfig: pytest.Config):
    wrong, count = [], 0
    for name, text in help_examples():
        for words in filter(known, commands(text)):
            count += 1
            try:
                tried(words, pytestconfig)
            except WrongError as error:
                wrong.append(f"{name}: {error}")
    assert not wrong
    assert count > 50


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("deploygate plan --inventori prod", "No such option.*--inventori"),
        ("deploygate plam --inventory prod", "has no command plam"),
        ("deploygate sign --change CHG-1", "Missing option"),
        ("deploygate lab fault replica-stoped", "no fault replica-stoped"),
        ("pytest -m phas2 --inventory prod", "no marker phas2"),
        ("pytest -m phase2 --inventry prod", "unrecognized arguments: --inventry"),
        ("pytest --items golive.dsn --inventory prod", "no item golive.dsn"),
        ("pip install 'pytest-deploygate[browsers]'", "no extra browsers"),
        ("bin/test --chnaged", "knows no --chnaged"),
        ("name: a\ndatabase: {replica: [db1]}", "not a valid inventory.*did you mean 'replicas'"),
        ("- {item: phase4.discrepancy, owner: me}", "not an issue log.*phase4.discrepancies"),
        ("- uses: ACME/pytest-deploygate@REF\n  with: {phase: phase2}", "no input phase"),
        ("- repo: URL\n  hooks: [{id: deploygate-pan}]", "no hook deploygate-pan"),
        ("- [ ] Restored {#a.b check=db.restor}", "no item db.restor"),
        ('{"backends": [{"name": "web1", "state": "inn"}]}', "says"),
        ('{"date": "2026-03-01T10:00:00Z", "outcome": "good", "rto": 5}', "does not have"),
        ("def pytest_deploygate_notify(event, words):\n    pass", "no argument words"),
        ('@pytest.mark.item("a.b")\ndef test_one(gate, postgre):\n    pass', "no fixture postgre"),
    ],
)
def test_a_wrong_example_is_noticed(text: str, said: str, pytestconfig: pytest.Config):
    with pytest.raises(WrongError, match=f"(?s){said}"):
        was_tried(Block("docs/page.md", 1, "", text), pytestconfig)


def test_an_example_of_no_kind_is_noticed(pytestconfig: pytest.Config):
    assert not was_tried(Block("docs/page.md", 1, "", "replication: is fine\nor not"), pytestconfig)


def test_the_pages_of_every_folder_are_read():
    assert {b.page for b in ALL} >= {"README.md", "docs/getting-started.md", "docs/checks/dns.md"}
