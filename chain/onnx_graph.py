"""The chain of detector and lifter as an ONNX graph: crops of people in, 2D joints and 3D poses out."""

from __future__ import annotations

from jaxtyping import Float, UInt8
from torch import Tensor, nn

from evolift.chain.model import ChainModel
from evolift.detector2d.onnx_graph import crop_description, crop_inputs, detection_outputs
from evolift.lifter.onnx_graph import (
    camera_input,
    pose_description,
    pose_or_depth,
    pose_output,
    refuse_folded,
    sigma_output,
)
from evolift.lifter.refiner import Refined, RefinerModel
from evolift.training.onnx_file import OnnxGraph


class ChainGraph(nn.Module):
    """Crops to poses in millimetres.

    Args:
        chain: in evaluation mode.
        refiner: of its poses, in evaluation mode; None for none.
    """

    def __init__(self, chain: ChainModel, refiner: RefinerModel | None = None) -> None:
        super().__init__()
        self.chain, self.refiner = chain, refiner

    def forward(
        self,
        crop: UInt8[Tensor, "batch height width 3"],
        image_from_crop: Float[Tensor, "batch 2 3"],
        image_size: Float[Tensor, "batch 2"] | None = None,
    ) -> tuple[Tensor, ...]:
        """Pose (or depth alone) in mm, joints in pixels of the image, confidence, and sigma in mm if the lifter tells it."""
        if image_size is None:
            # A lifter of normalisation `box` does not see where in the image the person is.
            image_size = image_from_crop.new_zeros((image_from_crop.shape[0], 2))
        found = self.chain(self.chain.detector.scale_images(crop), image_from_crop, image_size)
        joints = found.joints_3d if self.refiner is None else self.refiner(found.joints_3d)
        answer = (pose_or_depth(self.chain.lifter, joints), found.joints_2d, found.confidence)
        return answer if found.sigma is None else (*answer, found.sigma)


def chain_graph(chain: ChainModel, refiner: RefinerModel | None = None) -> OnnxGraph:
    """A chain ready to be written as ONNX; it is put into evaluation mode.

    Args:
        chain: detector and lifter.
        refiner: to mend the poses of a lifter of target `xyz`.

    Raises:
        InputError: the refiner does not fit the lifter, or the lifter is folded.
    """
    refuse_folded(chain.lifter)
    if refiner is not None:
        Refined(chain.lifter, refiner)  # refuses what does not fit
    seen, lifted = crop_description(chain.detector), pose_description(chain.lifter)
    units = {"joints_2d": "px", "confidence": "0 to 1"} | lifted["units"]
    return OnnxGraph(
        "chain",
        ChainGraph(chain.eval(), refiner),
        (*crop_inputs(chain.detector), *camera_input(chain.lifter)),
        (pose_output(chain.lifter), *detection_outputs(chain.detector), *sigma_output(chain.lifter)),
        seen | lifted | {"units": units},
    )
