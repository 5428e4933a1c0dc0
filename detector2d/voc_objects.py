"""Occluders cut out of Pascal VOC 2012, chosen as in Sarandi et al. 2018.

A VOC folder holds Annotations/*.xml, JPEGImages/*.jpg and SegmentationObject/*.png. Objects that are persons,
difficult or truncated are left out, and so are those whose mask has less than 500 pixels. A cut-out's edge is soft:
mask pixels that an 8 x 8 erosion removes get an opacity of 192 of 255. Cut-outs are kept at half their size, for
crops of 256 pixels.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

from evolift.detector2d.occlusion import Occluder
from evolift.posedata.errors import InputError, OutputError, reason_of
from evolift.posedata.image_file import read_image
from evolift.posedata.image_header import ask_image, read_header, require_decodable
from evolift.posedata.image_settings import ImageSettings
from evolift.posedata.npz_file import read_npz
from evolift.posedata.output_file import whole_file
from evolift.posedata.progress import Progress, no_progress

MIN_PIXELS = 500
RIM_OPACITY = 192
_FOLDERS = ("Annotations", "JPEGImages", "SegmentationObject")
_EROSION = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (8, 8))


def voc_occluders(
    folder: Path, *, limit: int | None = None, progress: Progress = no_progress
) -> tuple[Occluder, ...]:
    """Cut out all fitting objects.

    Args:
        folder: VOC2012, or VOCdevkit/VOC2012 inside it.
        limit: stop after so many objects.
        progress: counts annotations.

    Raises:
        InputError: the folder is not that of VOC, a file of it is damaged, or no object fits.
    """
    root = _voc_root(folder)
    occluders: list[Occluder] = []
    for annotation in sorted((root / "Annotations").glob("*.xml")):
        segmentation = root / "SegmentationObject" / f"{annotation.stem}.png"
        if segmentation.is_file():  # most images of VOC are not segmented
            occluders += _objects_of(root, annotation, segmentation)
        progress(1)
        if limit is not None and len(occluders) >= limit:
            break
    if not occluders:
        raise InputError(
            f"{root}: no object is segmented, larger than {MIN_PIXELS} pixels, and neither person, difficult nor truncated"
        )
    return tuple(occluders[:limit])


def read_occluders(path: Path) -> tuple[Occluder, ...]:
    """Cut-outs from a Pascal VOC folder, or from a file of `save_occluders`.

    Raises:
        InputError: it is neither.
    """
    return voc_occluders(path) if path.is_dir() else load_occluders(path)


def _voc_root(folder: Path) -> Path:
    for root in (folder, folder / "VOC2012", folder / "VOCdevkit" / "VOC2012"):
        if all((root / name).is_dir() for name in _FOLDERS):
            return root
    missing = [name for name in _FOLDERS if not (folder / name).is_dir()]
    raise InputError(f"{folder} is not a Pascal VOC folder: it lacks {', '.join(missing)}")


def _objects_of(root: Path, annotation: Path, segmentation: Path) -> Iterator[Occluder]:
    wanted = _wanted_objects(annotation)
    if not wanted:
        return
    numbers = _object_numbers(segmentation)
    image = read_image(root / "JPEGImages" / f"{annotation.stem}.jpg")
    if image.shape[:2] != numbers.shape:
        raise InputError(f"{segmentation} and its photograph differ in size: copy the data set again")
    for number in wanted:
        mask = numbers == number
        if mask.sum() >= MIN_PIXELS:
            yield cut_out(image, mask)


def _wanted_objects(annotation: Path) -> list[int]:
    """Numbers, from 1 in the order of the file, that the object has in the segmentation."""
    try:
        root = ET.parse(annotation).getroot()
    except (ET.ParseError, OSError) as error:
        raise InputError(
            f"{annotation} is not readable XML ({reason_of(error)}): copy the data set again"
        ) from None
    return [
        number
        for number, entry in enumerate(root.findall("object"), start=1)
        if entry.findtext("name") != "person"
        and entry.findtext("difficult", "0").strip() == "0"
        and entry.findtext("truncated", "0").strip() == "0"
    ]


def _object_numbers(segmentation: Path) -> UInt8[np.ndarray, "height width"]:
    # The numbers are indices of the palette, which OpenCV would turn into colours.
    require_decodable(read_header(segmentation, segmentation), segmentation, ImageSettings())

    def numbers(image: Image.Image) -> np.ndarray:
        if image.mode not in ("P", "L"):
            raise InputError(f"{segmentation} is not a palette image of object numbers")
        return np.asarray(image)

    return ask_image(segmentation, segmentation, numbers)


def cut_out(image: UInt8[np.ndarray, "height width 3"], mask: Bool[np.ndarray, "height width"]) -> Occluder:
    """One object at half its size, with a soft edge."""
    rows, columns = np.nonzero(mask)
    box = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    # A margin of background, so that the object's own outline erodes at the border of its box too.
    solid = np.pad(mask[box].astype(np.uint8), 8)
    core = cv2.erode(solid, _EROSION)[8:-8, 8:-8]
    opacity = np.where(core > 0, 255, np.where(mask[box], RIM_OPACITY, 0)).astype(np.uint8)
    return Occluder.from_rgb(np.ascontiguousarray(image[box]), opacity).halved()


def save_occluders(path: Path, occluders: tuple[Occluder, ...], *, overwrite: bool = False) -> None:
    """Keep cut-outs in one file, which loads in a moment where cutting takes minutes.

    Raises:
        OutputError: `path` exists and `overwrite` is False, or cannot be written.
    """
    if path.suffix != ".npz":
        raise OutputError(f"{path}: cut-outs are kept in a file whose name ends in .npz")
    with whole_file(path, overwrite=overwrite) as partial, partial.open("wb") as file:
        np.savez_compressed(
            file,
            shapes=np.array([one.colour.shape[:2] for one in occluders], np.int32),
            colours=np.concatenate([one.colour.reshape(-1, 3) for one in occluders]),
            transparencies=np.concatenate([one.transparency.ravel() for one in occluders]),
        )


def load_occluders(path: Path) -> tuple[Occluder, ...]:
    """Cut-outs from a file of `save_occluders`.

    Raises:
        InputError: it is not such a file.
    """
    try:
        arrays = read_npz(path)
        shapes, colours, opacities = (arrays[name] for name in ("shapes", "colours", "transparencies"))
        if any(array.dtype != np.uint8 for array in (colours, opacities)):
            raise ValueError
        ends = np.cumsum(shapes.prod(1))
        parts = zip(shapes, np.split(colours, ends[:-1]), np.split(opacities, ends[:-1]), strict=True)
        return tuple(
            Occluder(colour.reshape(*shape, 3), clear.reshape(*shape)) for shape, colour, clear in parts
        )
    except (InputError, ValueError, KeyError, IndexError, OverflowError, TypeError):
        raise InputError(
            f"{path} is not a file of cut-outs: make it with evolift detector cut-outs"
        ) from None
