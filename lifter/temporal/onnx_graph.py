"""The temporal lifter as an ONNX graph: pixels and visibility of consecutive frames in, a 3D pose of each of them out."""

from __future__ import annotations

from dataclasses import replace

from jaxtyping import Float
from torch import Tensor

from evolift.lifter.lifter import Lifter
from evolift.lifter.onnx_graph import lifter_graph, refuse_folded
from evolift.lifter.refiner import Refined, RefinerModel
from evolift.lifter.temporal.model import TemporalLifter
from evolift.training.onnx_file import OnnxGraph


class _AllAtOnce(Lifter):
    """A temporal lifter that answers for all frames together: a graph cannot go through a clip in as many parts as it has."""

    def __init__(self, lifter: TemporalLifter) -> None:
        super().__init__()
        self.settings, self.lifter = lifter.settings, lifter

    def forward(self, inputs: Float[Tensor, "frames joints axes"]) -> Float[Tensor, "frames joints 3"]:
        """As of the lifter."""
        return self.lifter.at_once(inputs)


def clip_graph(lifter: TemporalLifter, refiner: RefinerModel | None = None) -> OnnxGraph:
    """A temporal lifter ready to be written as ONNX; it is put into evaluation mode.

    The axis that is the batch of other lifters is that of consecutive frames of one person, of any number.

    Args:
        lifter: to be written.
        refiner: mends its poses.

    Raises:
        InputError: the lifter is folded.
    """
    refuse_folded(lifter)
    whole = _AllAtOnce(lifter)
    graph = lifter_graph(whole if refiner is None else Refined(whole, refiner))
    settings = lifter.settings
    over_time = {
        "frames_per_second": settings.frames_per_second,
        "frames_seen_together": settings.frames,
        "causal": settings.causal,
        "first_axis": "consecutive frames of one person; the first and the last are repeated inside where frames beyond them are looked at",
    }
    return replace(
        graph,
        stage=lifter.stage,
        inputs=tuple(one._replace(meaning=_of_frames(one.meaning)) for one in graph.inputs),
        outputs=tuple(one._replace(meaning=_of_frames(one.meaning)) for one in graph.outputs),
        description={**graph.description, **over_time},
    )


def _of_frames(meaning: str) -> str:
    return meaning.replace("(batch, ", "(frames, ")
