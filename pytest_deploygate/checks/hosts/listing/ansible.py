"""Ask Ansible's own programs what is in an inventory: its hosts, groups and variables. Nothing of it is parsed here.

`ansible-inventory --list` gives groups and variables as JSON, `ansible PATTERN --list-hosts` the hosts of a pattern in their
order, `ansible-config dump` what ansible.cfg sets. Variables with templates or vaulted values are filled in by Ansible's
`debug` module, which runs here and connects to nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pytest_deploygate.checks.hosts.section import Ansible
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.problems import nearest
from pytest_deploygate.redaction import Secret, redact

#: The variables that say how a host is reached. Others are not kept: they are the platform's own, secrets among them.
VARIABLES = (
    "ansible_host", "ansible_ssh_host", "ansible_port", "ansible_ssh_port", "ansible_user", "ansible_ssh_user",
    "ansible_connection", "ansible_password", "ansible_ssh_password", "ansible_ssh_pass", "ansible_private_key_file",
    "ansible_ssh_private_key_file", "ansible_ssh_common_args", "ansible_ssh_extra_args", "ansible_become",
    "ansible_become_user", "ansible_become_method", "ansible_become_password", "ansible_become_pass",
    "ansible_shell_type", "ansible_kubectl_namespace", "ansible_kubectl_container", "ansible_kubectl_context",
    "ansible_kubectl_kubeconfig",
)  # fmt: skip
_SECRET = re.compile(r"pass")
#: Messages without colours, in English, one to a line. A source that cannot be read is an error: Ansible only warns.
_ENVIRONMENT = {
    "LC_ALL": "C.UTF-8",
    "ANSIBLE_NOCOLOR": "1",
    "ANSIBLE_FORCE_COLOR": "0",
    "ANSIBLE_VERBOSITY": "0",
    "ANSIBLE_DEPRECATION_WARNINGS": "0",
    "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "1",
    "ANSIBLE_STDOUT_CALLBACK": "minimal",
    "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
    "ANSIBLE_LOAD_CALLBACK_PLUGINS": "0",
    "COLUMNS": "10000",
}
_MOST = 300
_UNMATCHED = re.compile(r"Could not match supplied host pattern, ignoring: (\S+)")
_NO_HOSTS = "leaves us with no hosts"
#: As Ansible 2.19 and as earlier versions write it.
_PLUGIN = re.compile(
    r"Failed to parse (?:inventory with '(\w+)'|.+? with (\w+)) plugin: (.+?)(?= Failed to parse inventory with|$)"
)
_ENTRY = re.compile(r"\n(?=\[|ERROR)")
#: What Ansible read instead of what it expected, or shows of the file, may be a part of a password.
_OF_THE_FILE = re.compile(r",? got: .*|The (error|offending line) appears .*")
_ORIGIN = re.compile(r"Origin: (.+)")
_RESULT = re.compile(r"^(.+?) \| (\w+)!? => (?=\{)", re.MULTILINE)
_OF_ALL = ("all", "ungrouped")


@dataclass(frozen=True)
class Listed:
    """One host: its name, its groups, and those of its variables that are kept."""

    name: str
    groups: tuple[str, ...]
    variables: Mapping[str, Any]


@dataclass(frozen=True)
class Listing:
    """The hosts of the pattern in Ansible's order, and what ansible.cfg and the environment set, by Ansible's names."""

    hosts: tuple[Listed, ...]
    defaults: Mapping[str, Any]


def read(asked: Ansible) -> Listing:
    """Return the hosts of the inventory that its pattern selects. Raises ValueError with a sentence for people."""
    told = [f"--inventory={path}" for path in asked.inventory]
    select = [asked.pattern, *([f"--limit={asked.limit}"] if asked.limit else [])]
    with ThreadPoolExecutor(3, "ansible") as pool:  # each needs half a second, most of it to start Python
        whole = pool.submit(_run, asked, "ansible-inventory", "--list", *told)
        names = pool.submit(_run, asked, "ansible", *select, "--list-hosts", *told, may_fail=True)
        settings = pool.submit(
            _run, asked, "ansible-config", "dump", "--only-changed", "--format=json", "--type=all"
        )
        inventory = _json(whole.result().output, "ansible-inventory")
        matched, defaults = names.result(), _defaults(_json(settings.result().output, "ansible-config"))
    groups, variables = _groups(inventory), inventory.get("_meta", {}).get("hostvars", {})
    hosts = _matched(matched, asked, groups)
    wanted = [*VARIABLES, *([asked.failure_domain] if asked.failure_domain else [])]
    kept = {
        host: {name: variables[host][name] for name in wanted if name in variables.get(host, {})}
        for host in hosts
    }
    if templates := [host for host, values in kept.items() if any(map(_unfilled, values.values()))]:
        kept |= _filled_in(asked, templates, wanted, told)
    for values in kept.values():
        for name, value in values.items():
            if _SECRET.search(name) and value:
                Secret(str(value))  # masked from now on
    return Listing(
        tuple(
            Listed(host, tuple(name for name, members in groups.items() if host in members), kept[host])
            for host in hosts
        ),
        defaults,
    )


@dataclass(frozen=True)
class _Done:
    code: int
    output: str
    errors: str


def _run(asked: Ansible, program: str, *arguments: str, may_fail: bool = False) -> _Done:
    """Run one of Ansible's programs within the time limit. The vault's password is its standard input."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    found = shutil.which(program, path=path)
    if found is None:
        raise ValueError(
            f"an Ansible inventory is read by {program}, which is not installed here: "
            "pip install 'pytest-deploygate[ansible]'"
        )
    command, password = [found, *arguments], b""
    if asked.vault_password is not None and program != "ansible-config":
        command.append("--vault-password-file=/dev/stdin")
        password = asked.vault_password.reveal().encode()
    limit_s = asked.timeout.total_seconds()
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **_ENVIRONMENT, "PATH": path},
        start_new_session=True,
    ) as process:
        try:
            output, errors = process.communicate(password, limit_s)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # the inventory's script, too
            raise ValueError(
                f"{program} did not end within {limit_s:g} s (`timeout`): try `ansible-inventory --list -i "
                f"{asked.inventory[0]}`; a script that asks a slow service needs a cache"
            ) from None
    done = _Done(process.returncode, output.decode(errors="replace"), errors.decode(errors="replace"))
    if done.code and not may_fail:
        raise ValueError(_why(asked, program, done))
    return done


def _why(asked: Ansible, program: str, done: _Done) -> str:
    """Return in one sentence why a program failed, from its messages."""
    said = done.errors
    if "no vault secrets found" in said:
        return (
            f"{_sources(asked)}: a part is encrypted with Ansible Vault, and no password is given: "
            "add `vault_password: env:NAME`"
        )
    if "no vault secrets were found that could decrypt" in said or "Decryption failed" in said:
        return f"{_sources(asked)}: `vault_password` does not open the vault: check which vault it is for"
    if source := re.search(r"Completely failed to parse inventory source (.+)", said):
        entries = [" ".join(entry.split()) for entry in _ENTRY.split(said)]
        tried = {new or old: words for entry in entries for new, old, words in _PLUGIN.findall(entry)[:1]}
        form = "yaml" if source[1].endswith((".yml", ".yaml", ".json")) else "ini"
        why = tried.get("script") or tried.get(form) or next(iter(reversed(tried.values())), "")
        places = [place for place in _ORIGIN.findall(said) if re.match(r"/.*:\d+", place)]
        place = places[0] if places and places[0].startswith(source[1]) else source[1]
        return f"{place} cannot be read as an inventory: {_plain(why) or 'no plugin of Ansible accepts it'}"
    errors = re.findall(r"\[?ERROR\]?!?:? (.+)", said)
    return f"{program} failed: {_plain(errors[0] if errors else said) or f'exit code {done.code}'}"


def _plain(text: str) -> str:
    """Return a message on one line, without what it repeats of the file."""
    words = _OF_THE_FILE.sub("", " ".join(text.split())).strip()
    words = redact(words.removeprefix("Failed to parse inventory: "))
    return words if len(words) <= _MOST else f"{words[:_MOST]} …"


def _sources(asked: Ansible) -> str:
    return ", ".join(map(str, asked.inventory))


def _json(text: str, program: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise ValueError(f"{program} printed something else than JSON") from None


def _groups(inventory: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the members of each group, those of its children included, without the groups that every host is in."""
    names = {
        *inventory,
        *(child for group in inventory.values() for child in group.get("children", [])),
    } - {"_meta", *_OF_ALL}
    return {name: list(dict.fromkeys(_members(inventory, name, frozenset()))) for name in sorted(names)}


def _members(inventory: Mapping[str, Any], name: str, above: frozenset[str]) -> Iterator[str]:
    group = inventory.get(name, {})
    yield from group.get("hosts", [])
    for child in group.get("children", []):
        if child not in above:
            yield from _members(inventory, child, above | {name})


def _matched(done: _Done, asked: Ansible, groups: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the hosts that a pattern selects. A part of it that matches nothing is a mistake; Ansible only warns."""
    known = [*groups, *dict.fromkeys(host for members in groups.values() for host in members), *_OF_ALL]
    for part in _UNMATCHED.findall(" ".join(done.errors.split())):  # earlier versions fold their lines
        key = "pattern" if part in asked.pattern else "limit"
        raise ValueError(
            f"{key}: no group and no host of {_sources(asked)} is named {part!r}{nearest(part, known)}"
        )
    for key, pattern in (("pattern", asked.pattern), ("limit", asked.limit or "")):
        for part in re.split(r"[,:]", pattern):
            if part.lstrip("&") in groups and not groups[part.lstrip("&")]:
                raise ValueError(f"{key}: the group {part.lstrip('&')!r} of {_sources(asked)} has no host")
    hosts = [line.strip() for line in done.output.splitlines()[1:] if line.strip()]
    if done.code and _NO_HOSTS not in done.errors:
        raise ValueError(_why(asked, "ansible", done))
    if not hosts:
        limited = f" within the limit {asked.limit!r}" if asked.limit else ""
        raise ValueError(
            f"the pattern {asked.pattern!r}{limited} selects none of the hosts of {_sources(asked)}"
        )
    return hosts


def _defaults(dumped: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what ansible.cfg and environment set; options of the ssh connection by their own names."""
    found = {entry["name"]: entry["value"] for entry in dumped if "name" in entry}
    for entry in dumped:
        for plugin in entry.get("CONNECTION_PLUGINS", []):
            found |= {one["name"]: one["value"] for one in plugin.get("ssh", [])}
    return found


def _unfilled(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, str) and ("{{" in value or "{%" in value))


def _filled_in(
    asked: Ansible, hosts: Sequence[str], wanted: Sequence[str], told: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return the variables of these hosts as Ansible fills them in. Raises ValueError if one cannot be."""
    words = ", ".join(f"'{name}': {name} | default(None)" for name in wanted)
    message = json.dumps({"msg": f"{{{{ {{{words}}} }}}}"})
    # As many hosts as a command line takes: a name has at most 253 characters.
    found: dict[str, dict[str, Any]] = {}
    for start in range(0, len(hosts), 300):
        part = ":".join(hosts[start : start + 300])
        arguments = ("--module-name=ansible.builtin.debug", f"--args={message}", "--forks=8")
        done = _run(asked, "ansible", part, *arguments, *told, may_fail=True)
        for result in _RESULT.finditer(done.output):
            said, _ = json.JSONDecoder().raw_decode(done.output, result.end())
            if result[2] != "SUCCESS":
                raise ValueError(
                    f"{result[1]}: a variable cannot be filled in: {_plain(str(said.get('msg')))}"
                )
            found[result[1]] = {name: value for name, value in said["msg"].items() if value is not None}
        if missing := [host for host in hosts[start : start + 300] if host not in found]:
            raise ValueError(f"{missing[0]}: {_why(asked, 'ansible', done)}")
    return found
