"""A device that is not there: tensors that say they lie on it and are computed on the CPU.

It is called meta, the one device that torch knows everywhere and needs no driver for; unlike true meta tensors these have values.

An operation that gets tensors of both sides fails as it would with a GPU, and so does a draw on the device by a generator
of the CPU. Indices may lie on the CPU, as torch allows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = "meta"
_MAY_MIX = ("aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_", "aten::copy_")


class _Away(torch.Tensor):
    """A tensor on the device; `here` holds its values."""

    here: torch.Tensor

    @staticmethod
    def __new__(cls, here: torch.Tensor) -> _Away:
        away = torch.Tensor._make_wrapper_subclass(
            cls, here.shape, here.stride(), here.storage_offset(), dtype=here.dtype, device=DEVICE
        )
        away.here = here
        return away

    @classmethod
    def __torch_dispatch__(cls, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(operation, args, kwargs or {})


class _Pretending(TorchDispatchMode):
    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(operation, args, kwargs or {})


def _run(operation: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    is_away = any(isinstance(tensor, _Away) for tensor in tensors)
    at_home = [tensor for tensor in tensors if not isinstance(tensor, _Away) and tensor.ndim]
    if is_away and at_home and operation._schema.name not in _MAY_MIX:
        raise RuntimeError(f"{operation}: expected all tensors to be on the same device")
    if kwargs.get("device") is not None:
        is_away = torch.device(kwargs["device"]).type != "cpu"
        kwargs = {**kwargs, "device": "cpu"}
    if is_away and kwargs.get("generator") is not None:
        raise RuntimeError(f"{operation}: a generator of the CPU draws for {DEVICE}")
    args, kwargs = tree_map(
        lambda leaf: leaf.here if isinstance(leaf, _Away) else leaf, (tuple(args), kwargs)
    )
    result = operation(*args, **kwargs)
    return tree_map(lambda leaf: _Away(leaf) if is_away and isinstance(leaf, torch.Tensor) else leaf, result)


@contextmanager
def pretended_device() -> Iterator[str]:
    """The device's name, valid in the block."""
    torch._C._set_only_lift_cpu_tensors(True)
    try:
        with _Pretending():
            yield DEVICE
    finally:
        torch._C._set_only_lift_cpu_tensors(False)
