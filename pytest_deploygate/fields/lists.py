"""Lists of an inventory that may be in a file of their own, so that several inventories share them."""

from pytest_deploygate.fields.references import as_existing_path
from pytest_deploygate.files import bounded, yaml


def from_file(value: object) -> object:
    """Return the list of the YAML file that is named in its place; anything else as it is.

    Raises ValueError, with the file and the line.
    """
    # The parser's own errors; ours are of `files.yaml`.
    from yaml import YAMLError  # noqa: PLC0415

    if not isinstance(value, str):
        return value
    path = as_existing_path(value)
    if not path.exists():  # the reference is missing, and missing ones are only collected
        return []
    try:
        text = bounded.text(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    try:
        found = yaml.load(text)
    except (YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else yaml.where(error, text)[0]
        said = getattr(error, "problem", "") or "it cannot be read"
        raise ValueError(f"{path}:{line} is not YAML: {said}") from None
    if not isinstance(found, list):
        raise ValueError(f"{path} must be a list, with a `-` before each entry")  # noqa: TRY004
    return found
