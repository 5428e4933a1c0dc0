"""The settings of lifters and refiners, of the pairs that they learn from, and of their trainings.

Importing this loads no torch, so that commands can make their options of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, cast

import msgspec
from msgspec import Meta

from evolift.lifter.architecture import FORMS, Architecture
from evolift.lifter.networks.joint_groups import (
    GROUPINGS,
    Groups,
    groups_by_name,
    joint_order,
    own_groups,
)
from evolift.posedata.errors import InputError
from evolift.posedata.rig_settings import RandomRig, RingRig
from evolift.posedata.settings import Settings
from evolift.posedata.skeleton import H36M17, Skeleton
from evolift.training.settings import (
    AverageDecay,
    GradientClip,
    LearningRate,
    RunSettings,
    Steps,
    ValidateEvery,
    require_weights,
    schedule_help,
)

Normalisation = Literal["screen", "box", "camera"]
CAMERA_NEEDED = "this lifter (normalisation `camera`) needs the camera: give its intrinsics or its focal length, or have it assumed"
EVOLVED_SHARE = 0.25
"""Share of evolved poses among the draws where none is asked for and there are any; chosen in docs/results.md, "Leave one source out"."""
Probability = Annotated[float, Meta(ge=0, lt=1)]


class LifterSettings(Settings, frozen=True, kw_only=True):
    """What rebuilds a lifter; stored with its weights.

    Sizes that are left out settle to those of the architecture (`architecture.FORMS`).
    """

    panel: ClassVar[str | None] = "Network"
    derived: ClassVar[frozenset[str]] = frozenset({"uncertainty"})

    architecture: Annotated[
        Architecture,
        Meta(
            description="The network: graphs (semgcn, modulated-gcn), attention and graphs (graformer), or perceptrons; semgcn-graph is semgcn by torch-geometric's messages along the bones: the same numbers, more slowly."
        ),
    ] = "modulated-gcn"
    skeleton: Annotated[Skeleton, Meta(description="Joints of input and output.")] = H36M17
    target: Annotated[
        Literal["xyz", "z"],
        Meta(
            description="Whole joints, or depth alone, for chains that take x and y from the 2D input.",
        ),
    ] = "xyz"
    normalisation: Annotated[
        Normalisation,
        Meta(
            description="Of the 2D input: by the image, by the person's box (for photographs of unknown camera), or as a camera sees it that looks straight at the person (for known intrinsics, of any lens and place). The answers of the last two are that camera's, rotated back where the true one is known (but for depth alone)."
        ),
    ] = "screen"
    input_axes: Annotated[
        int, Meta(ge=2, le=3, description="3 takes a volumetric detector's depth beside x and y.")
    ] = 2
    hidden: (
        Annotated[int, Meta(ge=1, le=16384, description="Channels inside; the published number if left out.")]
        | None
    ) = None
    blocks: (
        Annotated[int, Meta(ge=0, le=256, description="Residual blocks; the published number if left out.")]
        | None
    ) = None
    dropout: (
        Annotated[
            float,
            Meta(
                ge=0,
                lt=1,
                description="If left out the published 0.5 for martinez and cascade, and 0.1 for the others.",
            ),
        ]
        | None
    ) = None
    non_local: Annotated[
        bool, Meta(description="Non-local blocks (of semgcn, semgcn-graph and modulated-gcn).")
    ] = False
    grouping: Annotated[
        str | Groups,
        Meta(
            description="Of the non-local blocks: concat, self, related (17 joints), pairs (16 joints), consecutive (in the joint order), none, or own groups of joint numbers: 0,1;2,3,4;..."
        ),
    ] = "none"
    stages: Annotated[int, Meta(ge=1, le=64, description="Of a cascade; 2 if left out.")] | None = None
    joint_order: Annotated[
        str | tuple[str, ...],
        Meta(
            description="Inside the network: declared (the skeleton's), published (pair after pair), or all joints by name, with commas between."
        ),
    ] = "declared"
    uncertainty: Annotated[
        bool,
        Meta(description="It says how sure it is of each joint; so does whatever the `loss` nll trains."),
    ] = False

    @property
    def is_turned(self) -> bool:
        """Whether it answers as seen straight on (`evolift.lifter.straight_view`), turned where the camera is known; depth alone never is."""
        return self.normalisation in ("box", "camera") and self.target == "xyz" and self.input_axes == 2

    def replaced(self, **values: Any) -> LifterSettings:
        """A copy with other values for some fields; of another architecture, it has that one's sizes."""
        if values.get("architecture", self.architecture) != self.architecture:
            values = dict.fromkeys(("hidden", "blocks", "dropout", "stages")) | values
        return super().replaced(**values)

    def check(self) -> None:
        """Settle what was left out, and refuse what does not go together.

        Raises:
            InputError: naming what does not.
        """
        form = FORMS[self.architecture]
        for name in ("hidden", "blocks", "dropout", "stages"):
            if getattr(self, name) is None:
                msgspec.structs.force_setattr(self, name, getattr(form, name))
        if self.stage_count > 1 and self.architecture != "cascade":
            raise InputError(
                f"`stages` must be 1 for {self.architecture}, not {self.stages}: only a cascade has several"
            )
        if self.normalisation == "camera" and (self.target != "xyz" or self.input_axes != 2):
            raise InputError(
                "the `normalisation` camera turns the camera, so depth alone means another thing before it and after: give it `target` xyz and `input_axes` 2"
            )
        hidden, blocks, _ = self.sizes
        require_weights(form.block_weights * hidden**2 * blocks * self.stage_count, "hidden", "blocks")
        if hidden % form.heads:
            raise InputError(
                f"`hidden` must be a multiple of {form.heads} for {self.architecture}, whose heads share the channels, not {hidden}"
            )
        if self.non_local and not form.non_local:
            able = ", ".join(name for name, one in FORMS.items() if one.non_local)
            raise InputError(f"`non_local` blocks belong to {able}, not to {self.architecture}")
        joint_order(self.joint_order, self.skeleton)
        if not isinstance(self.grouping, str):
            own_groups(self.grouping, self.skeleton)
        elif self.non_local or self.grouping not in GROUPINGS:
            groups_by_name(self.grouping, self.skeleton, self.order)

    @property
    def sizes(self) -> tuple[int, int, float]:
        """(hidden, blocks, dropout) with the architecture's defaults filled in."""
        return cast(tuple[int, int, float], (self.hidden, self.blocks, self.dropout))

    @property
    def stage_count(self) -> int:
        """Number of stages, with the architecture's default filled in."""
        return cast(int, self.stages)

    @property
    def groups(self) -> Groups | None:
        """Joint groups of the non-local blocks, as indices of the skeleton; None without them."""
        if not self.non_local:
            return None
        if isinstance(self.grouping, str):
            return groups_by_name(self.grouping, self.skeleton, self.order)
        return self.grouping

    @property
    def order(self) -> tuple[int, ...]:
        """Index in the skeleton of the joint at each place inside the network."""
        return joint_order(self.joint_order, self.skeleton)

    @property
    def target_axes(self) -> int:
        """Number of coordinates per joint of the answer: 3 (xyz), or 1 (depth alone)."""
        return 3 if self.target == "xyz" else 1

    @property
    def output_axes(self) -> int:
        """Number of values per joint that the network gives: the coordinates, and one more with `uncertainty`."""
        return self.target_axes + self.uncertainty


class RefinerSettings(Settings, frozen=True, kw_only=True):
    """What rebuilds a refiner; stored with its weights."""

    panel: ClassVar[str | None] = "Network"

    skeleton: Annotated[Skeleton, Meta(description="Joints of the poses.")] = H36M17
    hidden: Annotated[
        int, Meta(ge=1, le=16384, description="Width of the layers before and after the code.")
    ] = 512
    layers: Annotated[int, Meta(ge=0, le=64, description="Layers on either side of the code.")] = 1
    code: Annotated[int, Meta(ge=1, le=16384, description="Width of the narrowest layer.")] = 128
    dropout: Annotated[float, Meta(ge=0, lt=1, description="After each of these layers.")] = 0.0

    def check(self) -> None:
        """Refuse a network that is too large.

        Raises:
            InputError: naming the fields.
        """
        inside = 2 * self.hidden**2 * max(self.layers - 1, 0)
        require_weights(inside + 2 * self.hidden * self.code, "hidden", "layers")


class ViewSettings(Settings, frozen=True, kw_only=True):
    """How poses are seen."""

    panel: ClassVar[str | None] = "Data"

    batch_size: Annotated[int, Meta(ge=1, le=10**6, description="Poses per step and process.")] = 64
    cameras: Annotated[
        Literal["ring", "random", "store"],
        Meta(
            description="Four cameras as in Human3.6M, random ones, or those of the store (with its 2D joints where it holds them)."
        ),
    ] = "ring"
    ring: RingRig = RingRig()
    random: RandomRig = RandomRig()
    flip: Annotated[bool, Meta(description="Mirror half of the poses.")] = True


class PairSettings(ViewSettings, frozen=True, kw_only=True):
    """How poses are seen before a lifter gets them: by cameras, with a detector's errors."""

    noise: Annotated[
        float,
        Meta(
            ge=0,
            description="Gaussian error of 2D joints, per cent of the longer side of the person's box.",
        ),
    ] = 0.0
    errors: (
        Annotated[
            str,
            Meta(
                description="File of errors of 2D joints that a detector really made, to make them again; of `evolift detector evaluate --errors`."
            ),
        ]
        | None
    ) = None
    missing: Annotated[Probability, Meta(description="Probability that a 2D joint is not found.")] = 0.0
    missing_limbs: Annotated[
        Probability,
        Meta(description="Probability that an elbow with its wrist, or a knee with its ankle, is not found."),
    ] = 0.0
    swapped: Annotated[
        Probability,
        Meta(
            description="Probability that left and right arm, or left and right leg, are taken for each other."
        ),
    ] = 0.0
    depth_noise: Annotated[
        float,
        Meta(ge=0, description="Gaussian error of the input depth, mm (with 3 input axes)."),
    ] = 0.0


EVALUATION_PAIRS = PairSettings(ring=RingRig(rotate_ring=False), flip=False)
"""Pairs to score lifters on, if nothing else is said: seen by cameras that stay where they are."""


PUBLISHED_EVERY = 5
"""Frames from one that is scored to the next under the protocol `h36m`: 10 of Human3.6M's 50 a second."""


class ProtocolSettings(Settings, frozen=True, kw_only=True):
    """Which joints and frames of a test store lifters are scored on, and by whose rules; see `evolift.lifter.protocol`."""

    protocol: (
        Annotated[
            Literal["h36m"],
            Meta(
                description="Score as published on Human3.6M: S9 and S11 as the store's own cameras see them, every 5th frame, mean over the 15 actions."
            ),
        ]
        | None
    ) = None
    joints: (
        Annotated[
            int,
            Meta(
                ge=16,
                le=17,
                description="Of Human3.6M's joints, how many are scored: 16 leaves out Neck/Nose, as SemGCN does; all of the lifter's if left out.",
            ),
        ]
        | None
    ) = None
    every: (
        Annotated[
            int,
            Meta(
                ge=1,
                description="Score every nth frame of a sequence, by the store's frame numbers; if left out every 5th with a protocol, else all rows.",
            ),
        ]
        | None
    ) = None

    def check(self) -> None:
        """Settle what the protocol says, and refuse what contradicts it.

        Raises:
            InputError: naming what does.
        """
        if self.protocol is None:
            return
        if self.every is None:
            msgspec.structs.force_setattr(self, "every", PUBLISHED_EVERY)
        elif self.every not in (1, PUBLISHED_EVERY):
            raise InputError(
                f"`every` must be {PUBLISHED_EVERY}, or 1 for all frames, by the `protocol` {self.protocol}, not {self.every}"
            )


EVERYTHING_SCORED = ProtocolSettings()
"""All joints of the lifter, all rows of the store."""


class PoseNoise(Settings, frozen=True, kw_only=True):
    """What is done to the clean poses that a refiner learns to mend."""

    panel: ClassVar[str | None] = "Data"

    noise: Annotated[
        float, Meta(ge=0, description="Gaussian error of x and y of the joints to mend, mm.")
    ] = 20.0
    depth_noise: Annotated[
        float, Meta(ge=0, description="Of their depth, mm; lifters err most along the line of sight.")
    ] = 40.0
    masked: Annotated[
        Probability,
        Meta(description="Probability that a joint is masked, which puts it at the root's place."),
    ] = 0.05


class Split(Settings, frozen=True, kw_only=True):
    """Which rows train and which validate, by subject, action and clip; see `evolift.lifter.data.split`."""

    panel: ClassVar[str | None] = "Data"

    subjects: Annotated[
        tuple[str, ...],
        Meta(description="Use only this subject; repeatable.", extra={"flag": "subject"}),
    ] = ()
    actions: Annotated[
        tuple[str, ...],
        Meta(description="Use only this action; repeatable.", extra={"flag": "action"}),
    ] = ()
    validation_subjects: Annotated[
        tuple[str, ...],
        Meta(description="Validate on this subject; repeatable.", extra={"flag": "validation-subject"}),
    ] = ()
    validation_actions: Annotated[
        tuple[str, ...],
        Meta(description="Validate on this action; repeatable.", extra={"flag": "validation-action"}),
    ] = ()
    validation_share: Annotated[
        float,
        Meta(
            ge=0,
            le=0.9,
            description="Else validate on clips drawn at random, at least this share of the rows.",
        ),
    ] = 0.1


class PoseTrainingSettings(RunSettings, frozen=True, kw_only=True):
    """How a network that answers with poses learns, and from which.

    The defaults were chosen on held-out clips; the recipe `semgcn-published` has the published ones.
    """

    panels: ClassVar[Mapping[str, str | None]] = {
        **RunSettings.panels,
        **dict.fromkeys(("validation_poses", "evolved_share", "evolved_warm_up", "store_weights"), "Data"),
    }

    gradient_clip: GradientClip = 1.0
    average_decay: AverageDecay = 0.999
    loss: Annotated[
        Literal["mse", "l1", "nll"],
        Meta(
            description="Of joints in metres; mse is the published one, nll makes a lifter that says how sure it is of each joint too."
        ),
    ] = "l1"
    learning_rate: LearningRate = 2e-3
    schedule: Annotated[
        Literal["published", "cosine", "one-cycle", "constant"],
        schedule_help("published", "cosine", "one-cycle", "constant"),
    ] = "one-cycle"
    bone_weight: Annotated[
        float,
        Meta(
            ge=0,
            description="Of the L1 error of bone vectors in metres, summed over bones and axes (target xyz).",
        ),
    ] = 0.0
    symmetry_weight: Annotated[
        float,
        Meta(
            ge=0,
            description="Of the difference in length of left and right bones in metres, summed over pairs (target xyz).",
        ),
    ] = 0.0
    split: Split = Split()
    validation_poses: Annotated[
        int,
        Meta(ge=1, description="Poses at most that validation looks at (each by all cameras of a ring)."),
    ] = 2000
    evolved_share: (
        Annotated[
            float,
            Meta(
                ge=0,
                lt=1,
                description=f"Share of evolved poses among the draws; {EVOLVED_SHARE:g} if left out and there are any.",
            ),
        ]
        | None
    ) = None
    evolved_warm_up: Annotated[
        int,
        Meta(
            ge=0,
            description="Steps over which that share grows from 0: short trainings learn the recorded poses first, and lose nothing on them.",
        ),
    ] = 5000
    store_weights: Annotated[
        tuple[Annotated[float, Meta(gt=0)], ...],
        Meta(
            description="How often a row of each store is drawn relative to rows of the others; one per store.",
            extra={"flag": "store-weight"},
        ),
    ] = ()


class LifterTrainingSettings(PoseTrainingSettings, frozen=True, kw_only=True):
    """How a lifter is trained."""

    steps: Steps = 100_000
    validate_every: ValidateEvery = 2_000
    pairs: PairSettings = PairSettings()


USES: dict[str, dict[str, Any]] = {
    "rig": {},
    "photos": {
        "normalisation": "box",
        "cameras": "random",
        "noise": 1.5,
        "missing": 0.05,
        "missing_limbs": 0.05,
        "swapped": 0.02,
    },
}
"""What lifters are for -> settings that differ from the defaults: rig, cameras placed as in training (Human3.6M's four), seen whole;
photos, photographs of unknown cameras (`keypoint_lifter`, which comes with evolift, was trained so)."""


def lifter_settings_for(use: str) -> tuple[LifterSettings, LifterTrainingSettings]:
    """The settings of `evolift lifter train --for USE`.

    Args:
        use: one of `USES`.

    Raises:
        InputError: there is no such use.
    """
    if use not in USES:
        raise InputError(f"`use` must be one of {', '.join(USES)}, not {use!r}")
    values = dict(USES[use])
    own = {name: values.pop(name) for name in LifterSettings.__struct_fields__ if name in values}
    return LifterSettings(**own), LifterTrainingSettings(pairs=PairSettings(**values))


class RefinerTrainingSettings(PoseTrainingSettings, frozen=True, kw_only=True):
    """How a refiner is trained."""

    loss: Annotated[
        Literal["mse", "l1"], Meta(description="Of joints in metres; mse is the published one.")
    ] = "l1"
    steps: Steps = 50_000
    validate_every: ValidateEvery = 2_000
    views: ViewSettings = ViewSettings()
    pose_noise: PoseNoise = PoseNoise()
