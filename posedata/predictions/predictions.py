"""Predicted 3D poses with what is needed to use them: skeleton, frame of reference, units and camera.

3D joints are millimetres in the frame of the camera (x right, y down, z forward), relative to the skeleton's root
joint; `root_3d` is where that joint is, for cameras that are known. 2D joints are pixels of the image. A joint that
is not known is NaN, and its confidence 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64, Shaped

from evolift.posedata.camera import Camera
from evolift.posedata.errors import InputError
from evolift.posedata.frame_numbers import is_even
from evolift.posedata.poses import NO_CAMERA
from evolift.posedata.skeleton import Skeleton

_MAX_FRAMES = 200_000  # two hours; files of longer clips are written if most of their frames are there


_NO_TIMES = np.zeros(0)
"""Stands for times that were not given; they become NaN."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """People, one a row.

    Args:
        skeleton: of the joints.
        joints_2d: pixels; NaN where unknown.
        joints_3d: mm relative to the root joint, in the camera's frame; NaN where unknown.
        confidence: 0 to 1.
        image: name of each row's image or video.
        frame: number of the video frame, 0 for images.
        person: id of the person or track.
        root_3d: the root joint in the camera's frame, mm; NaN where it cannot be known.
        box: (left, top, width, height), pixels; NaN where there was none.
        camera: index into `cameras`, `NO_CAMERA` (-1) for none.
        cameras: that were given or assumed.
        camera_assumption: one sentence on where the cameras come from.
        provenance: command, versions, checkpoints: plain JSON values.
        time: seconds of each row's frame since the first of its video; NaN where it is not known.
        sigma_mm: how sure the lifter is of each of joints_3d: its standard deviation along each axis, mm, the root joint's 0;
            NaN where unknown, None if unknown of all.

    Raises:
        ValueError: shapes do not fit each other or the skeleton, or a camera is not there.
    """

    skeleton: Skeleton
    joints_2d: Float32[np.ndarray, "rows joints 2"]
    joints_3d: Float32[np.ndarray, "rows joints 3"]
    confidence: Float32[np.ndarray, "rows joints"]
    image: tuple[str, ...]
    frame: Int64[np.ndarray, "rows"]
    person: tuple[str, ...]
    root_3d: Float32[np.ndarray, "rows 3"]
    box: Float32[np.ndarray, "rows 4"]
    camera: Int32[np.ndarray, "rows"]
    cameras: tuple[Camera, ...] = ()
    camera_assumption: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    time: Float64[np.ndarray, "rows"] = field(default_factory=lambda: _NO_TIMES)
    sigma_mm: Float32[np.ndarray, "rows joints"] | None = None

    def __post_init__(self) -> None:
        rows, joints = len(self.frame), len(self.skeleton)
        if self.time is _NO_TIMES:
            object.__setattr__(self, "time", np.full(rows, np.nan))
        shapes = {
            "joints_2d": (rows, joints, 2),
            "joints_3d": (rows, joints, 3),
            "confidence": (rows, joints),
            "root_3d": (rows, 3),
            "box": (rows, 4),
            "camera": (rows,),
            "time": (rows,),
            "sigma_mm": (rows, joints),
        }
        for name, shape in shapes.items():
            value = getattr(self, name)
            if value is not None and value.shape != shape:
                raise ValueError(f"{name} must have shape {shape} (got {value.shape})")
        if len(self.image) != rows or len(self.person) != rows:
            raise ValueError(f"image and person must have {rows} rows")
        if rows and not NO_CAMERA <= self.camera.min() <= self.camera.max() < len(self.cameras):
            raise ValueError(f"camera must be an index below {len(self.cameras)} or {NO_CAMERA}")

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self)} poses of {self.skeleton.name}>"

    def __getitem__(self, rows: slice) -> Predictions:
        """The predictions of the chosen rows."""
        return replace(self, **{name: getattr(self, name)[rows] for name in self.row_fields})

    @property
    def row_fields(self) -> tuple[str, ...]:
        """Names of the fields that have one entry per row; those that are known of no row are left out."""
        return tuple(name for name in ROW_FIELDS if getattr(self, name) is not None)

    def tracks(self) -> dict[str, Int64[np.ndarray, "frames"]]:
        """Rows of each person in the order of their frames, whatever their images are called."""
        rows: dict[str, list[int]] = {}
        for row, person in enumerate(self.person):
            rows.setdefault(person, []).append(row)
        ordered = {person: np.array(entry, np.int64) for person, entry in rows.items()}
        return {
            person: entry[np.argsort(self.frame[entry], kind="stable")] for person, entry in ordered.items()
        }

    @staticmethod
    def concatenate(parts: Sequence[Predictions]) -> Predictions:
        """One after the other; skeleton, assumption and provenance are the first part's, cameras are joined, each once.

        Raises:
            ValueError: there are no parts, or their skeletons differ.
        """
        if not parts:
            raise ValueError("nothing to concatenate")
        if any(part.skeleton != parts[0].skeleton for part in parts):
            raise ValueError("predictions of different skeletons cannot be joined")
        numbers: dict[Camera, int] = {}
        renumbered = []
        for part in parts:
            of_part = [numbers.setdefault(camera, len(numbers)) for camera in part.cameras]
            renumbered.append(np.array([*of_part, NO_CAMERA], np.int32)[part.camera])
        columns: dict[str, Any] = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in ROW_FIELDS
            if name not in ("image", "person", "camera", "sigma_mm")
        }
        sigmas = [part.sigma_mm for part in parts]
        if any(sigma is not None for sigma in sigmas):
            columns["sigma_mm"] = np.concatenate(
                [
                    np.full_like(part.confidence, np.nan) if sigma is None else sigma
                    for part, sigma in zip(parts, sigmas, strict=True)
                ]
            )
        return replace(
            parts[0],
            image=tuple(name for part in parts for name in part.image),
            person=tuple(name for part in parts for name in part.person),
            camera=np.concatenate(renumbered),
            cameras=tuple(numbers),
            **columns,
        )


ROW_FIELDS = tuple(
    entry.name
    for entry in fields(Predictions)
    if entry.name not in ("skeleton", "cameras", "camera_assumption", "provenance")
)
"""Names of the fields of `Predictions` that have one entry per row."""
OPTIONAL_FIELDS = frozenset({"sigma_mm"})
"""Those of them that may be None, and that files without them lack."""


def places_in_time(
    predictions: Predictions, rows: Int64[np.ndarray, "frames"], frames_per_second: float
) -> Shaped[np.ndarray, "frames"]:
    """Where frames lie on an even grid: their times in frames, or their numbers where times are not known or agree with them.

    Args:
        predictions: of one video.
        rows: of it.
        frames_per_second: of the grid.

    Returns:
        float64 or, of numbers, int64, which are exact however large they are; growing if the frames of `rows` do.

    Raises:
        InputError: a frame is not later than the one before.
    """
    time = predictions.time
    is_known = len(time) and np.isfinite(time).all()
    if not is_known or is_even(time, predictions.frame, frames_per_second):
        return np.asarray(predictions.frame[rows])
    if (back := np.flatnonzero(~(np.diff(time[rows]) > 0))).size:
        before, after = (int(predictions.frame[rows[back[0] + n]]) for n in (0, 1))
        raise InputError(
            f"person {predictions.person[rows[0]]!r}: frame {after} is not later than frame {before} by the times given: mend these, or leave them out"
        )
    return np.asarray(time[rows] * frames_per_second)


def require_near_frames(frames: Int64[np.ndarray, "rows"], what: str) -> None:
    """Refuse frames with such gaps that a file with a place for each frame between would fill the memory.

    Args:
        frames: at least one.
        what: name of the clip or track and of the format, for the message.

    Raises:
        InputError: naming the largest gap.
    """
    seen = np.unique(frames).tolist()  # Python's numbers, whose differences do not overflow
    if seen[-1] - seen[0] < max(_MAX_FRAMES, 10 * len(seen)):
        return
    before, after = max(pairwise(seen), key=lambda pair: pair[1] - pair[0])
    raise InputError(
        f"{what}: frames {before} and {after} are too far apart for this format, which has a place for each frame between: number the frames without such gaps, or write another format"
    )
