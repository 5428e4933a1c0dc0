"""Contact sheets: many images with captions as one image."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from evolift.drawing.colours import INK_COLOUR, PAPER_COLOUR

_GAP = 8
_FONT_SIZE = 14


def image_sheet(
    images: Sequence[UInt8[np.ndarray, "_height _width 3"]],
    captions: Sequence[str] = (),
    *,
    columns: int = 4,
    tile: tuple[int, int] = (256, 256),
) -> UInt8[np.ndarray, "sheet_height sheet_width 3"]:
    """Images in rows from left to right, each fitted into its tile with its proportions kept.

    Args:
        images: RGB images of any sizes.
        captions: one for each image, written below it and shortened with an ellipsis to the tile's width;
            none at all if empty. Any script that DejaVu Sans has.
        columns: images in a row.
        tile: (width, height) of the space for one image, pixels.

    Raises:
        ValueError: there are no images, an image is not RGB uint8, captions are not as many as images, or
            a size is not positive.
    """
    if not images:
        raise ValueError("a sheet needs at least one image")
    if captions and len(captions) != len(images):
        raise ValueError(f"{len(images)} images need as many captions (got {len(captions)})")
    if columns < 1 or min(tile) < 1:
        raise ValueError(f"columns and tile must be positive (got {columns} and {tile})")
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    width, height = tile
    caption_height = _FONT_SIZE + 8 if captions else 0
    sheet = Image.new(
        "RGB",
        (columns * (width + _GAP) + _GAP, rows * (height + caption_height + _GAP) + _GAP),
        PAPER_COLOUR,
    )
    draw = ImageDraw.Draw(sheet)
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        left, top = _GAP + column * (width + _GAP), _GAP + row * (height + caption_height + _GAP)
        fitted = fit_image(image, width, height)
        at = (left + (width - fitted.shape[1]) // 2, top + (height - fitted.shape[0]) // 2)
        sheet.paste(Image.fromarray(fitted), at)
        if captions:
            draw.text((left, top + height + 2), _shortened(captions[number], width), INK_COLOUR, _font())
    return np.asarray(sheet).copy()


def fit_image(
    image: UInt8[np.ndarray, "_height _width 3"], width: int, height: int
) -> UInt8[np.ndarray, "fitted_height fitted_width 3"]:
    """An image as large as fits into width x height pixels, proportions kept.

    Raises:
        ValueError: it is not RGB uint8.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(
            f"an image must be uint8 of shape (height, width, 3) (got {image.dtype} of shape {image.shape})"
        )
    scale = min(width / image.shape[1], height / image.shape[0])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(image, size, interpolation=method).astype(np.uint8, copy=False)


@cache
def _font() -> ImageFont.FreeTypeFont:
    import matplotlib  # noqa: PLC0415  # slow, and only captions need it

    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")), _FONT_SIZE)


def _shortened(caption: str, width: int) -> str:
    caption = " ".join(caption.split())
    if _font().getlength(caption) <= width:
        return caption
    while caption and _font().getlength(caption + "…") > width:
        caption = caption[:-1]
    return caption + "…"
