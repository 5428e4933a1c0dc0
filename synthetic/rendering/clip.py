"""A rendered clip: one person, one camera, frame after frame of a motion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8

from evolift.posedata.camera import Camera
from evolift.posedata.seeds import numpy_generator_at
from evolift.synthetic.rendering.backdrop import photograph
from evolift.synthetic.rendering.renderer import Renderer
from evolift.synthetic.rendering.scene import draw_clip_scenes


@dataclass(frozen=True, eq=False)
class RenderedClip:
    """The frames of a clip and their labels.

    Args:
        images: RGB.
        joints_3d: camera frame, mm.
        joints_2d: pixels.
        camera: of all frames, with its pose in the world of the motion.
    """

    images: UInt8[np.ndarray, "frames size size 3"]
    joints_3d: Float32[np.ndarray, "frames 17 3"]
    joints_2d: Float32[np.ndarray, "frames 17 2"]
    camera: Camera


def render_clip(frames: Float32[np.ndarray, "frames 17 3"], size: int, *, seed: int = 0) -> RenderedClip:
    """Film a motion: the same person before the same camera in all frames.

    Args:
        frames: H36M17, world mm, z up.
        size: width and height of the images, pixels.
        seed: of camera, clothes, lights and backdrop.

    Raises:
        InputError: there is no OpenGL to draw with, or the extra `render` is not installed.
    """
    images = []
    with Renderer(size) as renderer:
        for scene in draw_clip_scenes(numpy_generator_at(seed, 0), frames, size):
            # Every frame is developed with the same draws: exposure, tint and grain do not flicker.
            images.append(photograph(numpy_generator_at(seed, 1), renderer.draw(scene)[0]))
            camera = scene.camera
    world = frames.astype(np.float64)
    return RenderedClip(
        np.stack(images),
        camera.to_camera(world).astype(np.float32),
        camera.project(world).astype(np.float32),
        camera,
    )
