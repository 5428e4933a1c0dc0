from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from evolift.lifter.networks.skeleton_graph import adjacency
from evolift.lifter.public_checkpoint import from_public_state, load_public_checkpoint
from evolift.posedata.errors import CheckpointError
from evolift.posedata.skeleton import H36M16

GROUPS = [[2, 3], [5, 6], [1, 4], [0, 7], [8, 9], [14, 15], [11, 12], [10, 13]]
HIDDEN, BLOCKS = 12, 2


def public_state(non_local: bool) -> dict[str, torch.Tensor]:
    """A state dict of the public layout, with random values."""
    generator = torch.Generator().manual_seed(0)
    state: dict[str, torch.Tensor] = {}

    def put(name: str, *shape: int) -> None:
        state[name] = 0.4 * torch.randn(*shape, generator=generator)

    def norm(name: str) -> None:
        for value in ("weight", "bias", "running_mean", "running_var"):
            put(f"{name}.{value}", HIDDEN)
        state[f"{name}.running_var"] = state[f"{name}.running_var"].abs() + 0.5
        state[f"{name}.num_batches_tracked"] = torch.tensor(7)

    def graph(name: str, inside: int, outside: int) -> None:
        put(f"{name}.W", 2, inside, outside)
        put(f"{name}.e", 1, 46)
        put(f"{name}.bias", outside)

    def block(name: str) -> None:
        for part in ("g.0", "theta", "phi.0"):
            put(f"{name}.{part}.weight", HIDDEN // 2, HIDDEN, 1)
            put(f"{name}.{part}.bias", HIDDEN // 2)
        put(f"{name}.concat_project.0.weight", 1, HIDDEN, 1, 1)
        put(f"{name}.W.0.weight", HIDDEN, HIDDEN // 2, 1)
        put(f"{name}.W.0.bias", HIDDEN)
        norm(f"{name}.W.1")

    graph("gconv_input.0.gconv", 2, HIDDEN)
    norm("gconv_input.0.bn")
    if non_local:
        block("gconv_input.1.nonlocal")
    for number in range(BLOCKS):
        place = 2 * number if non_local else number
        for half in (1, 2):
            graph(f"gconv_layers.{place}.gconv{half}.gconv", HIDDEN, HIDDEN)
            norm(f"gconv_layers.{place}.gconv{half}.bn")
        if non_local:
            block(f"gconv_layers.{place + 1}.nonlocal")
    graph("gconv_output", HIDDEN, 3)
    return state


def run_public(state: dict[str, torch.Tensor], x: torch.Tensor, non_local: bool) -> torch.Tensor:
    """What a network with these weights computes, straight from the names."""
    neighbours = adjacency(H36M16)

    def graph(name: str, x: torch.Tensor) -> torch.Tensor:
        a = torch.full((16, 16), -9e15)
        a[neighbours] = state[f"{name}.e"][0]
        a, identity = a.softmax(1), torch.eye(16)
        weight = state[f"{name}.W"]
        return (
            (a * identity) @ (x @ weight[0]) + (a * (1 - identity)) @ (x @ weight[1]) + state[f"{name}.bias"]
        )

    def norm(name: str, x: torch.Tensor) -> torch.Tensor:
        values = [state[f"{name}.{v}"] for v in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(x.transpose(1, 2), *values).transpose(1, 2)

    def layer(name: str, x: torch.Tensor) -> torch.Tensor:
        return F.relu(norm(f"{name}.bn", graph(f"{name}.gconv", x)))

    def block(name: str, x: torch.Tensor) -> torch.Tensor:
        order = [joint for group in GROUPS for joint in group]
        flat = x[:, order].transpose(1, 2)
        maps = {
            part: F.conv1d(flat, state[f"{name}.{part}.weight"], state[f"{name}.{part}.bias"])
            for part in ("g.0", "theta", "phi.0")
        }
        g, phi = F.max_pool1d(maps["g.0"], 2), F.max_pool1d(maps["phi.0"], 2)
        both = torch.cat(
            [maps["theta"][..., None].expand(-1, -1, -1, 8), phi[:, :, None].expand(-1, -1, 16, -1)], 1
        )
        f = F.relu(F.conv2d(both, state[f"{name}.concat_project.0.weight"]))[:, 0] / 8
        y = (f @ g.transpose(1, 2)).transpose(1, 2)
        y = F.conv1d(y, state[f"{name}.W.0.weight"], state[f"{name}.W.0.bias"]).transpose(1, 2)
        z = norm(f"{name}.W.1", y) + x[:, order]
        back = [order.index(joint) for joint in range(16)]
        return z[:, back]

    x = layer("gconv_input.0", x)
    if non_local:
        x = block("gconv_input.1.nonlocal", x)
    for number in range(BLOCKS):
        place = 2 * number if non_local else number
        x = x + layer(f"gconv_layers.{place}.gconv2", layer(f"gconv_layers.{place}.gconv1", x))
        if non_local:
            x = block(f"gconv_layers.{place + 1}.nonlocal", x)
    return graph("gconv_output", x)


@pytest.mark.parametrize("non_local", [False, True])
def test_a_public_checkpoint_gives_its_own_numbers(non_local, tmp_path) -> None:
    state = public_state(non_local)
    path = tmp_path / "ckpt_best.pth.tar"
    torch.save(
        {"epoch": 3, "lr": 0.001, "step": 9, "state_dict": state, "optimizer": {}, "error": 42.0}, path
    )
    model = load_public_checkpoint(path)
    x = torch.randn(4, 16, 2)
    wanted = run_public(state, x, non_local)
    wanted = (wanted - wanted[:, :1]) * 1000
    torch.testing.assert_close(model(x).detach(), wanted, rtol=1e-3, atol=0.5)
    with torch.no_grad():
        torch.testing.assert_close(model(x), wanted, rtol=1e-3, atol=0.5)
    assert model.settings.normalisation == "screen"
    assert not model.training


def test_names_of_data_parallel_and_old_files_are_read() -> None:
    state = public_state(False)
    old = {f"module.{n}": v for n, v in state.items() if not n.endswith("num_batches_tracked")}
    x = torch.randn(2, 16, 2)
    torch.testing.assert_close(from_public_state(old)(x), from_public_state(state)(x))


def test_other_files_are_refused(tmp_path) -> None:
    path = tmp_path / "a.pth.tar"
    path.write_bytes(b"no checkpoint")
    with pytest.raises(CheckpointError, match=r"a.pth.tar holds more than tensors, or is damaged"):
        load_public_checkpoint(path)
    torch.save({"weights": 1}, path)
    with pytest.raises(CheckpointError, match="has no state_dict of tensors"):
        load_public_checkpoint(path)
    torch.save(nn.Linear(2, 2), path)  # would run code when loaded
    with pytest.raises(CheckpointError, match="holds more than tensors"):
        load_public_checkpoint(path)
    fewer = public_state(True)
    del fewer["gconv_output.W"]
    torch.save({"state_dict": fewer}, path)
    with pytest.raises(
        CheckpointError, match=r"a.pth.tar: its state_dict lacks what is 'network.head.weight' here"
    ):
        load_public_checkpoint(path)
    wrong = public_state(False)
    wrong["gconv_output.e"] = torch.zeros(1, 49)
    with pytest.raises(CheckpointError, match="the network must be for 16 joints"):
        from_public_state(wrong)
    with pytest.raises(CheckpointError, match="tensor 'gconv_extra' has no place"):
        from_public_state({**public_state(False), "gconv_extra": torch.zeros(1)})
