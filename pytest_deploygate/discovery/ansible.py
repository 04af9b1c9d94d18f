"""The servers of an Ansible inventory, as Ansible's own program reads it; nothing connects to them."""

from collections import Counter
from pathlib import Path

from pytest_deploygate.checks.hosts.listing import ansible
from pytest_deploygate.checks.hosts.section import Ansible
from pytest_deploygate.discovery.found import Fact, Found
from pytest_deploygate.model import CannotTell

_OF_ALL = ("all", "ungrouped")


def look(files: list[tuple[Path, str]]) -> Found:
    """Return the section `hosts` that names these inventories: each with how the written inventory calls it.

    Raises CannotTell if Ansible cannot read them.
    """
    try:
        listed = ansible.read(
            Ansible.model_validate({"inventory": [str(path.resolve()) for path, _ in files]})
        )
    except ValueError as error:
        raise CannotTell(str(error)) from None
    groups = Counter(group for host in listed.hosts for group in host.groups if group not in _OF_ALL)
    expected = {"all": len(listed.hosts), **dict(sorted(groups.items()))}
    return Found(
        (
            Fact(("hosts", "ansible", "inventory"), [name for _, name in files], "named", given=True),
            Fact(("hosts", "expected"), expected, "ansible-inventory --list"),
        )
    )
