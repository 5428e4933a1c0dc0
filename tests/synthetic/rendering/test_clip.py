"""A rendered clip: one person and one camera, and labels that lie where the frames show the joints."""

from __future__ import annotations

import numpy as np

from evolift.posedata.skeleton import H36M17
from evolift.synthetic.rendering.clip import render_clip

SIZE = 96
SEED = 3


def _raised(standing: np.ndarray) -> np.ndarray:
    """Standing, then with both arms straight up."""
    frames = np.stack([standing, standing])
    for side in ("left", "right"):
        shoulder = frames[1, H36M17.index(f"{side}_shoulder")]
        frames[1, H36M17.index(f"{side}_elbow")] = shoulder + np.float32([0, 0, 280])
        frames[1, H36M17.index(f"{side}_wrist")] = shoulder + np.float32([0, 0, 530])
    return frames


def test_only_what_moves_changes(standing_pose: np.ndarray) -> None:
    frames = _raised(standing_pose)
    clip = render_clip(np.stack([frames[0], frames[0], frames[1]]), SIZE, seed=SEED)
    assert clip.images.shape == (3, SIZE, SIZE, 3)
    np.testing.assert_array_equal(clip.images[0], clip.images[1])
    changed = (clip.images[0] != clip.images[2]).any(-1)
    wrists = np.rint(clip.joints_2d[2, [H36M17.index("left_wrist"), H36M17.index("right_wrist")]]).astype(int)
    assert changed[wrists[:, 1], wrists[:, 0]].all()
    # Camera, clothes, light and grain stay: what is not arm or shadow is the same to the bit.
    assert 0.002 < changed.mean() < 0.3


def test_labels_are_the_world_through_the_camera(standing_pose: np.ndarray) -> None:
    frames = _raised(standing_pose)
    clip = render_clip(frames, SIZE, seed=SEED)
    flat = clip.joints_3d[..., :2] / clip.joints_3d[..., 2:]
    K = clip.camera.K
    np.testing.assert_allclose(flat * [K[0, 0], K[1, 1]] + K[:2, 2], clip.joints_2d, atol=1e-2)
    np.testing.assert_allclose(clip.camera.to_world(clip.joints_3d), frames, atol=0.1)
    assert ((clip.joints_2d > 0) & (clip.joints_2d < SIZE)).all()


def test_the_seed_alone_makes_the_scene(standing_pose: np.ndarray) -> None:
    first, again, other = (render_clip(standing_pose[None], SIZE, seed=seed).images for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any(-1).mean() > 0.5
