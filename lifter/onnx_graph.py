"""The lifter as an ONNX graph: pixels and visibility in, 3D pose out, the normalisation inside."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from evolift.lifter.lifter import FoldedLifter, Lifter
from evolift.lifter.straight_view import Lens
from evolift.posedata.errors import InputError
from evolift.training.onnx_file import CAMERA_FRAME, PIXELS, TOLERANCE, GraphInput, GraphOutput, OnnxGraph


class LifterGraph(nn.Module):
    """Joints in pixels to poses in millimetres.

    Args:
        lifter: in evaluation mode.
    """

    def __init__(self, lifter: Lifter) -> None:
        super().__init__()
        self.lifter = lifter

    def forward(
        self,
        joints_2d: Float[Tensor, "batch joints axes"],
        visibility: UInt8[Tensor, "batch joints"],
        camera: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """Root-relative joints, (batch, joints, 3), or depth alone, (batch, joints), and sigma if the lifter tells it; mm."""
        if self.lifter.settings.normalisation == "camera":
            assert camera is not None  # one of the graph's inputs
            lifted = self.lifter.lift_with_sigma(joints_2d, visibility, None, Lens(camera))
        else:
            lifted = self.lifter.lift_with_sigma(joints_2d, visibility, camera)
        joints = pose_or_depth(self.lifter, lifted.joints)
        return (joints,) if lifted.sigma is None else (joints, lifted.sigma)


def pose_or_depth(lifter: Lifter, lifted: Float[Tensor, "batch joints out"]) -> Tensor:
    """What a lifter says as its graph gives it: without the axis of length 1 that depth alone has."""
    return lifted if lifter.settings.target == "xyz" else lifted[..., 0]


def lifter_graph(lifter: Lifter) -> OnnxGraph:
    """A lifter ready to be written as ONNX; it is put into evaluation mode.

    Raises:
        InputError: the lifter is folded.
    """
    refuse_folded(lifter)
    joints, axes = len(lifter.skeleton), lifter.settings.input_axes
    root = lifter.skeleton.joints[lifter.skeleton.root]
    depth = f", and depth in mm behind the {root}" if axes == 3 else ""

    def some_joints(generator: np.random.Generator, batch: int) -> np.ndarray:
        centre = generator.uniform(300, 900, (batch, 1, axes))
        return (centre + generator.normal(0, 120, (batch, joints, axes))).astype(np.float32)

    def some_visibility(generator: np.random.Generator, batch: int) -> np.ndarray:
        return generator.choice(np.array([0, 1, 2], np.uint8), (batch, joints), p=[0.1, 0.1, 0.8])

    inputs = (
        GraphInput("joints_2d", f"float32 (batch, {joints}, {axes}): {PIXELS}{depth}", some_joints),
        GraphInput(
            "visibility",
            f"uint8 (batch, {joints}): 0 for a joint that is not known, whose coordinates do not matter; otherwise 1 or 2",
            some_visibility,
        ),
        *camera_input(lifter),
    )
    return OnnxGraph(
        "lifter",
        LifterGraph(lifter.eval()),
        inputs,
        (pose_output(lifter), *sigma_output(lifter)),
        pose_description(lifter) | {"skeleton": lifter.skeleton.to_dict()},
    )


def refuse_folded(lifter: Lifter) -> None:
    """Refuse a lifter whose batches go through in parts, which a graph for batches of any size cannot hold.

    Raises:
        InputError: the lifter is folded.
    """
    if isinstance(lifter, FoldedLifter):
        raise InputError(
            "a folded lifter cannot be written as ONNX: write the lifter that it was folded from"
        )


def camera_input(lifter: Lifter) -> tuple[GraphInput, ...]:
    """What the normalisation has to know of the camera: `screen` the size of the image, `camera` the intrinsics, `box` nothing."""
    if lifter.settings.normalisation == "camera":
        return (
            GraphInput(
                "intrinsics",
                "float32 (batch, 3, 3): K of the camera, pixels; lens distortion has to be taken out of joints_2d before",
                _some_intrinsics,
            ),
        )
    if lifter.settings.normalisation != "screen":
        return ()

    def example(generator: np.random.Generator, batch: int) -> np.ndarray:
        return generator.integers(600, 1900, (batch, 2)).astype(np.float32)

    return (GraphInput("image_size", "float32 (batch, 2): width and height of the image, pixels", example),)


def _some_intrinsics(generator: np.random.Generator, batch: int) -> np.ndarray:
    K = np.zeros((batch, 3, 3), np.float32)
    K[:, 0, 0] = K[:, 1, 1] = generator.uniform(700, 2000, batch)
    K[:, :2, 2] = generator.uniform(450, 700, (batch, 2))
    K[:, 2, 2] = 1
    return K


def pose_output(lifter: Lifter) -> GraphOutput:
    """What any graph that ends with a lifter gives."""
    root = lifter.skeleton.joints[lifter.skeleton.root]
    if lifter.settings.target == "xyz":
        meaning = f"float32 (batch, joints, 3): mm relative to the {root}, {CAMERA_FRAME}"
        return GraphOutput("joints_3d", meaning, TOLERANCE * 1000)
    meaning = f"float32 (batch, joints): mm behind the {root}, away from the camera"
    return GraphOutput("depth", meaning, TOLERANCE * 1000)


def sigma_output(lifter: Lifter) -> tuple[GraphOutput, ...]:
    """How sure the lifter is of each joint, the last output of any graph that ends with one that tells."""
    if not lifter.settings.uncertainty:
        return ()
    root = lifter.skeleton.joints[lifter.skeleton.root]
    meaning = (
        f"float32 (batch, joints): standard deviation of each joint along each axis, mm; 0 of the {root}"
    )
    return (GraphOutput("sigma", meaning, TOLERANCE * 1000),)


def pose_description(lifter: Lifter) -> dict[str, Any]:
    """What a user of such a graph has to know to read the answer."""
    settings = lifter.settings
    is_straight = settings.normalisation == "box" and settings.is_turned
    seen = "; that of a camera that looks straight at the person" if is_straight else ""
    return {
        "units": {"joints_2d": "px"}
        | {one.name: "mm" for one in (pose_output(lifter), *sigma_output(lifter))},
        "frame": CAMERA_FRAME + seen,
        "normalisation": settings.normalisation,
        "normalisation_is_inside_the_graph": True,
        "target": settings.target,
    }
