"""An Ansible inventory of each form, read by Ansible's real programs; and each mistake as a sentence of its own."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_deploygate.checks.hosts import section
from pytest_deploygate.checks.hosts.section import Host, Hosts
from pytest_deploygate.inventory.loader import InventoryError, Loaded, load

pytest.importorskip("ansible", reason="needs ansible-core")
INI = """
[web]
web[1:3]

[database]
db1 ansible_host=10.0.0.5 ansible_port=2222 ansible_user=postgres zone=b

[production:children]
database

[production]
web1

[retired]

[all:vars]
zone=a
"""
YAML = """
all:
  children:
    web:
      hosts: {web1: , web2: }
      vars: {zone: a}
    database:
      hosts: {db1: {ansible_host: 10.0.0.5}}
"""
SCRIPT = """#!/bin/sh
echo '{"web": {"hosts": ["web1"]}, "_meta": {"hostvars": {"web1": {"ansible_host": "10.0.0.7"}}}}'
"""


@pytest.fixture
def listed(tmp_path: Path) -> Callable[..., Hosts]:
    """Return a function that lists an inventory: text of a file, or a path; keys of `ansible` and `hosts`."""

    def found(source: str | Path, hosts: str = "", **keys: str) -> Hosts:
        return loaded(tmp_path, source, hosts, **keys).inventory.of(section.Keys).hosts

    return found


def loaded(folder: Path, source: str | Path, hosts: str = "", **keys: str) -> Loaded:
    path = folder / "hosts.ini"
    if isinstance(source, str):
        path.write_text(source)
    words = "".join(f"    {name}: {value}\n" for name, value in keys.items())
    place = source if isinstance(source, Path) else path
    inventory = folder / "inventory.yml"
    inventory.write_text(f"name: test\nhosts:\n  ansible:\n    inventory: {place}\n{words}{hosts}")
    return load(str(inventory), folder, told={})


def problem(listed: Callable[..., Hosts], *args: object, **keys: str) -> str:
    with pytest.raises(InventoryError) as error:
        listed(*args, **keys)
    return str(error.value)


def by_name(hosts: Hosts) -> dict[str, Host]:
    return {host.name: host for host in hosts.servers}


def test_ini_with_ranges_children_and_variables(listed):
    found = by_name(listed(INI, failure_domain="zone"))
    assert list(found) == ["web1", "web2", "web3", "db1"]
    assert found["web1"].roles == ["production", "web"]
    assert found["db1"].roles == ["database", "production"]
    assert found["db1"].connection == "ssh://postgres@10.0.0.5:2222"
    assert [host.failure_domain for host in found.values()] == ["a", "a", "a", "b"]


def test_yaml(listed, tmp_path):
    file = tmp_path / "hosts.yml"
    file.write_text(YAML)
    found = by_name(listed(file))
    assert found["db1"].connection == "ssh://10.0.0.5"
    assert found["web2"].roles == ["web"]


@pytest.mark.long
def test_a_folder_with_group_and_host_variables(listed, tmp_path):
    folder = tmp_path / "production"
    for name in ("group_vars", "host_vars"):
        (folder / name).mkdir(parents=True)
    (folder / "hosts").write_text(INI)
    (folder / "group_vars" / "web.yml").write_text("ansible_user: deploy\n")
    (folder / "host_vars" / "web2.yml").write_text("ansible_host: 10.0.0.9\n")
    found = by_name(listed(folder))
    assert found["web1"].connection == "ssh://deploy@web1"
    assert found["web2"].connection == "ssh://deploy@10.0.0.9"


def test_a_dynamic_script(listed, tmp_path):
    assert listed(_script(tmp_path, SCRIPT)).servers[0].connection == "ssh://10.0.0.7"


@pytest.mark.long
def test_several_inventories(listed, tmp_path):
    (tmp_path / "more.yml").write_text(YAML.replace("web1", "web8"))
    (tmp_path / "one.ini").write_text("[web]\nweb1\n")
    found = listed(Path("[one.ini, more.yml]"))
    assert {"web1", "web8"} <= set(by_name(found))


@pytest.mark.parametrize(
    ("pattern", "limit", "names"),
    [
        ("web:&production", "", ["web1"]),
        ("all:!web", "", ["db1"]),
        ("web[0],w*2", "", ["web1", "web2"]),
        ("all", "web:!web1", ["web2", "web3"]),
    ],
)
def test_patterns_and_limits_mean_what_they_mean_to_ansible(listed, pattern, limit, names):
    keys = {"pattern": f'"{pattern}"'} | ({"limit": f'"{limit}"'} if limit else {})
    assert list(by_name(listed(INI, **keys))) == names


@pytest.mark.long
def test_templates_are_filled_in_by_ansible(listed):
    text = 'web1 ansible_host="{{ inventory_hostname }}.{{ domain }}" domain=example.com\n'
    assert listed(text).servers[0].connection == "ssh://web1.example.com"


@pytest.mark.long
def test_becoming_another_user_with_a_password(listed, tmp_path):
    folder = _vault(tmp_path, "ansible_become: true\nansible_become_password: correct-horse\n")
    host = listed(folder, vault_password="file:pw").servers[0]
    assert (host.run_as, host.run_as_password.reveal()) == ("root", "correct-horse")
    assert "correct-horse" not in repr(host)


@pytest.mark.long
def test_a_single_value_from_the_vault(listed, tmp_path):
    (tmp_path / "pw").write_text("hunter2-hunter2")
    text = _ansible_vault(tmp_path, "encrypt_string", "--name=ansible_become_password", "correct-horse")
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars" / "all.yml").write_text(f"ansible_become: true\n{text}")
    host = listed("web1\n", vault_password="file:pw").servers[0]
    assert host.run_as_password.reveal() == "correct-horse"


CONNECTIONS = {
    "here ansible_connection=local": "local://",
    "six ansible_host=2001:db8::1 ansible_user=u": "ssh://u@[2001:db8::1]",
    "key ansible_ssh_private_key_file=/k/id": "ssh://key?ssh_identity_file=/k/id",
    "jump ansible_ssh_common_args='-J bastion'": "ssh://jump?ssh_extra_args=-J%20bastion",
    "docker ansible_connection=community.docker.docker ansible_host=c1": "docker://c1",
    "podman ansible_connection=containers.podman.podman ansible_user=app": "podman://app@podman",
    "pod ansible_connection=kubectl ansible_kubectl_namespace=shop": "kubectl://pod?namespace=shop",
    "login ansible_password=correct-horse": "ansible://login",
    "doas ansible_become=true ansible_become_method=doas": "ansible://doas",
    "windows ansible_connection=winrm": "ansible://windows",
}


@pytest.mark.long
def test_connections_and_what_is_left_to_ansible(listed):
    found = [h.connection.partition("?ansible_inventory=")[0] for h in listed("\n".join(CONNECTIONS)).servers]
    assert found == list(CONNECTIONS.values())


@pytest.mark.long
def test_what_ansible_cfg_sets_counts_after_variables(listed, tmp_path, monkeypatch):
    (tmp_path / "ansible.cfg").write_text("[defaults]\nremote_user = fromcfg\nremote_port = 2200\n")
    monkeypatch.setenv("ANSIBLE_CONFIG", str(tmp_path / "ansible.cfg"))
    found = listed("web1\nweb2 ansible_user=own\n").servers
    assert [host.connection for host in found] == ["ssh://fromcfg@web1:2200", "ssh://own@web2:2200"]


MISTAKES = {
    "a misspelt group": ({"pattern": "databse"}, "named 'databse'; did you mean 'database'?"),
    "a misspelt part of a pattern": ({"pattern": '"web:&prodution"'}, "did you mean 'production'?"),
    "a misspelt limit": ({"limit": "wbe1"}, "limit: no group and no host"),
    "an empty group": ({"pattern": "retired"}, "the group 'retired'"),
    "an empty group beside another": ({"pattern": "web:retired"}, "the group 'retired'"),
    "nothing in common": ({"pattern": '"web2:&database"'}, "selects none of the hosts"),
}


@pytest.mark.parametrize(("keys", "says"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_the_pattern_names_the_nearest(listed, keys, says):
    said = problem(listed, INI, **keys)
    assert says in said
    assert said.startswith("inventory.yml:3: hosts.ansible: ")


@pytest.mark.long
def test_a_misspelt_role_in_expected(listed):
    assert "did you mean 'database'?" in problem(listed, INI, "  expected: {databse: 1}\n")


def test_a_broken_ini(listed):
    said = problem(listed, "[web\nweb1 ansible_password=correct horse battery\n")
    assert "hosts.ini cannot be read as an inventory" in said
    assert "horse" not in said


@pytest.mark.long
def test_a_broken_ini_does_not_repeat_what_may_be_a_password(listed):
    said = problem(listed, "web1 ansible_password=correct horse-battery\n")
    assert "Expected key=value host variable assignment" in said
    assert "horse" not in said


@pytest.mark.long
def test_a_broken_yaml(listed, tmp_path):
    (tmp_path / "hosts.yml").write_text("all:\n  hosts: [web1\n")
    said = problem(listed, tmp_path / "hosts.yml")
    assert "hosts.yml" in said
    assert "YAML" in said
    assert "did not find expected" in said


def test_a_vault_without_a_password(listed, tmp_path):
    assert "add `vault_password: env:NAME`" in problem(listed, _vault(tmp_path, "zone: a\n"))


@pytest.mark.long
def test_a_vault_with_another_password(listed, tmp_path):
    folder = _vault(tmp_path, "zone: a\n")
    (tmp_path / "other").write_text("wrong-wrong")
    said = problem(listed, folder, vault_password="file:other")
    assert "`vault_password` does not open the vault" in said
    assert "wrong-wrong" not in said


def test_a_script_that_fails(listed, tmp_path):
    said = problem(listed, _script(tmp_path, "#!/bin/sh\nexit 3\n"))
    assert "script.sh" in said
    assert re.search("exit code 3|execution error", said)


@pytest.mark.long
def test_a_script_that_prints_no_json(listed, tmp_path):
    said = problem(listed, _script(tmp_path, "#!/bin/sh\necho Welcome\n"))
    assert "Expecting value" in said


def test_a_script_that_hangs_is_ended_with_its_children(listed, tmp_path):
    mark = f"{tmp_path}/alive"
    script = _script(tmp_path, f"#!/bin/sh\n(sleep 4; touch {mark}) & sleep 60\n")
    began = time.monotonic()
    assert "did not end within 2 s" in problem(listed, script, timeout="2s")
    assert time.monotonic() - began < 15
    time.sleep(3)
    assert not Path(mark).exists()


def test_a_variable_that_cannot_be_filled_in(listed):
    assert "web1: a variable cannot be filled in" in problem(listed, 'web1 ansible_host="{{ nowhere }}"\n')


def test_ansible_is_not_installed(listed, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "ansible-inventory, which is not installed here: pip install" in problem(listed, INI)


def test_no_such_inventory(listed, tmp_path):
    assert "no such file or folder" in problem(listed, tmp_path / "nowhere.ini")


def test_what_was_listed_counts_as_a_value_of_the_inventory(tmp_path):
    first, again = loaded(tmp_path, INI), loaded(tmp_path, INI)
    other = loaded(tmp_path, INI.replace("10.0.0.5", "10.0.0.6"))
    assert first.values == again.values != other.values


def test_another_process_of_the_run_takes_what_was_listed(tmp_path, monkeypatch):
    first = loaded(tmp_path, INI)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    again = load(str(tmp_path / "inventory.yml"), tmp_path, told=first.listed)
    assert again.inventory == first.inventory


def _script(folder: Path, text: str) -> Path:
    path = folder / "script.sh"
    path.write_text(text)
    path.chmod(0o755)
    return path


def _vault(folder: Path, variables: str) -> Path:
    place = folder / "vaulted"
    (place / "group_vars").mkdir(parents=True)
    (place / "hosts").write_text("web1\n")
    (folder / "pw").write_text("hunter2-hunter2")
    (place / "group_vars" / "all.yml").write_text(variables)
    _ansible_vault(folder, "encrypt", str(place / "group_vars" / "all.yml"))
    return place


def _ansible_vault(folder: Path, *arguments: str) -> str:
    program = Path(sys.executable).parent / "ansible-vault"
    options = ["--vault-password-file", str(folder / "pw")]
    done = subprocess.run(
        [program, arguments[0], *options, *arguments[1:]],
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return done.stdout


_FIREWALL = "firewall: {{rules: [{{from: {source}, to: web, ports: tcp/443, expected: open}}]}}\n"
_LOGS = (
    "access_logs: {{request: {{url: 'http://127.0.0.1/'}}, canaries: {{body: false}},"
    " hops: [{{name: nginx, hosts: [{host}], file: /var/log/a, format: combined}}]}}\n"
)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (_FIREWALL.format(source="db1"), None),
        (
            _FIREWALL.format(source="databse"),
            r"x.yml:\d+: firewall.rules\[0\].from: .*'databse'; did you mean 'database'",
        ),
        (_LOGS.format(host="db1"), None),
        (_LOGS.format(host="db11"), r"x.yml:\d+: .*'db11'; did you mean 'db1'"),
    ],
)
def test_names_in_other_sections_are_those_that_were_listed(tmp_path, more, says):
    (tmp_path / "hosts.ini").write_text(INI)
    (tmp_path / "x.yml").write_text(
        f"name: x\nhosts:\n  ansible: {{inventory: {tmp_path}/hosts.ini}}\n{more}"
    )
    if says is None:
        assert load(str(tmp_path / "x.yml"), tmp_path, told={})
        return
    assert load(str(tmp_path / "x.yml"), tmp_path), "who does not ask Ansible cannot know"
    with pytest.raises(InventoryError) as found:
        load(str(tmp_path / "x.yml"), tmp_path, told={})
    assert re.search(says, str(found.value)), str(found.value)
