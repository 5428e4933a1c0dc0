"""The chain of detector and lifter as an ONNX graph: crops of people in, 2D joints and 3D poses out."""

from __future__ import annotations

from jaxtyping import Float, UInt8
from torch import Tensor, nn

from detector2d.onnx_graph import crop_description, crop_inputs, detection_outputs
from lifter.joint import JointModel
from lifter.onnx_graph import pose_description, pose_or_depth, pose_output, size_input
from posedata.onnx_file import OnnxGraph


class JointGraph(nn.Module):
    """Crops to poses in millimetres.

    Args:
        chain: in evaluation mode.
    """

    def __init__(self, chain: JointModel) -> None:
        super().__init__()
        self.chain = chain

    def forward(
        self,
        crop: UInt8[Tensor, "batch height width 3"],
        image_from_crop: Float[Tensor, "batch 2 3"],
        image_size: Float[Tensor, "batch 2"] | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Pose (or depth alone) in mm, joints in pixels of the picture, confidence."""
        if image_size is None:
            # A lifter of normalisation `box` does not see where in the picture the person is.
            image_size = image_from_crop.new_zeros((image_from_crop.shape[0], 2))
        found = self.chain(self.chain.detector.scale_images(crop), image_from_crop, image_size)
        return pose_or_depth(self.chain.lifter, found.joints_3d), found.joints_2d, found.confidence


def joint_graph(chain: JointModel) -> OnnxGraph:
    """A chain ready to be written as ONNX; it is put into evaluation mode."""
    seen, lifted = crop_description(chain.detector), pose_description(chain.lifter)
    units = {"joints_2d": "px", "confidence": "0 to 1"} | lifted["units"]
    return OnnxGraph(
        "joint",
        JointGraph(chain.eval()),
        (*crop_inputs(chain.detector), *size_input(chain.lifter)),
        (pose_output(chain.lifter), *detection_outputs(chain.detector)),
        seen | lifted | {"units": units},
    )
