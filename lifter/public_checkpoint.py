"""Reading checkpoints of SemGCN's public implementation (`.pth.tar`, garyzhao/SemGCN) as lifters of this package.

Such a file is a dictionary with `state_dict`, written by torch.save. Its tensors are named

====================================  =====================================================
there                                 here (under `network.`)
====================================  =====================================================
gconv_input.0.gconv.{W,e,bias}        body.0.convolution.{weight,edge_logits,bias}
gconv_input.0.bn.*                    body.0.norm.*
gconv_input.1.nonlocal.*              body.1.* (networks with non-local blocks)
gconv_layers.N.gconv{1,2}.*           body.K.{first,second}.*
gconv_layers.N.nonlocal.*             body.K.*
gconv_output.{W,e,bias}               head.*
====================================  =====================================================

and in a non-local block `g` or `g.0` is g, likewise phi; `concat_project.0` is score; `W.0`, `W.1` are out and norm.
Edge logits are (1, edges) there; 1x1 convolutions are linear maps here. The network is for 16 joints (H36M16), input
normalised by `screen`, output in metres. Only tensors are read: the file is opened with `weights_only`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from evolift.lifter.model import LifterModel
from evolift.lifter.settings import LifterSettings
from evolift.posedata.errors import CheckpointError, InputError
from evolift.posedata.skeleton import H36M16
from evolift.training.torch_file import read_torch_file

_CONVOLUTION = {"W": "weight", "e": "edge_logits", "bias": "bias"}
_NON_LOCAL = {
    "g": "g",
    "g.0": "g",
    "phi": "phi",
    "phi.0": "phi",
    "theta": "theta",
    "concat_project.0": "score",
    "W.0": "out",
    "W.1": "norm",
}


def load_public_checkpoint(path: Path) -> LifterModel:
    """A lifter from a public checkpoint; hidden size, blocks and non-local blocks are told by its tensors.

    Raises:
        CheckpointError: the file is not such a checkpoint, or holds anything but plain values and tensors.
    """
    try:
        content = read_torch_file(path)
    except InputError as error:
        raise CheckpointError(str(error)) from None
    state = content.get("state_dict") if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    ):
        raise CheckpointError(f"{path} has no state_dict of tensors: give a .pth.tar of the public SemGCN")
    try:
        return from_public_state(state)
    except (CheckpointError, InputError) as error:
        raise CheckpointError(f"{path}: {error}") from None


def from_public_state(state: Mapping[str, Tensor]) -> LifterModel:
    """A lifter, in evaluation mode, from the state dict of a public network of 16 joints.

    Raises:
        CheckpointError: a name is unknown, or tensors are missing or of another shape.
    """
    state = {name.removeprefix("module."): value for name, value in state.items()}
    non_local = any(".nonlocal." in name for name in state)
    numbers = [int(match[1]) for name in state if (match := re.match(r"gconv_layers\.(\d+)\.gconv1\.", name))]
    first = state.get("gconv_input.0.gconv.W")
    if first is None or first.ndim != 3 or not numbers:
        raise CheckpointError("its tensors are not those of the public SemGCN (gconv_input.0.gconv.W, ...)")
    settings = LifterSettings(
        architecture="semgcn",
        skeleton=H36M16,
        input_axes=int(first.shape[1]),
        hidden=int(first.shape[2]),
        blocks=len(set(numbers)),
        dropout=0.0,
        non_local=non_local,
        grouping="pairs" if non_local else "none",
    )
    model = LifterModel(settings)
    wanted = model.state_dict()
    converted = {}
    for name, value in state.items():
        ours = "network." + _our_name(name, non_local)
        if ours not in wanted:
            raise CheckpointError(f"tensor {name!r} has no place in this network")
        if value.numel() != wanted[ours].numel():
            raise CheckpointError(
                f"tensor {name!r} has shape {tuple(value.shape)}, {tuple(wanted[ours].shape)} is needed: the network must be for 16 joints"
            )
        converted[ours] = value.reshape(wanted[ours].shape)
    # Files of torch before 0.4.1 do not count batches.
    missing = sorted(n for n in wanted.keys() - converted.keys() if not n.endswith("num_batches_tracked"))
    if missing:
        raise CheckpointError(
            f"its state_dict lacks what is {missing[0]!r} here ({len(missing)} such tensors)"
        )
    model.load_state_dict({**wanted, **converted})
    return model.eval()


def _our_name(name: str, non_local: bool) -> str:
    head = re.fullmatch(r"gconv_output\.(W|e|bias)", name)
    if head:
        return f"head.{_CONVOLUTION[head[1]]}"
    match = re.fullmatch(r"gconv_(input|layers)\.(\d+)\.(.+)", name)
    if not match:
        raise CheckpointError(f"tensor {name!r} has no place in this network")
    number = int(match[2]) + (0 if match[1] == "input" else 1 + non_local)
    return f"body.{number}.{_inside(match[3], name)}"


def _inside(rest: str, name: str) -> str:
    graph = re.fullmatch(r"(?:gconv([12])\.)?(gconv|bn)\.(\w+)", rest)
    if graph:
        place = {None: "", "1": "first.", "2": "second."}[graph[1]]
        if graph[2] == "bn":
            return f"{place}norm.{graph[3]}"
        if graph[3] in _CONVOLUTION:
            return f"{place}convolution.{_CONVOLUTION[graph[3]]}"
    block = re.fullmatch(r"nonlocal\.(.+)\.(\w+)", rest)
    if block and block[1] in _NON_LOCAL:
        return f"{_NON_LOCAL[block[1]]}.{block[2]}"
    raise CheckpointError(f"tensor {name!r} has no place in this network")
