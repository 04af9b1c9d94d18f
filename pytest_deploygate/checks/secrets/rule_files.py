"""Files with rules that the inventory names: those of gitleaks (TOML), or a baseline of detect-secrets (JSON)."""

from __future__ import annotations

from pathlib import Path

from pytest_deploygate.checks.secrets import detectors, formats
from pytest_deploygate.files import bounded

#: A baseline has an entry for each finding of a repository.
_MOST = 20 * bounded.MB


def read(file: Path) -> formats.Searching:
    """Read a file of rules. Raises OddRulesError."""
    try:
        raw = bounded.read(file, _MOST)
    except OSError as error:
        raise formats.OddRulesError(f"{file} cannot be read: {error.strerror}") from None
    if not raw.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return formats.read(file)
    try:
        found = bounded.from_json(raw)
        if "plugins_used" not in found:
            raise formats.OddRulesError(
                f"{file} is JSON without `plugins_used`: it must be a baseline of detect-secrets (`detect-secrets scan`)"
            )
        return detectors.read(found)
    except bounded.OddTextError as error:
        raise formats.OddRulesError(f"{file} line {error.line}: {error}") from None
    except detectors.NoLibraryError:
        raise formats.OddRulesError(
            f"{file} is a baseline of detect-secrets, which is not installed here: "
            "pip install 'pytest-deploygate[detect-secrets]'"
        ) from None
    except (TypeError, ValueError) as error:
        raise formats.OddRulesError(f"{file} is no baseline of detect-secrets: {error}") from None
