"""Settings of cameras that are drawn at random around a person; `camera_rig` draws them."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from evolift.posedata.errors import InputError
from evolift.posedata.settings import Settings

_Positive = Annotated[float, Meta(gt=0)]


class RingRig(Settings, frozen=True, kw_only=True):
    """Four cameras in the corners of a room, as in Human3.6M (Ionescu et al. 2014); see `camera_rig.sample_ring`."""

    panel: ClassVar[str | None] = "Data"

    ring_radius: Annotated[
        float,
        Meta(
            ge=0,
            le=2500,
            description="The person stands at random within this distance of the middle of the ring of cameras, mm.",
        ),
    ] = 1000.0
    rotate_ring: Annotated[
        bool,
        Meta(
            description="Rotate the ring of cameras by a random angle for each pose, which is as good as turning the person; else the four directions stay."
        ),
    ] = True


class RandomRig(Settings, frozen=True, kw_only=True):
    """Cameras of any direction, for photographs of unknown camera. Each pair is a range drawn from uniformly."""

    panel: ClassVar[str | None] = "Data"

    camera_distance: Annotated[
        tuple[_Positive, _Positive],
        Meta(description="Range of the horizontal distance of random cameras from the root joint, mm."),
    ] = (2500.0, 8000.0)
    camera_height: Annotated[
        tuple[float, float],
        Meta(description="Range of the height of random cameras above the lowest joint, mm."),
    ] = (300.0, 2600.0)
    camera_pan: Annotated[
        tuple[float, float],
        Meta(
            description="Range of the angle by which random cameras look past the root joint sideways, degrees."
        ),
    ] = (-8.0, 8.0)
    camera_tilt: Annotated[
        tuple[float, float],
        Meta(description="Range of the angle by which they look past it upwards, degrees."),
    ] = (
        -8.0,
        8.0,
    )
    camera_roll: Annotated[
        tuple[float, float],
        Meta(description="Range of the rotation of random cameras about their optical axis, degrees."),
    ] = (-5.0, 5.0)
    camera_focal: Annotated[
        tuple[_Positive, _Positive],
        Meta(
            description="Range of the focal length of random cameras over the longer side of their images (0.8 is a phone, 1.15 Human3.6M, 2 a short telephoto lens)."
        ),
    ] = (0.8, 2.0)
    camera_aspect: Annotated[
        tuple[_Positive, _Positive],
        Meta(
            description="Range of width over height of the images of random cameras; the longer side is 1000 px."
        ),
    ] = (0.6, 1.7)

    def check(self) -> None:
        """Refuse ranges without numbers in them.

        Raises:
            InputError: naming the range.
        """
        for field in msgspec.structs.fields(self):
            low, high = getattr(self, field.name)
            if not low <= high:
                raise InputError(
                    f"`{field.name}` must be two numbers, the smaller first, not {low} and {high}"
                )
