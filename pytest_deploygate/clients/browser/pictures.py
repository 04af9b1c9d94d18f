"""Pictures of pages: secrets in them are covered, and thumbnails have a bounded size."""

from __future__ import annotations

import base64
from typing import Any

from pytest_deploygate.model import MOST_OF_A_THUMBNAIL
from pytest_deploygate.redaction import masked

_MARK = "data-deploygate-covered"
#: Every field and every element with text of its own, with what it shows; passwords are dots, but covered all the same.
_SHOWN = """() => {
  const found = window.__deploygate_shown = [];
  const fields = document.querySelectorAll('input, textarea, select');
  for (const field of fields) found.push([field, field.type === 'password' ? null : String(field.value)]);
  const walk = document.createTreeWalker(document.body || document, NodeFilter.SHOW_TEXT);
  for (let node; (node = walk.nextNode()) && found.length < 20000;)
    if (node.data.trim()) found.push([node.parentElement, node.data]);
  return found.map(([, text]) => text);
}"""
_COVER = """([numbers, mark]) => {
  const found = window.__deploygate_shown || [];
  delete window.__deploygate_shown;
  for (const n of numbers) found[n] && found[n][0] && found[n][0].setAttribute(mark, '');
  return document.documentElement.innerText.length;
}"""
_UNCOVER = "mark => document.querySelectorAll('[' + mark + ']').forEach(e => e.removeAttribute(mark))"
#: Draws a picture smaller, as WebP of decreasing quality and size until it is small enough.
_SMALLER = """async ([data, most]) => {
  const image = new Image();
  image.src = data;
  await image.decode();
  for (const [wide, quality] of [[640, .6], [640, .4], [480, .5], [480, .3], [320, .4], [320, .2], [160, .2]]) {
    const width = Math.min(wide, image.width), height = Math.round(image.height * width / image.width);
    const canvas = new OffscreenCanvas(width, height), draw = canvas.getContext('2d');
    draw.imageSmoothingQuality = 'high';
    draw.drawImage(image, 0, 0, width, height);
    const made = await canvas.convertToBlob({type: 'image/webp', quality});
    const bytes = new Uint8Array(await made.arrayBuffer());
    const text = btoa(Array.from(bytes, b => String.fromCharCode(b)).join(''));
    if (text.length <= most) return [text, width, height];
  }
  return null;
}"""


class NoPicture(Exception):  # noqa: N818 (it is an answer, not an error)
    """There is no picture that could be kept."""


def without_secrets(page: Any, timeout_s: float) -> bytes:
    """Return a PNG of what a page shows, with fields and texts that hold a known secret covered. Raises NoPicture."""
    from playwright.sync_api import Error  # noqa: PLC0415 (heavy)

    try:
        covers = list(filter(None, [_covered(frame, timeout_s) for frame in page.frames]))
        try:
            png: bytes = page.screenshot(
                mask=covers or None, mask_color="#888888", animations="disabled", timeout=timeout_s * 1000
            )
        finally:
            for frame in page.frames if covers else ():
                frame.evaluate(_UNCOVER, _MARK)
    except Error as error:
        raise NoPicture(str(error).partition("\n")[0]) from None
    return png


def _covered(frame: Any, timeout_s: float) -> Any:
    """Mark what must be covered in a frame, and return where that is; None if nothing is.

    The secrets are not handed to the page: its texts are compared here.
    """
    # Unlike `evaluate` it has a timeout: a script of the page may keep it busy for ever.
    shown = frame.wait_for_function(_SHOWN, timeout=timeout_s * 1000).json_value()
    hidden = [n for n, text in enumerate(shown) if text is None or masked(text) != text]
    if not hidden:
        return None
    frame.evaluate(_COVER, [hidden, _MARK])
    return frame.locator(f"[{_MARK}]")


def thumbnail(page: Any, png: bytes) -> tuple[str, int, int]:
    """Return a smaller picture as WebP in base64, with its width and height. `page` is an empty one. Raises NoPicture."""
    from playwright.sync_api import Error  # noqa: PLC0415 (heavy)

    data = "data:image/png;base64," + base64.b64encode(png).decode()
    try:
        made = page.evaluate(_SMALLER, [data, MOST_OF_A_THUMBNAIL])
    except Error as error:
        raise NoPicture(str(error).partition("\n")[0]) from None
    if made is None:
        raise NoPicture("it cannot be made small enough")
    return str(made[0]), int(made[1]), int(made[2])
