"""2D keypoints of people in images, as a detector gave them.

Pixels are (u, v) = (column, row), (0, 0) the centre of the top-left one. A joint that the source does not tell, or
tells as not finite or beyond float32, is unlabelled: visibility 0, confidence 0, coordinates 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float32, Int32, Int64, Shaped, UInt8

from evolift.posedata.joint_mapping import HIDDEN, UNLABELLED, VISIBLE, mapping_between
from evolift.posedata.skeleton import Skeleton


@dataclass(frozen=True, eq=False)
class Keypoints:
    """People, one a row.

    Args:
        skeleton: of the joints.
        joints_2d: pixels; 0 where unlabelled.
        confidence: 0 to 1; 0 where unlabelled, 1 where the source has no scores.
        visibility: 0 unlabelled, 1 labelled but hidden, 2 visible.
        image: name of each row's image as the source writes it, "" for none.
        frame: number of the image or video frame, in the source's counting; rows of one image share it.
        person: id of the person in the frame; the same id is the same person in all frames if `is_tracked`.
        is_tracked: whether ids hold over frames.
        box: (left, top, width, height), pixels; NaN where the source has none.
        image_size: (width, height) of each row's image, 0 where the source does not tell.
        format: how the file was read, for example "coco".
        notes: sentences for the user on what was assumed.
    """

    skeleton: Skeleton
    joints_2d: Float32[np.ndarray, "rows joints 2"]
    confidence: Float32[np.ndarray, "rows joints"]
    visibility: UInt8[np.ndarray, "rows joints"]
    image: tuple[str, ...]
    frame: Int64[np.ndarray, "rows"]
    person: tuple[str, ...]
    is_tracked: bool
    box: Float32[np.ndarray, "rows 4"]
    image_size: Int32[np.ndarray, "rows 2"]
    format: str
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.frame)

    def to_skeleton(self, target: Skeleton) -> Keypoints:
        """The same people in another skeleton, by the declared mapping (`evolift.posedata.joint_mapping`).

        A joint made of several has the lowest confidence of them.

        Raises:
            InputError: no mapping is declared.
        """
        if target == self.skeleton:
            return self
        mapping = mapping_between(self.skeleton, target)
        joints, visibility = mapping.convert(self.joints_2d, self.visibility)
        used = mapping.matrix != 0
        lowest = np.where(used, self.confidence[:, None, :], 1).min(-1)
        confidence = np.where(visibility == UNLABELLED, 0, lowest).astype(np.float32)
        return replace(self, skeleton=target, joints_2d=joints, visibility=visibility, confidence=confidence)

    def with_image_size(self, size: tuple[int, int]) -> Keypoints:
        """The same people, with the size of the images filled in where the source does not tell it.

        Args:
            size: (width, height), pixels.
        """
        is_known = (self.image_size > 0).all(-1, keepdims=True)
        filled = np.where(is_known, self.image_size, np.array(size, np.int32)).astype(np.int32)
        return replace(self, image_size=filled)


def keypoints_of(
    skeleton: Skeleton,
    joints_2d: Float[np.ndarray, "rows joints 2"],
    *,
    format: str,
    confidence: Float[np.ndarray, "rows joints"] | None = None,
    visibility: Shaped[np.ndarray, "rows joints"] | None = None,
    image: Sequence[str] | None = None,
    frame: Sequence[int] | None = None,
    person: Sequence[str] | None = None,
    box: Float[np.ndarray, "rows 4"] | None = None,
    image_size: Shaped[np.ndarray, "rows 2"] | None = None,
    notes: Sequence[str] = (),
) -> Keypoints:
    """Keypoints with everything that a source does not tell filled in, and unlabelled joints made alike.

    Args:
        skeleton, joints_2d, image, box, image_size, format, notes: as in `Keypoints`.
        confidence: values above 1 count as 1; a joint of confidence 0 or less, or NaN, is unlabelled.
        visibility: 0, 1 or 2; from the confidence if None.
        frame: 0 for every row if None and there are no image names; else numbered by image name.
        person: ids of tracked people; if None, people are numbered from 1 in each frame and are not tracked.
    """
    rows = len(joints_2d)
    pixels = _as_float32(joints_2d)
    known = np.isfinite(pixels).all(-1)
    scores = np.ones(known.shape) if confidence is None else np.nan_to_num(confidence, nan=0.0)
    known &= scores > 0
    seen = np.full(known.shape, VISIBLE, np.uint8) if visibility is None else visibility.astype(np.uint8)
    seen = np.where(known, seen, UNLABELLED).astype(np.uint8)
    known = seen != UNLABELLED
    names = tuple(image) if image is not None else ("",) * rows
    numbers = np.array(_numbered(names) if frame is None else list(frame), np.int64).reshape(rows)
    if not known.all():
        missing = int((~known).any(-1).sum())
        notes = (*notes, f"{missing} of {rows} people lack joints; those joints are marked unlabelled")
    return Keypoints(
        skeleton,
        np.where(known[..., None], pixels, np.float32(0)),
        np.where(known, np.clip(scores, 0, 1), 0).astype(np.float32),
        seen,
        names,
        numbers,
        _ordinals(numbers) if person is None else tuple(person),
        person is not None,
        np.full((rows, 4), np.nan, np.float32) if box is None else _as_float32(box),
        np.zeros((rows, 2), np.int32) if image_size is None else image_size.astype(np.int32),
        format,
        tuple(notes),
    )


def _as_float32(values: Float[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
    """Numbers as float32; NaN where they are not finite, or too large to be."""
    with np.errstate(over="ignore"):
        small = values.astype(np.float32)
    return np.where(np.isfinite(small), small, np.float32(np.nan))


def hidden_below(
    confidence: Float[np.ndarray, "rows joints"], threshold: float
) -> UInt8[np.ndarray, "rows joints"]:
    """Visibility of scores that tell how likely a joint is in sight: below the threshold it is hidden."""
    return np.where(confidence < threshold, HIDDEN, VISIBLE).astype(np.uint8)


def _numbered(names: Sequence[str]) -> list[int]:
    order = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return [order[name] for name in names]


def _ordinals(frames: Int64[np.ndarray, "rows"]) -> tuple[str, ...]:
    seen: dict[int, int] = {}
    ordinals = []
    for frame in frames.tolist():
        seen[frame] = seen.get(frame, 0) + 1
        ordinals.append(str(seen[frame]))
    return tuple(ordinals)
