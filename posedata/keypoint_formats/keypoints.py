"""2D keypoints of people in images, as a detector gave them.

Pixels are (u, v) = (column, row), (0, 0) the centre of the top-left one. A joint that the source does not tell is
unlabelled: visibility 0, confidence 0, coordinates 0. "Not seen" has many spellings, and all are read in one place,
`keypoints_of`: exactly (0, 0) or (-1, -1), not finite or beyond any image, confidence 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int32, Int64, Shaped, UInt8

from evolift.posedata.frame_numbers import frames_of_names, numbered_by_names
from evolift.posedata.joint_mapping import HIDDEN, UNLABELLED, VISIBLE, mapping_between
from evolift.posedata.keypoint_formats.name_mapping import NamedColumns
from evolift.posedata.keypoint_formats.track_ids import who_is_who
from evolift.posedata.plausibility import MAX_PIXELS
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
        time: seconds since the first frame of each row's frame, None where the source does not tell.
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
    time: Float64[np.ndarray, "rows"] | None = None

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        return f"<Keypoints: {self.format}, {self.how_many}, {self.skeleton.name}>"

    @property
    def how_many(self) -> str:
        """People and frames in words; people of several images who are not told apart are counted as poses."""
        frames = len(np.unique(self.frame))
        if self.is_tracked or frames <= 1:
            people = len(set(self.person)) if self.is_tracked else len(self)
            who = "1 person" if people == 1 else f"{people} people"
            return who if frames <= 1 else f"{who} in {frames} frames"
        return f"{len(self)} poses in {frames} images"

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
    joints: Skeleton | NamedColumns,
    joints_2d: Float[np.ndarray, "rows columns 2"],
    *,
    format: str,
    confidence: Float[np.ndarray, "rows columns"] | None = None,
    visibility: Shaped[np.ndarray, "rows columns"] | None = None,
    image: Sequence[str] | None = None,
    frame: Sequence[int] | None = None,
    person: Sequence[str] | None = None,
    box: Float[np.ndarray, "rows 4"] | None = None,
    image_size: Shaped[np.ndarray, "rows 2"] | None = None,
    notes: Sequence[str] = (),
    time: Float64[np.ndarray, "rows"] | None = None,
    is_over_time: bool = False,
) -> Keypoints:
    """Keypoints with everything that a source does not tell filled in, and unlabelled joints made alike.

    Args:
        joints: the skeleton whose joints the columns are, or what they mean.
        joints_2d: exactly (0, 0), (-1, -1), what is not finite or beyond `MAX_PIXELS` is not seen, in every format.
        confidence: values above 1 count as 1; a joint of confidence 0 or less, or NaN, is unlabelled. If no joint of any
            row has more than 0, the source does not tell confidence, and all joints are used.
        visibility: 0, 1 or 2; from the confidence if None.
        image, box, image_size, format, notes, time: as in `Keypoints`.
        frame: if None, the numbers in the names of the images; 0 for every row if there are no names.
        person: ids of tracked people; if None, or if two people of a frame have the same, people are numbered from 1 in
            each frame and are not tracked.
        is_over_time: that rows are frames, of one person if they have no ids and no frame has two; images whose names are no
            series are no frames.
    """
    rows = len(joints_2d)
    pixels = _as_float32(joints_2d)
    used = _used_columns(joints, pixels.shape[1])
    beyond = (np.isfinite(joints_2d) & np.isnan(pixels)).any(-1)
    seen, scores, told = _seen(pixels, confidence, visibility, used, beyond)
    flags = np.full(seen.shape, VISIBLE) if visibility is None else np.nan_to_num(visibility)
    flags = np.where(seen, np.where(flags > 0, flags, VISIBLE), UNLABELLED)
    if isinstance(joints, NamedColumns):
        pixels, scores, flags = _arranged(joints, pixels, scores, flags)
    known = flags != UNLABELLED
    names = tuple(image) if image is not None else ("",) * rows
    are_frames = frame is not None or frames_of_names(names) is not None
    numbers = np.array(numbered_by_names(names) if frame is None else list(frame), np.int64).reshape(rows)
    people, is_tracked, said = who_is_who(numbers, person, is_over_time=is_over_time and are_frames)
    return Keypoints(
        joints.mapping.skeleton if isinstance(joints, NamedColumns) else joints,
        np.where(known[..., None], pixels, np.float32(0)),
        np.where(known, np.clip(scores, 0, 1), 0).astype(np.float32),
        flags.astype(np.uint8),
        names,
        numbers,
        people,
        is_tracked,
        np.full((rows, 4), np.nan, np.float32) if box is None else _as_float32(box),
        np.zeros((rows, 2), np.int32) if image_size is None else image_size.astype(np.int32),
        format,
        (*notes, *said, *told),
        time,
    )


def _used_columns(joints: Skeleton | NamedColumns, count: int) -> Bool[np.ndarray, "columns"]:
    """Which columns joints are made of: what else is not seen (toes, a face) is of no concern."""
    if isinstance(joints, NamedColumns):
        return np.array([name in joints.mapping.names for name in joints.names], bool)
    return np.ones(count, bool)


def _seen(
    pixels: Float32[np.ndarray, "rows columns 2"],
    confidence: Float[np.ndarray, "rows columns"] | None,
    visibility: Shaped[np.ndarray, "rows columns"] | None,
    used: Bool[np.ndarray, "columns"],
    beyond: Bool[np.ndarray, "rows columns"],
) -> tuple[Bool[np.ndarray, "rows columns"], Float[np.ndarray, "rows columns"], list[str]]:
    """Which keypoints were seen, their scores, and sentences on those that were not."""
    somewhere = np.isfinite(pixels).all(-1)
    spellings = {
        "beyond any image": beyond,
        "without coordinates": ~somewhere,
        "at (0, 0)": (pixels == 0).all(-1),
        "at (-1, -1)": (pixels == -1).all(-1),
    }
    there = somewhere & ~spellings["at (0, 0)"] & ~spellings["at (-1, -1)"]
    scores = np.ones(there.shape) if confidence is None else np.nan_to_num(confidence, nan=0.0)
    told = []
    is_sure = scores > 0
    if visibility is not None:
        is_sure = is_sure & (np.nan_to_num(visibility) > 0)
    # NaN is "not seen" said of each joint; zeros alone are a source that has nothing to say.
    has_none = confidence is not None and np.isfinite(confidence[there & used]).all()
    if (has_none or visibility is not None) and (there & used).any() and not (is_sure & there & used).any():
        told.append(
            "every confidence in it is 0, so it is taken to tell none: all joints with coordinates are used"
        )
        is_sure, scores = np.ones(there.shape, bool), np.ones(there.shape)
    spellings["of confidence 0"] = ~is_sure
    seen = there & is_sure
    missing = ~seen & used
    if missing.any():
        counts = []
        for spelling, is_spelt in spellings.items():
            counts += [f"{count} {spelling}"] if (count := int((is_spelt & missing).sum())) else []
            missing = missing & ~is_spelt
        lacking = int((~seen & used).any(-1).sum())
        told.append(
            f"{lacking} of {len(pixels)} poses lack joints, which are unlabelled: {', '.join(counts)}"
        )
    return seen, scores, told


def _arranged(
    columns: NamedColumns,
    pixels: Float32[np.ndarray, "rows columns 2"],
    scores: Float[np.ndarray, "rows columns"],
    flags: Shaped[np.ndarray, "rows columns"],
) -> tuple[Float32[np.ndarray, "rows joints 2"], np.ndarray, np.ndarray]:
    """Joints of the mapping's skeleton, each with the lowest score and flag of the columns it is made of."""
    table = np.concatenate([pixels, scores[..., None], flags[..., None]], -1)
    table[flags == UNLABELLED] = 0  # NaN would warn on its way; the flag says that there is nothing
    arranged = columns.mapping.arranged(columns.names, table)
    is_made = np.isfinite(arranged).all(-1)
    arranged[~is_made] = 0
    return arranged[..., :2].astype(np.float32), arranged[..., 2], arranged[..., 3]


def _as_float32(values: Float[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
    """Pixels as float32; NaN where they are not finite, or beyond any image."""
    with np.errstate(over="ignore"):
        small = values.astype(np.float32)
    return np.where(np.abs(small) <= MAX_PIXELS, small, np.float32(np.nan))


def hidden_below(
    confidence: Float[np.ndarray, "rows joints"], threshold: float
) -> UInt8[np.ndarray, "rows joints"]:
    """Visibility of scores that tell how likely a joint is in sight: below the threshold it is hidden."""
    return np.where(confidence < threshold, HIDDEN, VISIBLE).astype(np.uint8)
