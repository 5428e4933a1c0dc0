"""The settings of an evolution of motion that an evolution of poses does not have."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from evolift.evolution.settings import EvolutionSettings
from evolift.posedata.errors import InputError
from evolift.posedata.settings import Settings

OF_BOTH = (
    "ratio", "target_size", "generations", "limits", "crossover_rate", "two_point_rate", "mutation_rate", "per_bone_rate", "rotation_rate", "length_rate",
    "length_spread", "body_rate", "mirror_rate", "seed",
)  # fmt: skip
"""Fields of `EvolutionSettings` that clips are bred by too; all others are of single poses, and clips refuse what is not their default."""


class ClipSettings(Settings, frozen=True, kw_only=True):
    """How clips are evolved, beside `EvolutionSettings`.

    Of those, clips take `OF_BOTH`. They stay upright, and their feet tell how high they are: `tilt_sigma` and `settle` are not among them.
    """

    panel: ClassVar[str | None] = "Motion (--clips)"

    clip_frames: Annotated[
        int,
        Meta(
            ge=9,
            le=1000,
            description="Frames of a clip: clips of the source are cut into so many, overlapping by half.",
        ),
    ] = 81
    frames_per_second: (
        Annotated[
            float,
            Meta(
                gt=0,
                description="Of the source's rows; as it was imported if left out.",
                extra={"flag": "fps"},
            ),
        ]
        | None
    ) = None
    bend_sigma: Annotated[
        float,
        Meta(
            ge=0,
            le=180,
            description="Standard deviation of the rotation of a mutated bone, which changes smoothly over time, degrees.",
        ),
    ] = 10.0
    bend_seconds: Annotated[
        float, Meta(gt=0, description="Seconds in which that rotation, or the tempo, changes.")
    ] = 2.0
    tempo_rate: Annotated[
        float, Meta(ge=0, le=1, description="Share of candidates that are faster here and slower there.")
    ] = 0.5
    tempo_sigma: Annotated[
        float, Meta(ge=0, le=1, description="Standard deviation of the logarithm of their tempo.")
    ] = 0.2
    speed_quantile: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="Share of the source's clips that keep the limit of each bone's angular velocity, and that of its acceleration.",
        ),
    ] = 0.99
    max_slide: Annotated[
        float,
        Meta(
            ge=0,
            description="Refuse clips in which a standing foot slides more than this from a frame to the next, mm: otherwise than in the clip that gave the leg, or beyond the 150 mm/s of feet that stand.",
        ),
    ] = 5.0


def require_of_clips(settings: EvolutionSettings) -> None:
    """Refuse settings of single poses.

    Raises:
        InputError: naming the field.
    """
    standard = EvolutionSettings()
    for name in settings.__struct_fields__:
        if name not in OF_BOTH and getattr(settings, name) != getattr(standard, name):
            raise InputError(f"`{name}` is of single poses, which clips are not: leave it out")
