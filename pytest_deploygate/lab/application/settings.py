"""How a process of the platform is set up: `settings.json` in its folder, beside the keys and the switches."""

from __future__ import annotations

import json
from pathlib import Path

from pytest_deploygate.lab.application.switches import Switches
from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Settings:
    """The folder of the platform, its database, and the addresses that it is known by.

    `database` is a conninfo without a password, which is in `database_password`, a file. `url` is where users come in.
    `third_party` is the origin of the statistics that visitors may agree to; pages of `partner_site`, an origin, may call the
    API. Files with secrets are named in `secrets`.
    """

    folder: Path
    database: str
    database_password: Path
    url: str
    third_party: str
    secrets: dict[str, str]
    version: str
    partner_site: str
    mqtt_port: int | None = None
    partner: str | None = None

    def secret(self, name: str) -> str:
        """Return a secret from its file."""
        return Path(self.secrets[name]).read_text().strip()

    def conninfo(self) -> str:
        """Return the conninfo with the password."""
        from psycopg.conninfo import make_conninfo  # noqa: PLC0415 (also read by programs without a database)

        return make_conninfo(self.database, password=self.database_password.read_text().strip())

    def switches(self) -> Switches:
        """Return the switches of this platform."""
        return Switches(self.folder / "switches.json")


def load(folder: Path) -> Settings:
    """Return the settings of the platform in a folder."""
    told = json.loads((folder / "settings.json").read_text())
    told |= {"folder": folder, "database_password": Path(told["database_password"])}
    return Settings(**told)
