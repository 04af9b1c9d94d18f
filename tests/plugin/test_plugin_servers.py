"""testinfra's `host` over the servers of the inventory: names as ids, roles, findings, and servers that do not answer."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

SERVERS = """\
name: prod
hosts:
  servers:
    - {name: web1, connection: "local://", roles: [web]}
    - {name: web2, connection: "local://?second", roles: [web]}
    - {name: db1, connection: "local://?third", roles: [database]}
"""
DOWN = SERVERS + '    - {name: db2, connection: "ssh://root@127.0.0.1:1", roles: [database]}\n'
PLAIN = """
def test_shell(host):
    assert host.file("/bin/sh").exists
"""
BOUND = """
@pytest.mark.item("b.migrations")
def test_shell(host):
    assert host.file("/bin/sh").exists
"""


@pytest.fixture
def serving(project):
    """A project whose inventory has three servers, all this machine."""
    project.inventory(SERVERS)
    return project


def ids(text: str) -> list[str]:
    return [line.partition("[")[2].partition("]")[0] for line in text.splitlines() if "::test_" in line]


def test_a_test_runs_on_each_server_with_its_name_as_id(serving):
    serving.suite(PLAIN)
    ran = serving.run_process("--collect-only", "-q")
    assert ids(ran.text) == ["web1", "web2", "db1"], ran.text
    ran = serving.run_process("-m", "phase2", "suites/test_suite.py::test_shell[db1]")
    assert "test_shell" not in ran.text, ran.text


@pytest.mark.parametrize(
    ("mark", "names"),
    [('"database"', ["db1"]), ('"web"', ["web1", "web2"]), ('"database", "web2"', ["web2", "db1"])],
)
def test_a_marker_chooses_by_role_or_name(serving, mark, names):
    serving.suite(f"@pytest.mark.hosts({mark}){PLAIN}")
    assert ids(serving.run_process("--collect-only", "-q").text) == names


def test_a_misspelt_role_names_the_nearest(serving):
    serving.suite(f'@pytest.mark.hosts("databse"){PLAIN}')
    ran = serving.run_process("-m", "phase2")
    assert ran.code == 4
    assert "has the role or name 'databse'; did you mean 'database'?" in ran.text


def test_a_bound_test_with_assertions_passes_with_its_commands_as_evidence(serving):
    serving.suite(BOUND)
    serving.run_process("-m", "phase2")
    assert serving.verdict("b.migrations") == "pass"
    reasons = (serving.out / "journal.jsonl").read_text()
    assert "on web1, and all assertions hold" in reasons
    evidence = [path.read_text() for path in (serving.out / "evidence").glob("b.migrations--db1--*")]
    assert any("/bin/sh: exit code 0" in text for text in evidence)


#: Tests that hold whatever the server is like, and what is said of each.
EMPTY = {
    "no program": (
        "assert host.run('no-such-program --version').failed",
        "`no-such-program --version`: exit code 127: its program is not there",
    ),
    "output of no program": ("assert not host.run('no-such-program').stdout", "exit code 127"),
    "killed": ("assert host.run('kill -9 $$').failed", "it was ended by signal 9"),
    "a search that could not look": (
        "assert host.run('grep -q x /no/such/file').failed",
        "exit code 2: grep could not look",
    ),
    "a failure that nobody looks at": (
        "host.run('false'); assert host.run('true').succeeded",
        "`false`: exit code 1, and the test did not look at that",
    ),
    "nothing looked at": ("host.run('true')", "looked at the result of none of its commands"),
    "an error that is caught": (
        "host.run('true').rc\n    try: host.run('sleep 60')\n    except Exception: pass",
        "`sleep 60`: local://: the command did not end within 1 s",
    ),
}


@pytest.mark.parametrize(("body", "says"), EMPTY.values(), ids=EMPTY)
def test_assertions_that_hold_whatever_the_server_is_like_are_no_pass(project, body, says):
    project.inventory(SERVERS.replace("hosts:\n", "hosts:\n  timeout: 1s\n"))
    project.suite(
        f'@pytest.mark.item("b.migrations")\n@pytest.mark.hosts("web1")\ndef test_it(host):\n    {body}\n'
    )
    project.run_process("-m", "phase2")
    assert project.verdict("b.migrations") == "inconclusive"
    assert f"all assertions hold, but {says if says[0] == '`' else ''}" in (journal := _journal(project))
    assert says in journal


def _journal(project) -> str:
    return "\n".join(
        str(json.loads(line)) for line in (project.out / "journal.jsonl").read_text().splitlines()
    )


SOUND = {
    "a program that is asked for first": "assert not host.exists('no-such-program')",
    "two programs that are asked for": "assert host.run('command -v no-such-1 || command -v no-such-2').failed",
    "a file that is not there": "assert not host.file('/no/such/file').exists",
    "a word that is not there": "assert not host.file('/etc/passwd').contains('no such word')",
    "a failure that is looked at": "assert host.run('exit 3').rc == 3",
    "a pipe": "assert host.run('no-such-program 2>&1 | grep -c .').stdout",
    "a link": "assert host.file('/bin').exists and host.file('/proc/self').linked_to",
}


@pytest.mark.parametrize("body", SOUND.values(), ids=SOUND)
def test_assertions_that_say_something_pass(project, body):
    project.inventory(SERVERS)
    project.suite(
        f'@pytest.mark.item("b.migrations")\n@pytest.mark.hosts("web1")\ndef test_it(host):\n    {body}\n'
    )
    project.run_process("-m", "phase2")
    assert project.verdict("b.migrations") == "pass", _journal(project)


def test_a_file_in_a_folder_that_may_not_be_entered_may_be_there(project, request):
    """`test -e` exits with 1 in both cases."""
    if os.getuid():
        pytest.skip("only root can run commands as somebody else here")
    # Not pytest's own folder: each run of pytest on this machine closes it to others.
    there = Path(tempfile.mkdtemp(prefix="deploygate-test-"))
    there.chmod(0o755)
    request.addfinalizer(lambda: shutil.rmtree(there))
    closed = there / "closed"
    closed.mkdir(mode=0o700)
    (closed / "key").write_text("")
    project.inventory(SERVERS.replace('"local://"', '"local://", run_as: nobody'))
    test = '@pytest.mark.item("b.migrations")\n@pytest.mark.hosts("web1")\ndef test_it(host):\n'
    project.suite(f"{test}    assert not host.file('{closed}/deep/key').exists\n")
    project.run_process("-m", "phase2")
    assert project.verdict("b.migrations") == "inconclusive"
    assert "deep/key may not be entered, so what is in it cannot be seen: set `run_as: root`" in _journal(
        project
    )
    project.suite(f"{test}    assert not host.file('{there}/other/key').exists\n")
    project.run_process("-m", "phase2", "--fresh")
    assert project.verdict("b.migrations") == "pass", _journal(project)


def test_a_failed_assertion_fails(serving):
    serving.suite(BOUND.replace(".exists", ".is_directory"))
    serving.run_process("-m", "phase2")
    assert serving.verdict("b.migrations") == "fail"


def test_a_test_that_asks_its_server_nothing_proves_nothing(serving):
    serving.suite('@pytest.mark.item("b.migrations")\ndef test_nothing(host): pass\n')
    ran = serving.run_process("-m", "phase2")
    assert ran.code == 25
    assert "never called gate.judge" in ran.text


def test_a_server_that_does_not_answer_is_inconclusive_without_a_traceback(project):
    project.inventory(DOWN)
    project.suite(BOUND)
    ran = project.run_process("-m", "phase2")
    assert project.verdict("b.migrations") == "inconclusive"
    assert "ssh://root@127.0.0.1:1 cannot be accessed" in project.reason("b.migrations")
    assert "Connection refused" in project.reason("b.migrations")
    assert "Traceback" not in ran.text


def test_a_command_that_does_not_end_is_inconclusive(serving):
    serving.inventory(SERVERS + "  timeout: 1s\n")
    serving.suite(
        '@pytest.mark.item("b.migrations")\n@pytest.mark.hosts("db1")\n'
        'def test_slow(host):\n    host.run("sleep 60")\n'
    )
    serving.run_process("-m", "phase2")
    assert serving.verdict("b.migrations") == "inconclusive"
    assert "did not end within 1 s" in serving.reason("b.migrations")


def test_with_hosts_on_the_command_line_all_is_testinfras_own(serving):
    serving.suite(PLAIN)
    assert ids(serving.run_process("--hosts=local://", "--collect-only", "-q").text) == ["local"]


def test_a_module_that_names_its_hosts_keeps_them(serving):
    serving.suite(f'testinfra_hosts = ["local://"]\n{PLAIN}')
    assert ids(serving.run_process("--collect-only", "-q").text) == ["local"]


def test_without_the_section_nothing_changes(project):
    project.suite(PLAIN)
    assert ids(project.run_process("--collect-only", "-q").text) == ["local"]


def test_beside_other_parameters(serving):
    serving.suite('@pytest.mark.parametrize("name", ["a", "b"])\ndef test_x(name, host): pass\n')
    assert set(ids(serving.run_process("--collect-only", "-q").text)) == {
        f"{server}-{name}" for server in ("web1", "web2", "db1") for name in "ab"
    }


def test_without_testinfras_plugin(serving):
    serving.suite(BOUND)
    serving.run_process("-m", "phase2", "-p", "no:testinfra", "-p", "no:pytest11.testinfra")
    assert serving.verdict("b.migrations") == "pass"


def test_without_testinfra_itself(serving, tmp_path):
    (tmp_path / "testinfra").mkdir()
    (tmp_path / "testinfra" / "__init__.py").write_text("raise ImportError")
    serving.suite(BOUND)
    words = ("--inventory", "prod", "-m", "phase2", "-p", "no:pytest11.testinfra")
    serving.start(*words, PYTHONPATH=str(tmp_path)).communicate(timeout=60)
    assert serving.verdict("b.migrations") == "inconclusive"
    reason = serving.reason("b.migrations")
    assert (
        "needs testinfra, which is not installed here: pip install 'pytest-deploygate[testinfra]'" in reason
    )


def test_workers_take_what_the_controller_listed(project, tmp_path):
    """An inventory that is another one each time it is asked: under pytest-xdist all processes must have the same tests."""
    pytest.importorskip("ansible", reason="needs ansible-core")
    pytest.importorskip("xdist")
    script = tmp_path / "listing.py"
    script.write_text(
        f"#!{sys.executable}\nimport json, pathlib\n"
        f"count = pathlib.Path({str(tmp_path / 'count')!r})\n"
        "with count.open('a') as file: file.write('x')\n"  # Ansible's programs run side by side
        "number = count.stat().st_size\n"
        'local = {"ansible_connection": "local"}\n'
        'hosts = {f"h{n}": local for n in range(number + 2)}\n'
        'print(json.dumps({"web": {"hosts": [*hosts]}, "_meta": {"hostvars": hosts}}))\n'
    )
    script.chmod(0o755)
    project.inventory(f"name: prod\nhosts:\n  ansible:\n    inventory: {script}\n    pattern: 'h0:h1'\n")
    project.suite(BOUND)
    ran = project.run_process("-m", "phase2", "-n", "2")
    assert project.verdict("b.migrations") == "pass", ran.text
    assert (tmp_path / "count").stat().st_size <= 2  # once for each of Ansible's two programs


def test_a_misspelt_group_of_ansible_ends_the_run(project):
    pytest.importorskip("ansible", reason="needs ansible-core")
    (project.path / "hosts.ini").write_text("[web]\nweb1\n")
    project.inventory("name: prod\nhosts:\n  ansible: {inventory: ../hosts.ini, pattern: wbe}\n")
    ran = project.run_process("-m", "phase2")
    assert ran.code == 4
    assert "inventories/prod.yml:3: hosts.ansible: pattern: no group and no host" in ran.text
    assert "is named 'wbe'; did you mean 'web'?" in ran.text
    assert not project.out.exists()


def test_a_password_of_ansibles_inventory_leaves_nothing(project):
    pytest.importorskip("ansible", reason="needs ansible-core")
    words = "ansible_host=127.0.0.1 ansible_port=1 ansible_become=true ansible_become_password=canary-7c1f"
    (project.path / "hosts.ini").write_text(f"[web]\nweb1 {words} other_secret=canary-99aa\n")
    project.inventory("name: prod\nhosts:\n  ansible: {inventory: ../hosts.ini}\n")
    project.suite(BOUND.replace("assert", "print(host); assert"))
    ran = project.run_process("-m", "phase2", "-s", "-vv", "--showlocals")
    assert project.verdict("b.migrations") == "inconclusive"
    assert "inventory: hosts: 1 listed from elsewhere" in ran.text
    texts = [path.read_text(errors="replace") for path in project.out.rglob("*") if path.is_file()]
    assert texts
    for text in (ran.text, *texts):
        assert "canary" not in text


def test_forty_hosts_of_one_cause_are_one_finding_and_all_are_in_the_evidence(project):
    gone = "".join(
        f'    - {{name: gone{n}, connection: "ssh://root@127.0.0.1:1?timeout={n + 1}"}}\n' for n in range(40)
    )
    project.inventory(SERVERS + gone)
    project.suite(
        """
        from pytest_deploygate.checks.hosts import judge, probe

        @pytest.mark.item("a.servers")
        def test_servers(gate, hosts):
            gate.judge(judge.judge, probe.fleet(hosts), hosts)
        """
    )
    project.run_process("-m", "preflight")
    assert project.verdict("a.servers") == "fail"
    assert "gone0, gone1, gone2, gone3, gone4 and 35 more: it refuses the connection" in project.reason(
        "a.servers"
    )
    evidence = [path.read_text() for path in (project.out / "evidence").glob("a.servers--*")]
    assert len(evidence) == 1
    assert all(f'"gone{n}"' in evidence[0] for n in range(40))
