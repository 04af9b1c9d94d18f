"""JSON and YAML of other programs, read with limits. Only the parts that a source names are kept: they may hold secrets."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_deploygate.files import bounded, yaml
from pytest_deploygate.model import CannotTell

_MOST = 64 * 1024**2


def json(path: Path) -> Any:
    """Return a JSON document. Raises CannotTell."""
    try:
        return bounded.from_json(bounded.read(path, _MOST))
    except OSError as error:
        raise CannotTell(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise CannotTell(f"{path} is not JSON") from None


def of_yaml(path: Path) -> Any:
    """Return a YAML document. Raises CannotTell."""
    try:
        return yaml.load(bounded.text(path))
    except OSError as error:
        raise CannotTell(f"{path} cannot be read: {error.strerror}") from None
    except Exception as error:  # whatever a parser says about another program's file
        raise CannotTell(f"{path} is not YAML that can be read") from error


def mapping(node: object, *keys: str) -> Mapping[str, Any]:
    """Return the mapping below some keys; an empty one if there is none."""
    for key in keys:
        node = node.get(key) if isinstance(node, Mapping) else None
    return node if isinstance(node, Mapping) else {}


def entries(node: object, *keys: str) -> Iterator[Mapping[str, Any]]:
    """Yield the mappings in the list below some keys."""
    *outer, last = keys
    held = mapping(node, *outer).get(last)
    yield from (each for each in held if isinstance(each, Mapping)) if isinstance(held, list) else ()


def texts(node: object) -> list[str]:
    """Return the texts of a list, or the one text."""
    if isinstance(node, list):
        return [str(each) for each in node if isinstance(each, str | int)]
    return [node] if isinstance(node, str) else []


def digest(image: object) -> str:
    """Return the digest of an image; empty if it is named by a tag, which can be moved."""
    _, at, found = str(image).partition("@")
    return found if at and found.startswith("sha256:") and len(found) == 71 else ""
