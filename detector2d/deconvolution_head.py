"""Heads that turn feature maps into heatmaps: the published deconvolutions, and a light one.

A head's last convolution gives joints x depth bins channels; with one depth bin the heatmaps are 2D.
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from evolift.posedata.errors import InputError

INITIAL_SPREAD = 0.001


class DeconvolutionHead(nn.Module):
    """Three deconvolutions (kernel 4, stride 2) with BatchNorm and ReLU, then a 1x1 convolution (Sun et al. 2018).

    Works on the coarsest feature map alone; each deconvolution doubles its resolution. All weights are drawn
    from N(0, 0.001), as published.

    Args:
        channels: of the coarsest feature map.
        widths: channels of each deconvolution.
        joints, depth_bins: of the heatmaps.
    """

    def __init__(self, channels: int, widths: tuple[int, ...], joints: int, depth_bins: int = 1) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in widths:
            layers += [
                nn.ConvTranspose2d(channels, width, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
            ]
            channels = width
        self.deconvolutions = nn.Sequential(*layers)
        self.last = nn.Conv2d(channels, joints * depth_bins, 1)
        self.joints, self.depth_bins = joints, depth_bins
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.normal_(module.weight, std=INITIAL_SPREAD)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, features: list[Tensor]) -> Float[Tensor, "batch joints *cells"]:
        """Logits, (batch, joints, height, width), with a depth axis before height if there are depth bins."""
        return _as_heatmaps(self.last(self.deconvolutions(features[-1])), self.joints, self.depth_bins)


class LightHead(nn.Module):
    """A feature pyramid with depthwise convolutions, for small machines.

    The coarsest map is doubled in size step by step; each finer map of the backbone is added through a 1x1
    convolution (Lin et al. 2017), and a depthwise separable 3x3 convolution with BatchNorm and ReLU follows.
    About a twentieth of the multiplications of `DeconvolutionHead`, at the same resolution.

    Args:
        channels, strides: of the backbone's feature maps, fine to coarse.
        width: channels of the pyramid.
        levels: how often the coarsest map is doubled.
        joints, depth_bins: of the heatmaps.
    """

    def __init__(
        self,
        channels: tuple[int, ...],
        strides: tuple[int, ...],
        width: int,
        levels: int,
        joints: int,
        depth_bins: int = 1,
    ) -> None:
        super().__init__()
        self.wanted = [strides[-1] // 2**level for level in range(levels + 1)]
        self.sources = {stride: index for index, stride in enumerate(strides) if stride in self.wanted}
        self.laterals = nn.ModuleDict(
            {str(stride): nn.Conv2d(channels[index], width, 1) for stride, index in self.sources.items()}
        )
        self.smoothings = nn.ModuleList(_separable(width) for _ in self.wanted)
        self.last = nn.Conv2d(width, joints * depth_bins, 1)
        self.joints, self.depth_bins = joints, depth_bins
        nn.init.normal_(self.last.weight, std=INITIAL_SPREAD)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]  # it has one

    def forward(self, features: list[Tensor]) -> Float[Tensor, "batch joints *cells"]:
        """Logits of the heatmaps from the backbone's feature maps, as of `DeconvolutionHead`."""
        x: Tensor | None = None
        for stride, smoothing in zip(self.wanted, self.smoothings, strict=True):
            if x is not None:
                x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            if stride in self.sources:
                lateral = self.laterals[str(stride)](features[self.sources[stride]])
                x = lateral if x is None else x + lateral
            x = smoothing(x)
        assert x is not None
        return _as_heatmaps(self.last(x), self.joints, self.depth_bins)


def _separable(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False),
        nn.Conv2d(width, width, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    )


def _as_heatmaps(maps: Tensor, joints: int, depth_bins: int) -> Tensor:
    if depth_bins == 1:
        return maps
    return maps.reshape(maps.shape[0], joints, depth_bins, *maps.shape[2:])


def levels_to(stride: int, heatmap_stride: int = 4) -> int:
    """How often a feature map of `stride` must be doubled to reach `heatmap_stride`.

    Raises:
        InputError: it cannot be reached by doubling.
    """
    levels = math.log2(stride / heatmap_stride)
    if levels < 0 or levels != int(levels):
        raise InputError(
            f"a backbone whose coarsest map has stride {stride} gives no heatmaps of stride {heatmap_stride}: choose another backbone"
        )
    return int(levels)
