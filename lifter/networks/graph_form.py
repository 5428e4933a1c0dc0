"""SemGCN over arbitrary graphs: the torch-geometric form of the dense layer and of the whole lifter.

Bodies of a batch may be of different skeletons. What a layer does to channels (weights, biases, batch norms, the maps
of non-local blocks) does not ask how many joints there are, and is shared. What belongs to edges or joints is each
skeleton's own: the edge logits and the groups of joints. From the same parameters both forms give the same
numbers; in training the statistics of a batch norm are over all joints of the batch, whatever their skeleton.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from evolift.lifter.model import LifterModel, LifterSettings
from evolift.lifter.networks.joint_groups import Groups
from evolift.lifter.networks.non_local import NonLocalBlock
from evolift.lifter.networks.semantic_graph_convolution import SemanticGraphConvolution
from evolift.lifter.networks.semgcn import GraphLayer, ResidualBlock, SemGCN
from evolift.lifter.networks.skeleton_graph import edge_index
from evolift.lifter.normalisation import MM_PER_M
from evolift.posedata.errors import InputError
from evolift.posedata.skeleton import Skeleton

with warnings.catch_warnings():
    # torch-geometric 2.8 compiles a class with torch.jit as it is imported, which torch 2.14 warns of.
    warnings.filterwarnings("ignore", message=".*torch.jit.*", category=FutureWarning)
    warnings.filterwarnings("ignore", message=".*torch.jit.*", category=DeprecationWarning)
    from torch_geometric.data import Batch, Data
    from torch_geometric.nn import MessagePassing
    from torch_geometric.utils import scatter, softmax, to_dense_batch


class SemanticGraphMessagePassing(MessagePassing):  # type: ignore[misc]  # torch-geometric has no types
    """The operator of `SemanticGraphConvolution` on graphs given by their edges.

    Args:
        layer: the dense layer whose weight and bias are shared (not copied).

    Shapes:
        input x (nodes, in_channels), edge_index (2, edges) as (source, target) with one self-loop per node,
        edge_logits (edges,); output (nodes, out_channels).
    """

    def __init__(self, layer: SemanticGraphConvolution) -> None:
        super().__init__(aggr="add", node_dim=0)
        self.weight = layer.weight
        self.bias = layer.bias

    def forward(
        self,
        x: Float[Tensor, "nodes in_channels"],
        edge_index: Int64[Tensor, "2 edges"],
        edge_logits: Float[Tensor, "edges"],
    ) -> Float[Tensor, "nodes out_channels"]:
        """The output y of the class's equation, for each node."""
        affinity = softmax(edge_logits, edge_index[1], num_nodes=len(x))
        is_self = edge_index[0] == edge_index[1]
        own = affinity.new_zeros(len(x)).index_add(0, edge_index[1][is_self], affinity[is_self])
        neighbours = self.propagate(
            edge_index[:, ~is_self], x=x @ self.weight[1], affinity=affinity[~is_self], size=None
        )
        out: Tensor = own[:, None] * (x @ self.weight[0]) + neighbours + self.bias
        return out

    def message(
        self, x_j: Float[Tensor, "edges out_channels"], affinity: Float[Tensor, "edges"]
    ) -> Float[Tensor, "edges out_channels"]:
        """What a node receives along one edge."""
        return affinity[:, None] * x_j


class PoseGraph(Data):  # type: ignore[misc]  # torch-geometric has no types
    """One body: joints as nodes, with what `GraphLifter` needs to know of its skeleton. Made by `GraphLifter.graph`.

    Attributes:
        x: (joints, axes), normalised input.
        edge_index: (2, edges), (source, target).
        edge_slot: (edges,), place of each edge's logit among those of all skeletons.
        root_index: (1,), the root joint.
        member_index, member_group: joints and their groups, pair by pair; of non-local lifters.
        group_count: (1,), number of groups.
    """

    def __inc__(self, key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        """What is added to a value for each body before it in a batch."""
        return self.group_count if key == "member_group" else super().__inc__(key, value, *args, **kwargs)


class GraphLifter(nn.Module):
    """SemGCN lifters of several skeletons as one network over batches of bodies of any of them.

    It has no parameters but those of the models, which stay usable for themselves: train here on mixed skeletons,
    then save each model as the lifter of its skeleton.

    Args:
        models: one per skeleton, of one set of weights: a lifter and what `sharing_weights` makes of it.

    Raises:
        InputError: a model is no SemGCN, two are of one skeleton, or they do not share their weights.
    """

    def __init__(self, models: Sequence[LifterModel]) -> None:
        super().__init__()
        first = models[0]
        networks = [_network(model) for model in models]
        if len({model.skeleton for model in models}) < len(models):
            raise InputError("two lifters are of the same skeleton: give one per skeleton")
        for model, network in zip(models, networks, strict=True):
            if _like(model.settings, first.settings) != first.settings or not _share(networks[0], network):
                raise InputError(
                    f"the lifters of {first.skeleton.name} and {model.skeleton.name} do not share their weights: make one from the other by sharing_weights"
                )
        self.models = nn.ModuleList(models)
        self.layers = nn.ModuleList(
            SemanticGraphMessagePassing(layer) for layer in networks[0].convolutions()
        )
        self._networks = networks
        first_slots = accumulate((network.head.edge_logits.numel() for network in networks), initial=0)
        self._bodies = {
            model.skeleton: _body(model.settings, network, slot)
            for model, network, slot in zip(models, networks, first_slots, strict=False)
        }

    def graph(self, inputs: Float[Tensor, "joints axes"], skeleton: Skeleton) -> PoseGraph:
        """A body on its own, for loaders of torch-geometric; `batch` makes a batch at once.

        Args:
            inputs: 2D joints, normalised by the lifters' rule.
            skeleton: of one of the models.

        Raises:
            InputError: no model is of this skeleton, or the joints are not its.
        """
        if skeleton not in self._bodies:
            names = ", ".join(known.name for known in self._bodies)
            raise InputError(f"there is no lifter of {skeleton.name} here, only of {names}")
        if len(inputs) != len(skeleton):
            raise InputError(f"{skeleton.name} has {len(skeleton)} joints, got {len(inputs)}")
        return PoseGraph(x=inputs, **self._bodies[skeleton])

    def batch(self, bodies: Sequence[tuple[Float[Tensor, "_joints axes"], Skeleton]]) -> Batch:
        """Bodies as one graph, one after the other; see `graph`."""
        return Batch.from_data_list([self.graph(inputs, skeleton) for inputs, skeleton in bodies])

    def forward(self, bodies: Batch) -> Float[Tensor, "nodes out"]:
        """Root-relative joints in the camera frame, mm, body after body.

        Args:
            bodies: a batch of `graph`s.
        """
        mixed = zip(self.layers, self._edge_logits(bodies.edge_slot), strict=True)

        def convolved(features: Tensor) -> Tensor:
            layer, logits = next(mixed)
            out: Tensor = layer(features, bodies.edge_index, logits)
            return out

        features: Tensor = bodies.x
        for part in self._networks[0].body:
            if isinstance(part, ResidualBlock):
                inner = _after(part.first, convolved(features))
                features = features + _after(part.second, convolved(inner))
            elif isinstance(part, GraphLayer):
                features = _after(part, convolved(features))
            else:
                assert isinstance(part, NonLocalBlock)
                features = _non_local(part, features, bodies)
        metres = convolved(features)
        relative: Tensor = (metres - metres[bodies.root_index][bodies.batch]) * MM_PER_M
        return relative

    def _edge_logits(self, slots: Int64[Tensor, "edges"]) -> Float[Tensor, "layers edges"]:
        of_skeletons = [
            torch.stack([layer.edge_logits for layer in network.convolutions()]) for network in self._networks
        ]
        return torch.cat(of_skeletons, 1)[:, slots]


def sharing_weights(
    model: LifterModel,
    skeleton: Skeleton,
    *,
    grouping: str | Groups = "none",
    joint_order: str | tuple[str, ...] = "declared",
) -> LifterModel:
    """A lifter of another skeleton with the weights, biases and batch norms of `model`; not copies, the same.

    Its edge logits are its own, and begin all alike as in a new lifter.

    Args:
        model: a SemGCN.
        skeleton: of the new lifter.
        grouping, joint_order: of the new lifter.

    Raises:
        InputError: `model` is no SemGCN, or the skeleton does not have these groups or this order.
    """
    network = _network(model)
    other = LifterModel(
        replace(model.settings, skeleton=skeleton, grouping=grouping, joint_order=joint_order)
    )
    other = other.to(network.head.weight.device, network.head.weight.dtype)
    parts = zip(_shared_parts(network), _shared_parts(_network(other)), strict=True)
    for (mine, name), (theirs, _) in parts:
        setattr(theirs, name, getattr(mine, name))
    return other.train(model.training)


def _network(model: LifterModel) -> SemGCN:
    if not isinstance(model.network, SemGCN):
        raise InputError(f"only semgcn has a form over graphs, not {model.settings.architecture}")
    return model.network


def _like(settings: LifterSettings, first: LifterSettings) -> LifterSettings:
    """Settings with what belongs to a skeleton taken from others."""
    return replace(settings, skeleton=first.skeleton, grouping=first.grouping, joint_order=first.joint_order)


def _shared_parts(network: SemGCN) -> list[tuple[nn.Module, str]]:
    """Owner and name of every parameter or module that does not belong to edges or joints."""
    parts: list[tuple[nn.Module, str]] = []
    for module in network.modules():
        if isinstance(module, SemanticGraphConvolution):
            parts += [(module, "weight"), (module, "bias")]
        elif isinstance(module, GraphLayer):
            parts.append((module, "norm"))
        elif isinstance(module, NonLocalBlock):
            parts += [(module, name) for name, _ in module.named_children()]
    return parts


def _share(first: SemGCN, other: SemGCN) -> bool:
    parts = zip(_shared_parts(first), _shared_parts(other), strict=True)
    return all(getattr(mine, name) is getattr(theirs, name) for (mine, name), (theirs, _) in parts)


def _body(settings: LifterSettings, network: SemGCN, first_slot: int) -> dict[str, Tensor]:
    """What every `PoseGraph` of a skeleton has beside its input."""
    # Nodes are in the skeleton's order, edges in that of the logits, which follows the network's own joint order.
    edges = torch.tensor(settings.order)[edge_index(network.head.adjacency.cpu())]
    body = {
        "edge_index": edges,
        "edge_slot": first_slot + torch.arange(edges.shape[1]),
        "root_index": torch.tensor([settings.skeleton.root]),
    }
    groups = settings.groups
    if groups is not None:
        body["member_index"] = torch.tensor([joint for group in groups for joint in group])
        body["member_group"] = torch.tensor([n for n, group in enumerate(groups) for _ in group])
        body["group_count"] = torch.tensor([len(groups)])
    return body


def _after(layer: GraphLayer, convolved: Float[Tensor, "nodes channels"]) -> Float[Tensor, "nodes channels"]:
    out = F.relu(layer.norm(convolved))
    return F.dropout(out, layer.dropout, layer.training)


def _non_local(
    block: NonLocalBlock, features: Float[Tensor, "nodes channels"], bodies: Batch
) -> Float[Tensor, "nodes channels"]:
    """The equation of `NonLocalBlock`, each joint attending to the groups of its own body."""
    count, bodies_in_all = bodies.group_count, len(bodies.group_count)
    body_of_group = torch.arange(bodies_in_all, device=count.device).repeat_interleave(count)

    def pooled(values: Tensor) -> Tensor:
        groups = len(body_of_group)
        highest: Tensor = scatter(
            values[bodies.member_index], bodies.member_group, dim_size=groups, reduce="max"
        )
        return highest

    of_theta, of_phi = block.score.weight.chunk(2, -1)
    # A body with fewer groups than others has groups of zeros too, which add nothing.
    query, is_node = to_dense_batch(
        F.linear(block.theta(features), of_theta), bodies.batch, batch_size=bodies_in_all
    )
    key, _ = to_dense_batch(
        F.linear(pooled(block.phi(features)), of_phi), body_of_group, batch_size=bodies_in_all
    )
    values, _ = to_dense_batch(pooled(block.g(features)), body_of_group, batch_size=bodies_in_all)
    attention = F.relu(query + key.transpose(1, 2)) / count[:, None, None]
    out: Tensor = features + block.norm(block.out((attention @ values)[is_node]))
    return out
