"""The inventory's `secrets` section: where no secret may be, and how those that are needed must be kept."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from pytest_deploygate.fields.http import HttpAccess, Url
from pytest_deploygate.fields.types import (
    Duration,
    ExistingPath,
    Given,
    InventoryKeys,
    Port,
    SecretReference,
    Section,
    Size,
    Words,
)
from pytest_deploygate.lazy import dataclass

#: What a path may be made of besides `*`, `?` and `[…]`: it is written into a shell command.
_PATH = r"^/[^\x00-\x1f\x7f]*$"
#: A shorter key could be guessed from fingerprints of secrets that are known.
_KEY = 16


class KeyFile(Section):
    """A file with a key, and who may read it."""

    path: str = Field(
        pattern=_PATH,
        description="path on the host; `*`, `?` and `[…]` match as in a shell, also several files",
    )
    mode: str = Field(
        default="0600",
        pattern=r"^0?[0-7]{3}$",
        description="permissions that it may have at most, in octal and in quotes",
    )
    owner: str = Field(default="root", description="its owner")
    group: str | None = Field(default=None, description="its group, if that matters")
    roles: list[str] = Field(default=[], description="roles of the hosts that have it; if omitted, all hosts")

    @property
    def allowed(self) -> int:
        """The permissions as a number."""
        return int(self.mode, 8)


class Accepted(Section):
    """A finding that is accepted, by the fingerprint that the evidence gives."""

    fingerprint: str = Field(pattern=r"^[0-9a-f]{32}$", description="fingerprint of the secret")
    where: str = Field(
        description="place where it is accepted, `*` matches anything; a path, or a process by its name"
    )
    reason: Words = Field(min_length=10, description="why it may stand there")

    def __str__(self) -> str:
        """Format it for the report's list of weakenings."""
        return f"{self.where} ({self.reason})"


class Vault(HttpAccess):
    """A HashiCorp Vault or OpenBao server. `token` logs in: with it the token itself and leases are looked at, too."""

    name: str = Field(description="name used in findings")
    url: Url = Field(description="address of the server, for example https://vault.example.com:8200")
    namespace: str | None = Field(default=None, description="namespace of the token and the leases")
    leases: list[str] = Field(default=[], description="ids of leases that must not end soon")
    min_ttl: Duration = Field(
        default=timedelta(hours=1),
        json_schema_extra={"weaker": "smaller"},
        description="minimum time for which the token and the leases must still hold",
    )
    max_token_age: Duration | None = Field(
        default=None,
        json_schema_extra={"weaker": "larger"},
        description="maximum age of the token; if omitted, its age is shown and not judged",
    )

    @model_validator(mode="after")
    def _leases_need_a_token(self) -> Self:
        if self.leases and self.login is None:
            raise ValueError("`leases` can only be looked up with a `token: env:NAME`")
        return self


class AdminPage(Section):
    """A page for administrators that asks for HTTP basic authentication."""

    name: str = Field(description="name used in findings")
    url: Url = Field(description="URL of a page that needs a login")
    ca_file: ExistingPath | None = Field(
        default=None, description="file with certificates to trust instead of the system's (PEM)"
    )


class RedisPlace(Section):
    """A Redis server, to which no login is known here."""

    name: str = Field(description="name used in findings")
    host: str = Field(description="host name or address", pattern=r"^[A-Za-z0-9._:%-]+$")
    port: Port = Field(default=6379, description="TCP port")


class DefaultPasswords(Section):
    """Where well-known logins are tried: each user once in a run, so that no account is locked."""

    database: bool = Field(default=False, description="try at the primary of `database`")
    redis: list[RedisPlace] = Field(default=[], description="Redis servers to try at")
    pages: list[AdminPage] = Field(default=[], description="pages for administrators to try at")

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if not (self.database or self.redis or self.pages):
            raise ValueError("name where they are tried: `database: true`, `redis` or `pages`")
        return self


class Kubernetes(Section):
    """A Kubernetes cluster, as `kubectl` of the machine that runs the gate reaches it."""

    context: str | None = Field(
        default=None, pattern=r"^[^-\s]\S*$", description="context of kubectl; default: the current one"
    )
    namespaces: list[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]] = Field(
        default=[], description="namespaces to look into; default: all"
    )


class Services(Section):
    """Services that keep secrets, and services that no well-known login may open."""

    vaults: list[Vault] = Field(default=[], description="HashiCorp Vault and OpenBao servers")
    default_passwords: DefaultPasswords | None = Field(
        default=None, description="where well-known logins are tried; nowhere by default"
    )

    kubernetes: Kubernetes | None = Field(
        default=None, description="cluster whose ConfigMaps are looked into: they are no place for secrets"
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.vaults and self.default_passwords is None and self.kubernetes is None:
            raise ValueError("name `vaults`, a `kubernetes` cluster, or where `default_passwords` are tried")
        return self


@dataclass(frozen=True, slots=True)
class Logins:
    """What is allowed: addresses that need no password, those that may use a weaker one, and rules that are not seen."""

    trust_from: tuple[str, ...] = ()
    weaker_from: tuple[str, ...] = ()
    login_rules: bool = True


class DatabaseLogins(Section):
    """How the database may ask for passwords. Whom it lets in without one is in `database.cluster`."""

    weaker_from: list[str] = Field(
        default=[],
        json_schema_extra={"weaker": "any"},
        description="addresses from which pg_hba.conf may ask for less than scram, as it writes them",
    )

    def beside(self, trusted: Logins) -> Logins:
        """Return all that is allowed, with what `database.cluster` allows without a password."""
        return Logins(trusted.trust_from, tuple(self.weaker_from), trusted.login_rules)


class Secrets(Section):
    """Where secrets are looked for, and how they must be kept."""

    #: In `allowed_environments`: every process in a container.
    containers: ClassVar[str] = "containers"

    files: list[Annotated[str, Field(pattern=_PATH)]] = Field(
        default=["/etc", "/home", "/opt", "/srv", "/tmp", "/var/www"],  # noqa: S108 (looked into, not written)
        description="folders whose files and names are looked at: contents only of files that every user may read",
    )
    logs: list[Annotated[str, Field(pattern=_PATH)]] = Field(
        default=["/var/log"],
        description="folders with logs, looked into whoever may read them; also packed ones (.gz, .xz, .bz2, .zst)",
    )
    ignored: list[str] = Field(
        default=[],
        json_schema_extra={"weaker": "any"},
        description="paths that are not looked at, `*` matches anything",
    )
    key_files: list[KeyFile] = Field(default=[], description="files with keys, and who may read them")
    group_readable_keys: bool = Field(
        default=True,
        description="whether a private key that its group may read, and that `key_files` does not name, passes with a note",
    )
    allowed_environments: list[str] = Field(
        default=[],
        json_schema_extra={"weaker": "any"},
        description=f"processes whose environment may hold secrets, by name, `*` matches anything; `{containers}`: every "
        "process in a container",
    )
    known_formats: bool = Field(
        default=True,
        json_schema_extra={"weaker": "false"},
        description="look for private keys and for tokens of well-known services, too",
    )
    rules: ExistingPath | None = Field(
        default=None,
        description="file with more formats: rules as gitleaks writes them (TOML), or a baseline of detect-secrets (JSON)",
    )
    fingerprint_key: SecretReference | None = Field(
        default=None,
        description=f"key of the fingerprints, at least {_KEY} characters; without it they hold for one run only",
    )
    accepted: list[Accepted] = Field(
        default=[], json_schema_extra={"weaker": "any"}, description="findings that are accepted"
    )
    database: Annotated[
        DatabaseLogins | None,
        Given("database_logins", "database: {weaker_from: []}", optional=True, defaults_with="postgres"),
    ] = Field(default=None, description="how the database may ask for passwords")
    services: Annotated[
        Services | None,
        Given(
            "guarded_services",
            "services: {vaults: [{name: vault, url: https://vault.example.com:8200}]}",
            optional=True,
        ),
    ] = Field(default=None, description="services that keep secrets, or are kept by them")
    images: bool = Field(
        default=False,
        description="look at the history and the settings of the container images on each host, too (podman, docker)",
    )
    unseen_passes: bool = Field(
        default=False,
        json_schema_extra={"weaker": "any"},
        description="whether the item passes with a note although logs, processes or files could not be looked into; "
        "else it is inconclusive",
    )
    bytes_per_file: Size = Field(
        default=1024**2,
        ge=1024,
        json_schema_extra={"weaker": "smaller"},
        description="of a file its beginning is looked at, of a log its end, up to this size",
    )
    bytes_per_host: Size = Field(
        default=16 * 1024**2,
        ge=65536,
        json_schema_extra={"weaker": "smaller"},
        description="files of one host are looked at up to this size in all, and so are its logs",
    )
    timeout: Duration = Field(
        default=timedelta(seconds=60),
        description="for everything that is asked of one host, and for the search of what it sent",
    )

    @field_validator("rules")
    @classmethod
    def _rules(cls, file: Path | None) -> Path | None:
        if file is not None and file.is_file():
            from pytest_deploygate.checks.secrets import formats, rule_files  # noqa: PLC0415 (few have rules)

            try:
                rule_files.read(file)
            except formats.OddRulesError as error:
                raise ValueError(str(error)) from None
        return file

    @model_validator(mode="after")
    def _with_a_key(self) -> Self:
        if self.accepted and self.fingerprint_key is None:
            raise ValueError(
                "`accepted` needs `fingerprint_key: env:NAME`: without it fingerprints change with each run"
            )
        if self.fingerprint_key is not None and len(self.fingerprint_key.reveal()) < _KEY:
            raise ValueError(
                f"fingerprint_key: the key has fewer than {_KEY} characters; make a longer one at random"
            )
        return self


class Keys(InventoryKeys):
    """The key `secrets`."""

    secrets: Annotated[
        Secrets | None, Given("secrets", "secrets: {files: [/etc, /opt], logs: [/var/log]}")
    ] = Field(default=None, description="where no secret may be, and how keys must be kept")
