"""One lifter, whatever network is inside: normalised 2D joints in, root-relative millimetres out.

Output is in the camera frame (x right, y down, z forward), minus the root joint. The networks themselves work in
metres, which keeps their numbers near one. Target `xyz` gives three values per joint; target `z` gives the depth
alone, for chains that take x and y from the 2D input.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from evolift.lifter.networks.cascade import Cascade
from evolift.lifter.networks.joint_groups import Groups, groups_by_name, joint_order, own_groups
from evolift.lifter.networks.martinez import Martinez
from evolift.lifter.networks.semgcn import SemGCN
from evolift.lifter.networks.skeleton_graph import adjacency
from evolift.lifter.normalisation import MM_PER_M, NORMALISATIONS, normalise
from evolift.posedata.errors import CheckpointError, EvoliftError, InputError
from evolift.posedata.skeleton import H36M17, Skeleton
from evolift.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

ARCHITECTURES = ("semgcn", "martinez", "cascade")
TARGETS = ("xyz", "z")
STAGE = "lifter"

_DEFAULT_SIZES: dict[str, tuple[int, int, float]] = {
    "semgcn": (128, 4, 0.1),
    "martinez": (1024, 2, 0.5),
    "cascade": (1024, 2, 0.5),
}
"""(hidden, blocks, dropout) of each architecture: published ones, but that SemGCN was published without dropout. A tenth
takes a fifth off its error on another person (README, "Lifters")."""


@dataclass(frozen=True)
class LifterSettings:
    """What rebuilds a lifter; stored with its weights.

    Args:
        architecture: the network.
        skeleton: of input and output.
        target: `xyz` or `z`.
        normalisation: of the input, see `normalisation`.
        input_axes: 2, or 3 when a volumetric detector's depth comes with x and y.
        hidden, blocks, dropout: sizes of the network (of each stage of a cascade); None takes those of
            `_DEFAULT_SIZES`.
        stages: of a cascade, 2 unless given; the other architectures have 1.
        non_local: non-local blocks (semgcn only).
        grouping: of the non-local blocks: a name of `joint_groups.GROUPINGS` or groups of joint indices.
        joint_order: of the joints inside the network: a name of `joint_groups.JOINT_ORDERS` or all joints by name.

    Raises:
        InputError: a value is unknown or out of its range.
    """

    architecture: str = "semgcn"
    skeleton: Skeleton = H36M17
    target: str = "xyz"
    normalisation: str = "screen"
    input_axes: int = 2
    hidden: int | None = None
    blocks: int | None = None
    dropout: float | None = None
    non_local: bool = False
    grouping: str | Groups = "none"
    stages: int | None = None
    joint_order: str | tuple[str, ...] = "declared"

    def __post_init__(self) -> None:
        for value, known, what in (
            (self.architecture, ARCHITECTURES, "architecture"),
            (self.target, TARGETS, "target"),
            (self.normalisation, NORMALISATIONS, "normalisation"),
        ):
            if value not in known:
                raise InputError(f"there is no {what} {value!r}: choose one of {', '.join(known)}")
        if self.input_axes not in (2, 3):
            raise InputError(f"input_axes must be 2 or 3, not {self.input_axes}")
        hidden, blocks, dropout = _DEFAULT_SIZES[self.architecture]
        object.__setattr__(self, "hidden", hidden if self.hidden is None else self.hidden)
        object.__setattr__(self, "blocks", blocks if self.blocks is None else self.blocks)
        object.__setattr__(self, "dropout", dropout if self.dropout is None else self.dropout)
        if self.sizes[0] < 1 or self.sizes[1] < 0 or not 0 <= self.sizes[2] < 1:
            raise InputError("hidden must be at least 1, blocks at least 0, dropout at least 0 and below 1")
        if self.stages is None:
            object.__setattr__(self, "stages", 2 if self.architecture == "cascade" else 1)
        if self.stage_count < 1 or (self.stage_count > 1 and self.architecture != "cascade"):
            raise InputError(f"{self.architecture} cannot have {self.stages} stages")
        if self.non_local and self.architecture != "semgcn":
            raise InputError(f"non-local blocks belong to semgcn, not to {self.architecture}")
        if not isinstance(self.grouping, str):
            object.__setattr__(self, "grouping", own_groups(self.grouping, self.skeleton))
        if not isinstance(self.joint_order, str):
            object.__setattr__(self, "joint_order", tuple(self.joint_order))
        joint_order(self.joint_order, self.skeleton)

    @property
    def sizes(self) -> tuple[int, int, float]:
        """(hidden, blocks, dropout), settled."""
        return cast(tuple[int, int, float], (self.hidden, self.blocks, self.dropout))

    @property
    def stage_count(self) -> int:
        """Stages, settled."""
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
    def output_axes(self) -> int:
        """Values per joint: 3 or 1."""
        return 3 if self.target == "xyz" else 1

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON; `from_dict` is the inverse."""
        return asdict(replace(self)) | {"skeleton": self.skeleton.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> LifterSettings:
        """Settings from what `to_dict` gave.

        Raises:
            InputError: a key is missing, unknown or has a value that cannot be.
        """
        known = set(cls.__dataclass_fields__)
        # Checkpoints from before the cascade do not name stages, nor those from before joint orders an order.
        plain: dict[str, Any] = {"stages": 1, "joint_order": "declared", **values}
        if set(plain) != known:
            raise InputError(f"settings of a lifter must be {', '.join(sorted(known))}")
        if not isinstance(plain["skeleton"], dict):
            raise InputError("settings of a lifter: skeleton must be an object")
        plain["skeleton"] = Skeleton.from_dict(plain["skeleton"])
        if isinstance(plain["grouping"], list):
            plain["grouping"] = tuple(tuple(group) for group in plain["grouping"])
        if isinstance(plain["joint_order"], list):
            plain["joint_order"] = tuple(plain["joint_order"])
        for names, kind in _PLAIN_TYPES:
            wrong = [name for name in names if not isinstance(plain[name], kind)]
            if wrong:
                raise InputError(f"settings of a lifter: {wrong[0]} cannot be {plain[wrong[0]]!r}")
        return cls(**plain)


_PLAIN_TYPES: tuple[tuple[tuple[str, ...], Any], ...] = (
    (("architecture", "target", "normalisation"), str),
    (("input_axes", "hidden", "blocks", "stages"), int),
    (("dropout",), float),
    (("non_local",), bool),
    (("grouping", "joint_order"), str | tuple),
)


class Lifter(nn.Module, abc.ABC):
    """Whatever lifts 2D joints: a `LifterModel`, or one with something on its output.

    Attributes:
        settings: of the network that takes the input.
    """

    settings: LifterSettings

    @property
    def skeleton(self) -> Skeleton:
        """Of input and output."""
        return self.settings.skeleton

    @abc.abstractmethod
    def forward(self, inputs: Float[Tensor, "batch joints axes"]) -> Float[Tensor, "batch joints out"]:
        """Root-relative joints in the camera frame, mm, from input normalised by `settings.normalisation`."""

    def lift(
        self,
        joints_2d_px: Float[Tensor, "batch joints axes"],
        visibility: UInt8[Tensor, "batch joints"] | None = None,
        image_size: Float[Tensor, "#batch 2"] | None = None,
        *,
        flip_test: bool = False,
    ) -> Float[Tensor, "batch joints out"]:
        """Root-relative joints, mm, from joints in pixels (see `normalisation.normalise`).

        Args:
            joints_2d_px, visibility, image_size: as `normalise` takes them.
            flip_test: average with the mirrored answer to the mirrored input.
        """
        how = self.settings.normalisation
        joints: Tensor = self(normalise(joints_2d_px, visibility, image_size, how))
        if not flip_test:
            return joints
        mirror = list(self.skeleton.mirror)
        width = 0.0 if image_size is None else image_size[:, None, 0]
        given = torch.cat([(width - 1 - joints_2d_px[..., 0])[..., None], joints_2d_px[..., 1:]], -1)
        seen = None if visibility is None else visibility[:, mirror]
        other: Tensor = self(normalise(given[:, mirror], seen, image_size, how))[:, mirror]
        if self.settings.target == "xyz":
            other = other * other.new_tensor([-1.0, 1.0, 1.0])
        return (joints + other) / 2

    def require_normalisation(self, given: str) -> None:
        """Refuse input that was normalised by another rule.

        Raises:
            CheckpointError: `given` is not this lifter's rule.
        """
        if given != self.settings.normalisation:
            raise CheckpointError(
                f"this lifter was trained on input normalised by {self.settings.normalisation!r}, the input given is normalised by {given!r}: normalise it by {self.settings.normalisation!r} or use another checkpoint"
            )


class LifterModel(Lifter):
    """A lifter of any architecture.

    Args:
        settings: what to build.

    Attributes:
        network: the network in metres, in its own joint order; its parameters are all there are.
    """

    order: Tensor
    place: Tensor

    def __init__(self, settings: LifterSettings) -> None:
        super().__init__()
        self.settings = settings
        self.network = _build(settings)
        order = torch.tensor(settings.order)
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("place", order.argsort(), persistent=False)

    def forward(self, inputs: Float[Tensor, "batch joints axes"]) -> Float[Tensor, "batch joints out"]:
        """Root-relative joints in the camera frame, mm, from normalised input.

        Args:
            inputs: normalised by this lifter's own rule, see `lift` for pixels.

        Returns:
            (batch, joints, 3), or (batch, joints, 1) for target `z`. The root is exactly 0.

        Raises:
            InputError: the number of joints or axes is another one.
        """
        expected = (len(self.skeleton), self.settings.input_axes)
        if inputs.shape[1:] != expected:
            raise InputError(
                f"this lifter takes {expected[0]} joints of {self.skeleton.name} with {expected[1]} axes, got {tuple(inputs.shape[1:])}"
            )
        return self._relative_mm(self.network(self._in_order(inputs)))

    def stages(self, inputs: Float[Tensor, "batch joints axes"]) -> Float[Tensor, "stages batch joints out"]:
        """As `forward`, the answer of each stage of a cascade; of the other architectures the one answer."""
        if isinstance(self.network, Cascade):
            return self._relative_mm(self.network.stages(self._in_order(inputs)))
        return cast(Tensor, self(inputs))[None]

    def _in_order(self, inputs: Tensor) -> Tensor:
        return inputs if self.settings.joint_order == "declared" else inputs[:, self.order]

    def _relative_mm(self, metres: Tensor) -> Tensor:
        if self.settings.joint_order != "declared":
            metres = metres[..., self.place, :]
        root = self.skeleton.root
        relative: Tensor = (metres - metres[..., root : root + 1, :]) * MM_PER_M
        return relative


def _build(settings: LifterSettings) -> nn.Module:
    hidden, blocks, dropout = settings.sizes
    joints = len(settings.skeleton)
    if settings.architecture == "martinez":
        return Martinez(
            joints, settings.input_axes, settings.output_axes, hidden=hidden, blocks=blocks, dropout=dropout
        )
    if settings.architecture == "cascade":
        return Cascade(
            joints,
            settings.input_axes,
            settings.output_axes,
            stages=settings.stage_count,
            hidden=hidden,
            blocks=blocks,
            dropout=dropout,
        )
    order = list(settings.order)
    groups = settings.groups
    if groups is not None:
        groups = tuple(tuple(order.index(joint) for joint in group) for group in groups)
    return SemGCN(
        settings.input_axes,
        settings.output_axes,
        adjacency(settings.skeleton)[order][:, order],
        hidden=hidden,
        blocks=blocks,
        groups=groups,
        dropout=dropout,
    )


def to_checkpoint(model: LifterModel, record: dict[str, object]) -> Checkpoint:
    """The model as a checkpoint of the stage "lifter"; `record` says how it was made."""
    return Checkpoint(STAGE, dict(model.state_dict()), model.settings.to_dict(), record)


def save_lifter(
    path: Path, model: LifterModel, record: dict[str, object], *, overwrite: bool = False
) -> None:
    """Write a lifter checkpoint (safetensors with its settings).

    Raises:
        OutputError: the file exists and `overwrite` is False, or cannot be written.
    """
    save_checkpoint(path, to_checkpoint(model, record), overwrite=overwrite)


def load_lifter(path: Path, *, normalisation: str | None = None) -> LifterModel:
    """Read a lifter checkpoint; the model comes in evaluation mode, on the CPU.

    Args:
        path: of the checkpoint.
        normalisation: by which the caller's input is normalised, if it comes normalised.

    Raises:
        CheckpointError: the file is no lifter checkpoint, is damaged, or wants another normalisation.
    """
    checkpoint = load_checkpoint(path, STAGE)
    try:
        model = model_from_checkpoint(checkpoint)
        if normalisation is not None:
            model.require_normalisation(normalisation)
    except EvoliftError as error:
        raise CheckpointError(f"{path}: {error}") from None
    return model


def model_from_checkpoint(checkpoint: Checkpoint) -> LifterModel:
    """Rebuild a lifter, in evaluation mode.

    Raises:
        InputError: the settings are not those of a lifter.
        CheckpointError: the tensors do not fit the settings.
    """
    model = LifterModel(LifterSettings.from_dict(checkpoint.settings))
    fill_with_tensors(model, checkpoint)
    return model.eval()


def fill_with_tensors(model: nn.Module, checkpoint: Checkpoint) -> None:
    """Put the tensors of a checkpoint into a model built by its settings.

    Raises:
        CheckpointError: they do not fit.
    """
    expected = {name: tensor.shape for name, tensor in model.state_dict().items()}
    given = {name: tensor.shape for name, tensor in checkpoint.tensors.items()}
    wrong = sorted(name for name in expected.keys() | given.keys() if expected.get(name) != given.get(name))
    if wrong:
        raise CheckpointError(
            f"tensor {wrong[0]!r} is missing, unknown or of another shape ({len(wrong)} such tensors): train the {checkpoint.stage} again"
        )
    model.load_state_dict(checkpoint.tensors)


def parameter_count(model: nn.Module) -> int:
    """Number of trainable values."""
    return sum(math.prod(parameter.shape) for parameter in model.parameters())
