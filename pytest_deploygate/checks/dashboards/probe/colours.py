"""How many colours an element's picture has. A canvas cannot be asked: one of WebGL reads as one colour, though it is drawn."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_deploygate.clients.browser.visit import Visit

_COUNT = """async data => {
  const image = new Image();
  image.src = data;
  await image.decode();
  const canvas = new OffscreenCanvas(image.width, image.height), pen = canvas.getContext('2d');
  pen.drawImage(image, 0, 0);
  const pixels = new Uint32Array(pen.getImageData(0, 0, image.width, image.height).data.buffer);
  return new Set(pixels).size;
}"""


def colours(visit: Visit, selector: str) -> int | None:
    """Return the number of colours of an element's picture; None if there is no picture of it."""
    from playwright.sync_api import Error  # noqa: PLC0415 (heavy)

    chromium = visit.context.browser
    if chromium is None:
        return None
    try:
        png = visit.page.locator(selector).first.screenshot(animations="disabled")
        data = "data:image/png;base64," + base64.b64encode(png).decode()
        # In a page of its own: the dashboard's may forbid pictures from elsewhere.
        aside = chromium.new_context()
        try:
            return int(aside.new_page().evaluate(_COUNT, data))
        finally:
            aside.close()
    except Error:
        return None
