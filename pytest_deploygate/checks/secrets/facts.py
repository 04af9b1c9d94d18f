"""What was seen of secrets, as frozen values: places and fingerprints, never a secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from pytest_deploygate.judging.silent_hosts import Failure
from pytest_deploygate.lazy import dataclass


class Kind(StrEnum):
    """Where a secret was found."""

    ARGUMENTS = "arguments"
    ENVIRONMENT = "environment"
    FILE = "file"
    LOG = "log"
    NAME = "name"
    JOURNAL = "journal"
    IMAGE = "image"
    CONFIG_MAP = "configmap"


@dataclass(frozen=True)
class Place:
    """A place: a path, the name of a process with its `pid`, a container image, or the key of a ConfigMap. `line` is None if it is not known.

    `contained`: the process runs in a container.
    """

    kind: Kind
    path: str
    line: int | None = None
    pid: int | None = None
    contained: bool = False


@dataclass(frozen=True)
class Found:
    """A secret that was found: one of the inventory by its reference (`ours`), or one that has a known format, by the rule.

    The fingerprint is an HMAC of the secret; its key is the inventory's, or made for the run.
    """

    what: str
    ours: bool
    place: Place
    fingerprint: str


@dataclass(frozen=True)
class KeyState:
    """A file with a key: permissions as a number, owner and group. `declared` is the entry of `key_files`, if it has one."""

    path: str
    mode: int
    owner: str
    group: str
    declared: str | None = None


@dataclass(frozen=True)
class Looked:
    """How much of a host was looked into.

    `processes` counts those that were seen, `hidden_arguments` and `hidden_environments` are those of them that did not show
    them to `user`; `hidepid`: those of other users are not seen at all. `images` is None if they
    were not looked at, or there is no program for containers, `more_images` were not looked at because they are many, and the
    programs in `no_images_by` did not list them. Of the files in `cut`, the logs in `cut_logs` and the processes in
    `cut_processes` (name and number) only a part was looked at; `unread` could not be opened; `closed` folders may not be listed, and `missing` ones do not exist. The names in `limited` are parts that
    reached the limit of size, in `ended` that of time, and in `absent` those that the host could not send.
    """

    user: str = ""
    processes: int = 0
    hidden_arguments: int = 0
    hidden_environments: tuple[Place, ...] = ()
    hidepid: bool = False
    files: int = 0
    logs: int = 0
    names: int = 0
    images: int | None = None
    more_images: int = 0
    no_images_by: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()
    cut_logs: tuple[str, ...] = ()
    cut_processes: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    limited: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


@dataclass(frozen=True)
class Seen:
    """What was seen of one host, or why nothing was. `no_key` are entries of `key_files` of which it has no file."""

    name: str
    roles: tuple[str, ...]
    looked: Looked | None = None
    found: tuple[Found, ...] = ()
    keys: tuple[KeyState, ...] = ()
    no_key: tuple[str, ...] = ()
    failure: Failure | None = None


@dataclass(frozen=True)
class Search:
    """What was looked for, and what was seen on each host.

    `wanted` are the references of the inventory's secrets, `weak` those that are not looked for, with the reason.
    `rules` counts the formats, `unusable` are rules that cannot be used, with the reason.
    """

    hosts: tuple[Seen, ...]
    wanted: tuple[str, ...]
    weak: Mapping[str, str]
    rules: int
    unusable: tuple[str, ...] = ()


@dataclass(frozen=True)
class Token:
    """A vault's token: the time that it still holds and its age, in seconds; `ttl_s` is None if it holds for ever."""

    ttl_s: float | None
    age_s: float | None
    policies: tuple[str, ...]


@dataclass(frozen=True)
class VaultState:
    """A vault server. `sealed` and `initialized` are None if it did not say so; `problem` is then why.

    `token` is None if it was not asked for, or refused (`token_problem`). `leases` are the seconds until each ends, None if
    it is not known, with the reason in `lease_problems`.
    """

    name: str
    sealed: bool | None = None
    initialized: bool | None = None
    version: str = ""
    problem: str = ""
    token: Token | None = None
    token_problem: str = ""
    leases: Mapping[str, float | None] = field(default_factory=dict)
    lease_problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tried:
    """Well-known logins that were tried at a service: `users` each once. `let_in` are those that got in.

    `unasked`: it lets everybody in without a login. `problem` is why it could not be tried.
    """

    service: str
    users: tuple[str, ...] = ()
    let_in: tuple[str, ...] = ()
    unasked: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ConfigMaps:
    """What was found in the ConfigMaps of a Kubernetes cluster. `number` is None if they could not be read (`problem`)."""

    number: int | None
    found: tuple[Found, ...] = ()
    problem: str = ""
