"""The lifter over torch-geometric batches against the dense lifters whose parameters it has."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from evolift.lifter.model import LifterModel, LifterSettings, load_lifter, save_lifter
from evolift.lifter.networks.graph_form import GraphLifter, sharing_weights
from evolift.lifter.networks.non_local import NonLocalBlock
from evolift.lifter.networks.semgcn import SemGCN
from evolift.posedata.errors import InputError
from evolift.posedata.skeleton import COCO18_PELVIS, H36M16, H36M17
from tests.lifter.networks.test_joint_order import SHUFFLED, randomised

SMALL = {"hidden": 6, "blocks": 2, "dropout": 0.0}
KINDS = {
    "plain": LifterSettings(**SMALL),
    "depth": LifterSettings(**SMALL, target="z", input_axes=3),
    "narrow": LifterSettings(hidden=2, blocks=0, dropout=0.0),
    "related": LifterSettings(**SMALL, non_local=True, grouping="related"),
    "own groups": LifterSettings(**SMALL, non_local=True, grouping=((0, 1, 2), tuple(range(2, 17)))),
    "ordered": LifterSettings(**SMALL, non_local=True, grouping="consecutive", joint_order=SHUFFLED),
}


def bodies(joints: int, axes: int = 2, count: int = 5, seed: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, joints, axes, dtype=torch.float64, generator=generator)


def mixed(**settings: object) -> list[LifterModel]:
    """Three lifters of one set of weights, each with its own random edge logits."""
    grouping = {"grouping": "concat"} if settings.get("non_local") else {}
    first = randomised(LifterModel(LifterSettings(**SMALL, **settings, **grouping)))
    others = [
        sharing_weights(first, H36M16, grouping="pairs", joint_order="published"),
        sharing_weights(first, COCO18_PELVIS),
    ]
    with torch.no_grad():
        for other in others:
            for layer in other.network.convolutions():
                layer.edge_logits.normal_()
    return [first, *others]


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_one_skeleton_gives_the_numbers_gradients_and_statistics_of_the_dense_lifter(kind, training) -> None:
    dense, other = (randomised(LifterModel(kind)).train(training) for _ in range(2))
    graph = GraphLifter([other])
    graph.train(training)
    x = bodies(17, kind.input_axes).requires_grad_()
    wanted = dense(x)
    got = graph(graph.batch([(body, H36M17) for body in x])).view_as(wanted)
    torch.testing.assert_close(got, wanted)
    upstream = torch.randn_like(wanted)
    a = torch.autograd.grad(wanted, [x, *dense.parameters()], upstream)
    b = torch.autograd.grad(got, [x, *other.parameters()], upstream)
    for one, two in zip(a, b, strict=True):
        torch.testing.assert_close(two, one, rtol=1e-7, atol=1e-8)
    for one, two in zip(dense.buffers(), other.buffers(), strict=True):
        torch.testing.assert_close(two, one)


@pytest.mark.parametrize("non_local", [False, True], ids=["plain", "non-local"])
def test_each_body_of_a_mixed_batch_is_lifted_as_by_the_dense_lifter_of_its_skeleton(non_local) -> None:
    models = mixed(non_local=non_local)
    graph = GraphLifter(models).eval()
    xs = [bodies(len(model.skeleton), count=3, seed=number) for number, model in enumerate(models)]
    # Interleaved, so that bodies of different sizes follow each other.
    order = [(xs[number][body], models[number].skeleton) for body in range(3) for number in (2, 0, 1)]
    got = graph(graph.batch(order))
    dense = [model(x) for model, x in zip(models, xs, strict=True)]
    wanted = torch.cat([dense[number][body] for body in range(3) for number in (2, 0, 1)])
    torch.testing.assert_close(got, wanted)
    upstream = torch.randn_like(wanted)
    parameters = list(graph.parameters())
    a = torch.autograd.grad(wanted, parameters, upstream)
    b = torch.autograd.grad(got, parameters, upstream)
    for one, two in zip(a, b, strict=True):
        torch.testing.assert_close(two, one, rtol=1e-7, atol=1e-8)


def test_statistics_in_training_are_over_all_joints_of_the_batch() -> None:
    models = mixed()
    graph = GraphLifter(models).train()
    xs = [bodies(len(model.skeleton), count=2, seed=number) for number, model in enumerate(models)]
    first = models[0].network.body[0].norm
    first.reset_running_stats()
    convolved = [
        model.network.body[0].convolution(x[:, list(model.settings.order)]).flatten(0, 1)
        for model, x in zip(models, xs, strict=True)
    ]
    graph(graph.batch([(x, model.skeleton) for model, many in zip(models, xs, strict=True) for x in many]))
    every = torch.cat(convolved).detach()
    torch.testing.assert_close(first.running_mean, 0.1 * every.mean(0))
    torch.testing.assert_close(first.running_var, 0.9 + 0.1 * every.var(0))


def test_skeletons_share_weights_and_keep_their_edges() -> None:
    models = mixed(non_local=True)
    graph = GraphLifter(models)
    of_one, of_all = (sum(p.numel() for p in m.parameters()) for m in (models[0], graph))
    edges = [sum(layer.edge_logits.numel() for layer in m.network.convolutions()) for m in models]
    assert of_all == of_one + edges[1] + edges[2]
    optimiser = torch.optim.SGD(graph.parameters(), 0.1)
    before = [{name: value.clone() for name, value in model.state_dict().items()} for model in models]
    graph.train()(graph.batch([(body, H36M16) for body in bodies(16)])).square().mean().backward()
    optimiser.step()
    for model, old in zip(models, before, strict=True):
        changed = {name for name, value in model.state_dict().items() if not torch.equal(value, old[name])}
        assert any(name.endswith("convolution.weight") for name in changed)
        of_edges = any(name.endswith("edge_logits") for name in changed)
        assert of_edges == (model.skeleton == H36M16)


def test_a_lifter_that_shares_weights_is_saved_for_itself(tmp_path) -> None:
    for model in mixed(non_local=True):
        save_lifter(tmp_path / f"{model.skeleton.name}.safetensors", model.eval(), {})
        again = load_lifter(tmp_path / f"{model.skeleton.name}.safetensors").double()
        x = bodies(len(model.skeleton))
        torch.testing.assert_close(again(x), model(x), rtol=1e-4, atol=1e-2)


def test_a_lifter_made_for_another_skeleton_begins_with_edges_alike() -> None:
    model = randomised(LifterModel(KINDS["related"])).eval()
    other = sharing_weights(model, COCO18_PELVIS)
    assert not other.training
    assert isinstance(other.network, SemGCN)
    assert all(bool((layer.edge_logits == 1).all()) for layer in other.network.convolutions())
    block = next(module for module in other.modules() if isinstance(module, NonLocalBlock))
    assert block.group_joints.shape == (len(COCO18_PELVIS), 1)
    with pytest.raises(InputError, match="defined for H36M17, not COCO18_PELVIS"):
        sharing_weights(model, COCO18_PELVIS, grouping="concat")


def test_dropout_works_in_training_only() -> None:
    graph = GraphLifter([LifterModel(LifterSettings(**{**SMALL, "dropout": 0.5}))])
    x = graph.batch([(body, H36M17) for body in bodies(17).float()])
    assert not torch.equal(graph(x), graph(x))
    graph.eval()
    assert torch.equal(graph(x), graph(x))


def test_lifters_that_do_not_belong_together_are_refused() -> None:
    first, second, third = mixed()
    for models, message in (
        ([LifterModel(LifterSettings(architecture="martinez", hidden=4))], "only semgcn has a form over"),
        ([first, LifterModel(LifterSettings(**SMALL, skeleton=H36M16))], "do not share their weights"),
        ([first, LifterModel(LifterSettings(hidden=8, skeleton=H36M16))], "do not share their weights"),
        ([first, second, sharing_weights(first, H36M16)], "two lifters are of the same skeleton"),
    ):
        with pytest.raises(InputError, match=message):
            GraphLifter(models)
    graph = GraphLifter([first, third])
    with pytest.raises(InputError, match="there is no lifter of H36M16 here, only of H36M17, COCO18"):
        graph.graph(torch.zeros(16, 2), H36M16)
    with pytest.raises(InputError, match="H36M17 has 17 joints, got 16"):
        graph.graph(torch.zeros(16, 2), H36M17)
