"""How long, where and with which seed a stage is trained: the settings that all trainings have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from evolift.posedata.errors import InputError
from evolift.posedata.settings import Settings

MAX_WEIGHTS = 10**9
"""Of a network: 4 GB, and 16 GB while it learns."""

Steps = Annotated[int, Meta(ge=1, description="Optimiser steps.")]
ValidateEvery = Annotated[
    int,
    Meta(ge=1, description="Steps between validations, and between points that a run can be resumed from."),
]
GradientClip = Annotated[float, Meta(ge=0, description="Largest gradient norm, 0 for none.")]
AverageDecay = Annotated[
    float,
    Meta(
        ge=0,
        lt=1,
        description="Validate and save a moving average of the weights with this decay per step, for example 0.999; 0 for none.",
    ),
]
LearningRate = Annotated[float, Meta(gt=0, description="Of Adam, at the top of the schedule.")]
_SCHEDULES = {
    "constant": "constant",
    "steps": "a tenth after each milestone",
    "cosine": "cosine to zero",
    "one-cycle": "a linear rise over a tenth of the steps and then cosine to zero",
    "published": "SemGCN's x0.96 per 100,000 steps",
}


def schedule_help(*names: str) -> Meta:
    """What schedules of the learning rate do, for the help of a setting that offers these."""
    told = "; ".join(name if name == _SCHEDULES[name] else f"{name}: {_SCHEDULES[name]}" for name in names)
    return Meta(description=f"Of the learning rate ({told}).")


def require_weights(weights: int, *fields: str) -> None:
    """Refuse a network that is too large.

    Args:
        weights: about how many it has.
        fields: settings that make them so many.

    Raises:
        InputError: there are more than `MAX_WEIGHTS`.
    """
    if weights > MAX_WEIGHTS:
        named = " and ".join(f"`{field}`" for field in fields)
        raise InputError(
            f"{named} make a network of about {weights:.3g} weights, {MAX_WEIGHTS:.3g} are the most: choose smaller ones"
        )


Schedule = Annotated[
    Literal["constant", "steps", "cosine", "one-cycle", "published"], schedule_help(*_SCHEDULES)
]
Seed = Annotated[
    int, Meta(ge=0, lt=2**32, description="Seed of everything random; the same seed gives the same bytes.")
]
Precision = Annotated[
    Literal["32-true", "bf16-mixed", "16-mixed", "64-true"], Meta(description="Arithmetic of the network.")
]
NumWorkers = Annotated[
    int, Meta(ge=0, description="Processes that work beside this one; their number never changes the result.")
]


class RunSettings(Settings, frozen=True, kw_only=True):
    """Settings of every training; those of a stage inherit them and say its own defaults."""

    panel: ClassVar[str | None] = "Optimiser"
    panels: ClassVar[Mapping[str, str | None]] = {
        **dict.fromkeys(("logger", "progress")),
        **dict.fromkeys(
            ("num_workers", "accelerator", "devices", "nodes", "precision", "compile"), "Hardware"
        ),
    }

    steps: Steps
    validate_every: ValidateEvery
    seed: Seed = 0
    num_workers: NumWorkers = 0
    accelerator: Annotated[str, Meta(description="cpu, gpu, mps, ...: as lightning takes it.")] = "auto"
    devices: Annotated[str, Meta(description="How many devices, or which: as lightning takes it.")] = "auto"
    nodes: Annotated[int, Meta(ge=1, description="Machines.")] = 1
    precision: Precision = "32-true"
    compile: Annotated[
        Literal["none", "default", "reduce-overhead"],
        Meta(
            description="Compile the network by torch.compile before training, which takes a minute or more; reduce-overhead uses CUDA graphs on a GPU."
        ),
    ] = "none"
    accumulate: Annotated[int, Meta(ge=1, description="Batches per optimiser step.")] = 1
    gradient_clip: GradientClip = 0.0
    average_decay: AverageDecay = 0.0
    patience: Annotated[
        int, Meta(ge=0, description="Validations without improvement before stopping, 0 for never.")
    ] = 0
    logger: Annotated[
        Literal["none", "csv", "tensorboard", "wandb", "mlflow"],
        Meta(
            description="Write losses and scores for this tool too, into the run folder (wandb: to its server as well); its package must be installed."
        ),
    ] = "none"
    progress: Annotated[
        bool, Meta(description="Show progress: a bar, or a line each half minute where there is no terminal.")
    ] = True
