"""Lines for CODEOWNERS: who must review what decides a deployment."""

from __future__ import annotations

from pathlib import Path

from pytest_deploygate import git
from pytest_deploygate.files import bounded

#: Where GitHub and GitLab look for the file. At the top both find it.
_PLACES = ("CODEOWNERS", ".github/CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS")
_OWNERS = "@your-organisation/deployment-leads"
_MARK = "# deploygate: who reviews what decides a deployment."
_HEAD = (
    f"{_MARK} Put your own team here (a name that does not exist reviews nothing),\n"
    "# and require a review by code owners on the branch.\n"
)
_BELOW = (
    *("attestations/", "waivers/", "issues/", "allowed_signers"),
    *("inventories/", "suites/", "conftest.py", "pytest.ini"),
)


def text_of(file: Path) -> str:
    """Return the text of a file that is to be added to; empty if it is not there. Raises OSError, ValueError with its name."""
    try:
        return bounded.text(file)
    except FileNotFoundError:
        return ""
    except OSError as error:
        error.filename = str(file)
        raise
    except ValueError as error:
        raise ValueError(f"{file}:{bounded.line_of(error)}: {error}") from None


def add(place: Path) -> Path | None:
    """Add the lines for the files below `place`, once; return the file, None if it has them. Raises OSError, ValueError.

    The file is that of the git repository around `place`, else it is written into `place`.
    """
    tree = git.work_tree(place)
    top, prefix = (tree.top, tree.prefix) if tree else (place.resolve(), "")
    file = next((top / name for name in _PLACES if (top / name).exists()), top / _PLACES[0])
    text = text_of(file)
    if _MARK in text:
        return None
    starts = (".github/workflows/", file.relative_to(top).as_posix())
    names = [*(f"/{prefix}{name}" for name in _BELOW), *(f"/{name}" for name in starts)]
    # The last line that fits a path counts, so ours stand at the end. Spaces in a path need a backslash.
    width = max(map(len, names))
    lines = "".join(f"{name.replace(' ', chr(92) + ' '):{width}} {_OWNERS}\n" for name in names)
    gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
    file.write_text(f"{text}{gap}{_HEAD}{lines}", encoding="utf-8")
    return file
