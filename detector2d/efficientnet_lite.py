"""EfficientNet-Lite 0 to 4 without their classifiers, of torch's modules alone: the backbones of what comes with evolift.

They are timm's `tf_efficientnet_lite0` to `4`: the same names of weights and with these the same feature maps, to the last bit.
They are here because importing timm takes longer than predicting a photograph with one of them.

Tan and Le 2019 (arXiv:1905.11946); "Lite" leaves out squeeze-and-excitation and takes ReLU6, and convolutions pad as
TensorFlow's "SAME" (tensorflow/tpu, models/official/efficientnet/lite).
"""

from __future__ import annotations

import math
from collections import OrderedDict
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from evolift.detector2d.drop_path import dropped

WIDTH_AND_DEPTH = {
    "tf_efficientnet_lite0": (1.0, 1.0),
    "tf_efficientnet_lite1": (1.0, 1.1),
    "tf_efficientnet_lite2": (1.1, 1.2),
    "tf_efficientnet_lite3": (1.2, 1.4),
    "tf_efficientnet_lite4": (1.4, 1.8),
}
"""timm's name -> what multiplies channels and blocks of `_STAGES`."""
_STEM = 32
_EXPANSION = 6
_STAGES = (
    # blocks, kernel, stride of the first block, channels
    (1, 3, 1, 16),
    (2, 3, 2, 24),
    (2, 5, 2, 40),
    (3, 3, 2, 80),
    (3, 5, 1, 112),
    (4, 5, 2, 192),
    (1, 3, 1, 320),
)
_NORM_EPSILON = 1e-3


class EfficientNetLite(nn.Module):
    """The last feature maps of each stride: 2, 4, 8, 16 and 32 pixels per cell.

    Weights begin normally distributed with variance 2 / fan out, as timm's.

    Args:
        name: one of `WIDTH_AND_DEPTH`.

    Attributes:
        channels, strides: of each feature map.
        last: numbers of the stages that end in one.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        width, depth = WIDTH_AND_DEPTH[name]
        self.conv_stem = _convolution(3, _STEM, 3, stride=2)
        self.bn1, self.act1 = _norm(_STEM), nn.ReLU6(inplace=True)
        stages, before = [], _STEM
        for number, (repeats, kernel, stride, channels) in enumerate(_STAGES):
            is_fixed = number in (0, len(_STAGES) - 1)  # its number of blocks is not multiplied
            count, after = repeats if is_fixed else math.ceil(repeats * depth), _rounded(channels * width)
            block = _expanded if number else _separable
            blocks = [block(before, after, kernel, stride)]
            blocks += [block(after, after, kernel, 1) for _ in range(count - 1)]
            stages.append(nn.Sequential(*blocks))
            before = after
        self.blocks = nn.Sequential(*stages)
        strides = [stride for _, _, stride, _ in _STAGES]
        self.last = {n for n, (_, then) in enumerate(pairwise([*strides, 2])) if then > 1}
        self.channels = tuple(_rounded(_STAGES[number][3] * width) for number in sorted(self.last))
        self.strides = tuple(2 * math.prod(strides[: number + 1]) for number in sorted(self.last))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = math.prod(module.kernel_size) * module.out_channels // module.groups
                nn.init.normal_(module.weight, 0, math.sqrt(2 / fan_out))

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> list[Tensor]:
        """Feature maps (batch, channels, height / stride, width / stride), from fine to coarse."""
        maps = self.act1(self.bn1(self.conv_stem(images)))
        features = []
        for number, stage in enumerate(self.blocks):
            maps = stage(maps)
            if number in self.last:
                features.append(maps)
        return features


class SameConv2d(nn.Conv2d):
    """A convolution that pads as TensorFlow's "SAME": ceil(size / stride) cells, and an odd pixel of padding at right and bottom."""

    def padded(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height_out width_out"]:
        """What the convolution itself, which pads no more, goes over."""
        padding: list[int] = []
        for axis in (1, 0):  # F.pad begins with the last
            size, kernel, stride = images.shape[2 + axis], self.kernel_size[axis], self.stride[axis]
            missing = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            padding += [missing // 2, missing - missing // 2]
        return F.pad(images, padding)

    def forward(self, input: Tensor) -> Tensor:  # torch names it so
        """The padded convolution."""
        return super().forward(self.padded(input))


class ResidualBlock(nn.Sequential):
    """Layers one after the other; what they are given is added to what they give if it has the same shape.

    Attributes:
        is_residual: whether it is added.
        drop_path: probability of giving only what was given, in training (see `drop_path.drop_paths`).
    """

    is_residual = False
    drop_path = 0.0

    def forward(self, input: Tensor) -> Tensor:
        """What the layers give, and the input if this block is residual."""
        result = input
        for layer in self:
            result = layer(result)
        if not self.is_residual:
            return result
        if self.drop_path and self.training:
            result = dropped(result, self.drop_path)
        return result + input


def _separable(before: int, after: int, kernel: int, stride: int) -> ResidualBlock:
    """Depthwise convolution, then a pointwise one."""
    block = ResidualBlock(
        OrderedDict(
            conv_dw=_convolution(before, before, kernel, stride=stride, groups=before),
            bn1=_norm(before),
            act1=nn.ReLU6(inplace=True),
            conv_pw=_convolution(before, after, 1),
            bn2=_norm(after),
        )
    )
    block.is_residual = stride == 1 and before == after
    return block


def _expanded(before: int, after: int, kernel: int, stride: int) -> ResidualBlock:
    """Inverted residual: pointwise convolution to six times the channels, depthwise, and pointwise back."""
    inner = _rounded(before * _EXPANSION)
    block = ResidualBlock(
        OrderedDict(
            conv_pw=_convolution(before, inner, 1),
            bn1=_norm(inner),
            act1=nn.ReLU6(inplace=True),
            conv_dw=_convolution(inner, inner, kernel, stride=stride, groups=inner),
            bn2=_norm(inner),
            act2=nn.ReLU6(inplace=True),
            conv_pwl=_convolution(inner, after, 1),
            bn3=_norm(after),
        )
    )
    block.is_residual = stride == 1 and before == after
    return block


def _convolution(before: int, after: int, kernel: int, *, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    if stride == 1:  # then padding is the same on both sides
        return nn.Conv2d(before, after, kernel, padding=kernel // 2, groups=groups, bias=False)
    return SameConv2d(before, after, kernel, stride=stride, groups=groups, bias=False)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=_NORM_EPSILON)


def _rounded(channels: float) -> int:
    """To a multiple of 8, the nearest unless that is less than nine tenths."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest
