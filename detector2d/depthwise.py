"""Depthwise convolutions under mixed precision on a CPU, with a backward pass that is fast there.

The bfloat16 kernels of oneDNN are twice as fast as those of float32, but for two that are up to a hundred times as slow: the gradient of
the input where the stride is not 1, and that of weights wider than 3 x 3. The one is taken in float32 here, the other from 3 x 3
pieces of the kernel (`tests/benchmarks/test_detector_speed.py`).
"""

from __future__ import annotations

from itertools import product
from types import MethodType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.grad import conv2d_input, conv2d_weight

from evolift.detector2d.efficientnet_lite import SameConv2d

_PIECE = 3


def speed_up_depthwise(model: nn.Module) -> None:
    """Give a network's depthwise convolutions a fast backward pass under autocast to bfloat16 on a CPU; elsewhere nothing changes.

    Those with a bias, with holes, or of a class that is not known here leave autocast there instead: they go through float32.

    Args:
        model: changed in place; its parameters stay what and where they are.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1:
            known = type(module) in (nn.Conv2d, SameConv2d) and module.padding_mode == "zeros"
            plain = module.bias is None and module.dilation == (1, 1) and isinstance(module.padding, tuple)
            square = module.kernel_size[0] == module.kernel_size[1]
            how = _in_bfloat16 if known and plain and square else _in_float32
            # A method of the instance, not a closure: a deep copy of the network is then bound to itself.
            module.forward = MethodType(how, module)  # type: ignore[method-assign]


def _in_bfloat16(convolution: nn.Conv2d, images: Tensor) -> Tensor:
    if not _is_mixed(images):
        return type(convolution).forward(convolution, images)
    padded = convolution.padded(images) if isinstance(convolution, SameConv2d) else images
    out: Tensor = DepthwiseInBfloat16.apply(
        padded.bfloat16(), convolution.weight, convolution.stride, convolution.padding
    )
    return out


def _in_float32(convolution: nn.Conv2d, images: Tensor) -> Tensor:
    if not _is_mixed(images):
        return type(convolution).forward(convolution, images)
    with torch.autocast("cpu", enabled=False):
        return type(convolution).forward(convolution, images.float())


def _is_mixed(images: Tensor) -> bool:
    return (
        images.device.type == "cpu"
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == torch.bfloat16
        and not torch.compiler.is_compiling()
    )


class DepthwiseInBfloat16(torch.autograd.Function):
    """A depthwise convolution of bfloat16 images by float32 weights, without bias.

    Shapes:
        images (batch, channels, height, width), weight (channels, 1, k, k).
    """

    @staticmethod
    def forward(
        ctx: Any,
        images: Float[Tensor, "batch channels height width"],
        weight: Float[Tensor, "channels 1 k k"],
        stride: tuple[int, int],
        padding: tuple[int, int],
    ) -> Float[Tensor, "batch channels height_out width_out"]:
        """What torch's convolution says, in bfloat16."""
        ctx.save_for_backward(images, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(images, weight.bfloat16(), None, stride, padding, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        """The gradients of images and weights, each in the type in which it is fast."""
        images, weight = ctx.saved_tensors
        of_images = of_weight = None
        if ctx.needs_input_grad[0]:
            fast = torch.bfloat16 if ctx.stride == (1, 1) else torch.float32
            of_images = conv2d_input(  # type: ignore[no-untyped-call]
                images.shape,
                weight.to(fast),
                gradient.to(fast),
                ctx.stride,
                ctx.padding,
                groups=len(weight),
            ).bfloat16()
        if ctx.needs_input_grad[1]:
            of_weight = _weight_gradient(images, weight, gradient, ctx.stride, ctx.padding)
        return of_images, of_weight, None, None


def _weight_gradient(
    images: Tensor, weight: Tensor, gradient: Tensor, stride: tuple[int, int], padding: tuple[int, int]
) -> Tensor:
    """Of a kernel of k x k from those of its 3 x 3 pieces, which may overlap: each sees the images from another corner on."""
    side = min(weight.shape[-1], _PIECE)
    last = weight.shape[-1] - side
    whole = torch.empty_like(weight)
    for top, left in product(sorted({*range(0, last, side), last}), repeat=2):
        seen, around = images, padding
        if last:  # negative padding cuts off
            x = padding[1] - left, padding[1] - last + left
            y = padding[0] - top, padding[0] - last + top
            seen, around = F.pad(images, (*x, *y)), (0, 0)
        piece = conv2d_weight(  # type: ignore[no-untyped-call]
            seen, (len(weight), 1, side, side), gradient, stride, around, groups=len(weight)
        )
        whole[..., top : top + side, left : left + side] = piece
    return whole
