"""A denoising autoencoder that mends 3D poses, on top of any lifter (after Ghosh et al. 2017).

It has seen clean poses with noise and dropped joints and learnt to give the clean ones back, so it moves what a
lifter says towards what bodies do. In and out: root-relative joints in the camera frame, mm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

from jaxtyping import Float
from torch import Tensor, nn

from evolift.lifter.model import Lifter, fill_with_tensors
from evolift.lifter.networks.martinez import dense_layer
from evolift.lifter.normalisation import MM_PER_M
from evolift.posedata.errors import CheckpointError, EvoliftError, InputError
from evolift.posedata.skeleton import H36M17, Skeleton
from evolift.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

STAGE = "refiner"


@dataclass(frozen=True)
class RefinerSettings:
    """What rebuilds a refiner; stored with its weights.

    Args:
        skeleton: of the poses.
        hidden: width of the layers before and after the code.
        layers: how many of them on either side.
        code: width of the narrowest layer.
        dropout: after each of these layers.

    Raises:
        InputError: a value is out of its range.
    """

    skeleton: Skeleton = H36M17
    hidden: int = 512
    layers: int = 1
    code: int = 128
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if min(self.hidden, self.code) < 1 or self.layers < 0 or not 0 <= self.dropout < 1:
            raise InputError(
                "hidden and code must be at least 1, layers at least 0, dropout at least 0 and below 1"
            )

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON; `from_dict` is the inverse."""
        return asdict(self) | {"skeleton": self.skeleton.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> RefinerSettings:
        """Settings from what `to_dict` gave.

        Raises:
            InputError: a key is missing, unknown or has a value that cannot be.
        """
        known = set(cls.__dataclass_fields__)
        plain: dict[str, Any] = dict(values)
        if set(plain) != known:
            raise InputError(f"settings of a refiner must be {', '.join(sorted(known))}")
        if not isinstance(plain["skeleton"], dict):
            raise InputError("settings of a refiner: skeleton must be an object")
        plain["skeleton"] = Skeleton.from_dict(plain["skeleton"])
        for name in ("hidden", "layers", "code", "dropout"):
            if not isinstance(plain[name], float if name == "dropout" else int):
                raise InputError(f"settings of a refiner: {name} cannot be {plain[name]!r}")
        return cls(**plain)


class DenoisingAutoencoder(nn.Module):
    r"""A correction through a narrow code, added to the input.

    .. math:: y = x + d(e(x))

    with e and d of linear layers, each with batch norm, ReLU and dropout. The last layer begins at 0 and the
    network so as the identity.

    Args:
        joints: number of joints.
        hidden, layers, code, dropout: see `RefinerSettings`.

    Shapes:
        input and output (batch, joints, 3), metres.
    """

    def __init__(self, joints: int, *, hidden: int, layers: int, code: int, dropout: float) -> None:
        super().__init__()
        widths = [joints * 3, *[hidden] * layers, code, *[hidden] * layers]
        last = nn.Linear(widths[-1], joints * 3)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        inner = (dense_layer(before, after, dropout) for before, after in pairwise(widths))
        self.layers = nn.Sequential(*inner, last)

    def forward(self, joints: Float[Tensor, "batch joints 3"]) -> Float[Tensor, "batch joints 3"]:
        """The output y of the class's equation."""
        return joints + cast(Tensor, self.layers(joints.flatten(1))).view_as(joints)


class RefinerModel(nn.Module):
    """A refiner of poses.

    Args:
        settings: what to build.
    """

    def __init__(self, settings: RefinerSettings) -> None:
        super().__init__()
        self.settings = settings
        self.network = DenoisingAutoencoder(
            len(settings.skeleton),
            hidden=settings.hidden,
            layers=settings.layers,
            code=settings.code,
            dropout=settings.dropout,
        )

    @property
    def skeleton(self) -> Skeleton:
        """Of the poses."""
        return self.settings.skeleton

    def forward(self, joints: Float[Tensor, "batch joints 3"]) -> Float[Tensor, "batch joints 3"]:
        """Mended poses.

        Args:
            joints: in the camera frame, mm, root-relative.

        Returns:
            Of the same kind; the root is exactly 0.

        Raises:
            InputError: the number of joints is another one.
        """
        if joints.shape[1] != len(self.skeleton):
            raise InputError(
                f"this refiner takes {len(self.skeleton)} joints of {self.skeleton.name}, got {joints.shape[1]}"
            )
        root = self.skeleton.root
        metres: Tensor = self.network(joints / MM_PER_M)
        return (metres - metres[:, root : root + 1]) * MM_PER_M


class Refined(Lifter):
    """A lifter with a refiner on its output, used like the lifter itself.

    Args:
        lifter: of target `xyz`.
        refiner: of the same skeleton.

    Raises:
        InputError: they do not fit.
    """

    def __init__(self, lifter: Lifter, refiner: RefinerModel) -> None:
        super().__init__()
        if lifter.skeleton != refiner.skeleton:
            raise InputError(
                f"the lifter gives {lifter.skeleton.name} and the refiner takes {refiner.skeleton.name}: use two of the same skeleton"
            )
        if lifter.settings.target != "xyz":
            raise InputError(
                "this lifter gives depth alone (target z): put the refiner on a lifter of target xyz"
            )
        self.settings = lifter.settings
        self.lifter, self.refiner = lifter, refiner

    def forward(self, inputs: Float[Tensor, "batch joints axes"]) -> Float[Tensor, "batch joints 3"]:
        """Root-relative joints in the camera frame, mm, from input as the lifter takes it."""
        refined: Tensor = self.refiner(self.lifter(inputs))
        return refined


def refiner_to_checkpoint(model: RefinerModel, record: dict[str, object]) -> Checkpoint:
    """The model as a checkpoint of the stage "refiner"; `record` says how it was made."""
    return Checkpoint(STAGE, dict(model.state_dict()), model.settings.to_dict(), record)


def save_refiner(
    path: Path, model: RefinerModel, record: dict[str, object], *, overwrite: bool = False
) -> None:
    """Write a refiner checkpoint.

    Raises:
        OutputError: the file exists and `overwrite` is False, or cannot be written.
    """
    save_checkpoint(path, refiner_to_checkpoint(model, record), overwrite=overwrite)


def load_refiner(path: Path) -> RefinerModel:
    """Read a refiner checkpoint; the model comes in evaluation mode, on the CPU.

    Raises:
        CheckpointError: the file is no refiner checkpoint or is damaged.
    """
    checkpoint = load_checkpoint(path, STAGE)
    try:
        model = RefinerModel(RefinerSettings.from_dict(checkpoint.settings))
        fill_with_tensors(model, checkpoint)
    except EvoliftError as error:
        raise CheckpointError(f"{path}: {error}") from None
    return model.eval()
