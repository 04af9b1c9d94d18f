"""`keyring:SERVICE/USER`: a password in the keyring of the desktop or the system, through the library `keyring` (an extra)."""

from __future__ import annotations

from pathlib import Path

from pytest_deploygate.fields.sources import Absent, Source
from pytest_deploygate.redaction import redact


def _secret(name: str, _base: Path) -> str:
    service, _, user = name.rpartition("/")
    if not service or not user:
        raise ValueError(
            f"keyring:{name} needs service and user; write for example keyring:platform/deploygate"
        )
    try:
        import keyring  # noqa: PLC0415 (an extra)
        from keyring.errors import KeyringError, NoKeyringError  # noqa: PLC0415
    except ImportError:
        raise Absent(
            f"keyring:{name} cannot be read, the library is not installed; run: pip install 'pytest-deploygate[keyring]'"
        ) from None
    try:
        found: str | None = keyring.get_password(service, user)
    except NoKeyringError:
        raise Absent(
            f"keyring:{name} cannot be read, this machine has no keyring that can be used (a server without a desktop often "
            "has none); use env:, file: or vault:, or configure one of keyring's backends"
        ) from None
    except KeyringError as error:
        raise Absent(
            f"keyring:{name} cannot be read: {redact(str(error)) or type(error).__name__}; unlock it"
        ) from None
    if found is None:
        raise Absent(f"the keyring has no password for {service}/{user}; run: keyring set {service} {user}")
    return found


SOURCE = Source("keyring", _secret, example="keyring:platform/deploygate", advice="keyring:SERVICE/USER")
