"""Pictures of pages: the thumbnail itself, in the page, and where the whole picture is."""

from __future__ import annotations

import re

from markupsafe import Markup

from pytest_deploygate.model import MOST_OF_A_THUMBNAIL, Picture

_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")


def draw(figure: Picture) -> Markup:
    """Return the thumbnail as an image; a sentence in its place if it is none, or larger than thumbnails are."""
    if len(figure.thumbnail) > MOST_OF_A_THUMBNAIL or not _BASE64.fullmatch(figure.thumbnail):
        return Markup("<p>no thumbnail</p>")
    image = Markup('<img class="page" alt="{}" width="{}" height="{}" src="data:image/webp;base64,{}">')
    return image.format(figure.title, int(figure.width), int(figure.height), figure.thumbnail)


def words(figure: Picture) -> list[str]:
    """Say where the whole picture is."""
    return [f"whole picture: {figure.path}"] if figure.path else []
