"""A self-contained page of predicted poses: the image with its joints beside the skeletons, which can be rotated.

The page is one HTML file that works without a network: data, images and the viewer (`pose_page.js`, no libraries) are
inside, and its content security policy forbids it to load or run anything else. It tells frame and units.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

import numpy as np
from jaxtyping import Float, UInt8

from evolift.drawing.colours import LEFT_COLOUR, RIGHT_COLOUR, TORSO_COLOUR, hexadecimal, joint_colours
from evolift.drawing.image_sheet import fit_image
from evolift.drawing.page_script import script_data, script_hash
from evolift.posedata.image_file import image_url
from evolift.posedata.output_file import check_output, write_text
from evolift.posedata.skeleton import Skeleton

JPEG_QUALITY = 85
LARGEST_SIDE = 960


@dataclass(frozen=True)
class Reading:
    """A number shown beside a pose, for example a joint angle.

    Args:
        name: what it is, for example "left knee, bent".
        value: in `unit`.
        low, high: the range it should lie in, None for no bound; of values outside is said by how much.
        unit: written right after the number.
        zero: what it is where the value is 0, for example "straight"; "" to say nothing.
        way: to which it leaves that, for example "forward".
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    unit: str = "°"
    zero: str = ""
    way: str = ""


@dataclass(frozen=True)
class EmbeddedImage:
    """An image as the page holds it, much smaller in memory than its pixels; `embedded_image` makes it.

    Args:
        url: a data URL.
        width, height: of the image that joints are told in, pixels.
    """

    url: str
    width: int
    height: int


@dataclass(frozen=True, eq=False)
class PosePageItem:
    """One person in one image or frame.

    Args:
        image: RGB image, embedded or not, or None; people of the same frame share that of the first that has one.
        joints_2d: pixels of that image, NaN where unknown; or None.
        joints_3d: millimetres relative to the root joint, in the camera's frame (x right, y down, z forward);
            NaN where unknown.
        confidence: 0 to 1 per joint, or None.
        skeleton: of the joints.
        caption: of the image or frame, for example its file name.
        frame: number of the image or frame; items of the same number are shown together.
        person: name of the person or track, the same over frames.
        readings: shown in a table.
        root_3d: where the root joint is in the camera's frame, mm; None or NaN where that is not known.
        notes: sentences on this person in this image, shown with it.
        sigma_mm: how sure each of joints_3d is, its standard deviation along each axis, NaN where unknown; or None.

    Raises:
        ValueError: shapes do not fit the skeleton, or the image is not RGB uint8.
    """

    image: UInt8[np.ndarray, "height width 3"] | EmbeddedImage | None
    joints_2d: Float[np.ndarray, "joints 2"] | None
    joints_3d: Float[np.ndarray, "joints 3"]
    confidence: Float[np.ndarray, "joints"] | None
    skeleton: Skeleton
    caption: str = ""
    frame: int = 0
    person: str = "person 1"
    readings: Sequence[Reading] = ()
    root_3d: Float[np.ndarray, "3"] | None = None
    notes: Sequence[str] = ()
    sigma_mm: Float[np.ndarray, "joints"] | None = None

    def __post_init__(self) -> None:
        joints = len(self.skeleton)
        for name, shape in (
            ("joints_2d", (joints, 2)),
            ("joints_3d", (joints, 3)),
            ("confidence", (joints,)),
            ("root_3d", (3,)),
            ("sigma_mm", (joints,)),
        ):
            value = getattr(self, name)
            if value is not None and np.shape(value) != shape:
                raise ValueError(
                    f"{name} of skeleton {self.skeleton.name} must have shape {shape} (got {np.shape(value)})"
                )
        image = self.image
        if isinstance(image, np.ndarray) and (
            image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3
        ):
            raise ValueError(f"an image must be uint8 of shape (height, width, 3) (got {image.shape})")


def write_pose_page(
    path: Path,
    items: Sequence[PosePageItem],
    *,
    title: str,
    overwrite: bool = False,
    notes: Sequence[str] = (),
    frames_per_second: float = 10.0,
    largest_side: int = LARGEST_SIDE,
) -> None:
    """Write the page.

    Args:
        path: of the HTML file.
        items: people and frames, in any order; frames are shown by increasing number.
        title: of the page.
        overwrite: replace an existing file.
        notes: sentences below the pose, for example which camera was assumed.
        frames_per_second: of the play button, at most as fast as the browser draws.
        largest_side: larger images are embedded at this many pixels.

    Raises:
        OutputError: the file exists, or cannot be written.
        ValueError: there are no items, or a person is twice in one frame.
    """
    check_output(path, overwrite=overwrite)
    write_text(
        path,
        pose_page(
            items, title=title, notes=notes, frames_per_second=frames_per_second, largest_side=largest_side
        ),
        overwrite=overwrite,
    )


def pose_page(
    items: Sequence[PosePageItem],
    *,
    title: str,
    notes: Sequence[str] = (),
    frames_per_second: float = 10.0,
    largest_side: int = LARGEST_SIDE,
) -> str:
    """The page as text; arguments are those of `write_pose_page`."""
    if not items:
        raise ValueError("a pose page needs at least one pose")
    if len({(item.frame, item.person) for item in items}) != len(items):
        raise ValueError("a person is twice in one frame: give people of a frame different names")
    script = Path(__file__).with_name("pose_page.js").read_text(encoding="utf-8")
    template = Template(Path(__file__).with_name("pose_page.html").read_text(encoding="utf-8"))
    page = template.substitute(
        title=html.escape(title),
        right=hexadecimal(RIGHT_COLOUR),
        left=hexadecimal(LEFT_COLOUR),
        torso=hexadecimal(TORSO_COLOUR),
        frame_text=html.escape(_frame_text(items)),
        notes="\n".join(f'<p class="note">{html.escape(note)}</p>' for note in notes),
        data=script_data(_page_data(items, frames_per_second, largest_side)),
        script=script,
        script_hash=script_hash(script),
    )
    return page.encode("utf-8", "replace").decode()  # file names may hold bytes that are no text


def embedded_image(
    image: UInt8[np.ndarray, "height width 3"], largest_side: int = LARGEST_SIDE
) -> EmbeddedImage:
    """An image as JPEG, made smaller if a side is larger than `largest_side` pixels."""
    height, width = image.shape[:2]
    larger = max(height, width) > largest_side
    shown = fit_image(image, largest_side, largest_side) if larger else image
    return EmbeddedImage(image_url(shown, quality=JPEG_QUALITY), width, height)


def _frame_text(items: Sequence[PosePageItem]) -> str:
    roots = sorted({item.skeleton.joints[item.skeleton.root].replace("_", " ") for item in items})
    skeletons = sorted({item.skeleton.name for item in items})
    return (
        f"Coordinates are millimetres relative to the {' or '.join(roots)}, in the camera's frame: x to the right of "
        "the image, y down, z away from the camera. Grid lines are 250 mm apart, at the height of the lowest joint. "
        f"Skeleton: {', '.join(skeletons)}."
    )


def _page_data(
    items: Sequence[PosePageItem], frames_per_second: float, largest_side: int
) -> dict[str, object]:
    skeletons = {item.skeleton.name: item.skeleton for item in items}
    by_frame: dict[int, list[PosePageItem]] = {}
    for item in items:
        by_frame.setdefault(item.frame, []).append(item)
    return {
        "framesPerSecond": frames_per_second,
        "people": list(dict.fromkeys(item.person for item in items)),
        "skeletons": {
            name: {
                "joints": skeleton.joints,
                "bones": skeleton.bones,
                "colours": [hexadecimal(colour) for colour in joint_colours(skeleton)],
            }
            for name, skeleton in skeletons.items()
        },
        "frames": [_frame_data(by_frame[number], largest_side) for number in sorted(by_frame)],
    }


def _frame_data(items: Sequence[PosePageItem], largest_side: int) -> dict[str, object]:
    image = next((item.image for item in items if item.image is not None), None)
    caption = next((item.caption for item in items if item.caption), "")
    if image is None:
        width, height = _size_without_image(items)
        embedded = None
    else:
        shown = image if isinstance(image, EmbeddedImage) else embedded_image(image, largest_side)
        width, height, embedded = shown.width, shown.height, shown.url
    return {
        "image": embedded,
        "width": width,
        "height": height,
        "caption": caption,
        "people": [_person_data(item) for item in items],
    }


def _size_without_image(items: Sequence[PosePageItem]) -> tuple[int, int]:
    """Width and height that hold all joints, for pages of keypoints without images."""
    points = [item.joints_2d for item in items if item.joints_2d is not None]
    known = np.concatenate([*points, np.zeros((1, 2))])
    known = known[np.isfinite(known).all(-1)]
    width, height = np.maximum(known.max(0) * 1.05, 64)
    return math.ceil(width), math.ceil(height)


def _person_data(item: PosePageItem) -> dict[str, object]:
    return {
        "person": item.person,
        "skeleton": item.skeleton.name,
        "joints2d": None if item.joints_2d is None else _points(item.joints_2d),
        "joints3d": _points(item.joints_3d),
        "confidence": _numbers(item.confidence, 3),
        "sigma": _numbers(item.sigma_mm, 1),
        "root": None if item.root_3d is None else _points(item.root_3d[None])[0],
        "notes": list(item.notes),
        "readings": [
            {
                "name": reading.name,
                "value": round(reading.value, 3),
                "low": reading.low,
                "high": reading.high,
                "unit": reading.unit,
                "zero": reading.zero,
                "way": reading.way,
            }
            for reading in item.readings
        ],
    }


def _numbers(values: Float[np.ndarray, "joints"] | None, digits: int) -> list[float | None] | None:
    """Rounded numbers, None for those that are not finite."""
    if values is None:
        return None
    return [round(float(value), digits) if math.isfinite(value) else None for value in values]


def _points(points: Float[np.ndarray, "joints axes"]) -> list[list[float] | None]:
    """Coordinates to a tenth of a unit; None for joints that are not finite."""
    return [
        [round(float(value), 1) for value in point] if np.isfinite(point).all() else None for point in points
    ]
