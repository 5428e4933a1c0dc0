"""Writing pictures to files, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from evolift.posedata.errors import OutputError
from evolift.posedata.output_file import whole_file


def write_picture(
    path: Path, picture: UInt8[np.ndarray, "height width 3"], *, overwrite: bool = False
) -> None:
    """Write an RGB picture in the format that the path's ending names (.png, .jpg, ...).

    Raises:
        OutputError: the file exists, cannot be written, or there is no such format.
    """
    try:
        _, data = cv2.imencode(path.suffix, np.ascontiguousarray(picture[..., ::-1]))
    except cv2.error:
        raise OutputError(
            f"{path}: pictures cannot be written as {path.suffix!r}: use .png or .jpg"
        ) from None
    with whole_file(path, overwrite=overwrite) as partial:
        partial.write_bytes(data.tobytes())
